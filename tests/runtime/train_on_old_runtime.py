"""Train with nothing but NumPy and tflite-runtime: python train_on_old_runtime.py MODEL.tflite INPUTS.npz LOSSES.npy

INPUTS.npz holds the inputs of `train` by name, each with one more dimension in front, the steps.
"""

import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter

model, inputs, losses = sys.argv[1:]
train = Interpreter(model_path=model, num_threads=1).get_signature_runner("train")
steps = dict(np.load(inputs))
count = len(steps["learning_rate"])
results = [train(**{name: values[step] for name, values in steps.items()})["loss"] for step in range(count)]
np.save(losses, np.asarray(results))
