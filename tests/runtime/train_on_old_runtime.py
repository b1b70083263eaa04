"""Train with a plan on tflite-runtime: python train_on_old_runtime.py MODEL.tflite PLAN INPUTS.npz LOSSES.npy

INPUTS.npz holds the inputs of a step by name, each with one more dimension in front, the steps. Needs NumPy and what of
the package needs nothing else.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tflite_runtime.interpreter import Interpreter

from tflite_asr.runtime.interpreter import SignatureModel
from tflite_asr.runtime.plan import Plan, run_step

path, plan, inputs, losses = sys.argv[1:]
artifact = json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))
calls = Plan.of(plan, artifact["plans"], artifact["signatures"]).calls
model, steps = SignatureModel(path, Interpreter), dict(np.load(inputs))
count = len(steps["learning_rate"])
results = [run_step(model, calls, {name: values[step] for name, values in steps.items()}) for step in range(count)]
np.save(losses, np.asarray([result.loss for result in results]))
