"""The training step as the TFLite guide to on-device training has it: Keras's own gradients, converted with
TensorFlow's ops let through, run by TensorFlow's interpreter.

    python -m tflite_asr.benchmark.peers.stock FOLDER

converts. To run the file takes TensorFlow before 2.20: later packages have no delegate for TensorFlow's ops any more
(github.com/google-ai-edge/LiteRT/issues/6458).
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tflite_asr.benchmark.peers.work import read_work

FILE = "stock.tflite"


def convert(folder: Path) -> None:
    """Write `FILE` into a work's folder: signatures `train` and `variables`, a look at all of them.

    Recurrences are unrolled: the gradient of a loop keeps its steps in lists of tensors, which the converter refuses.
    """
    from tflite_asr.benchmark.peers.keras_step import KerasStep

    config, weights, batch = read_work(folder)
    step = KerasStep(config, weights, unroll=True)
    frames, tokens = batch["frames"], batch["tokens"]

    @tf.function(
        input_signature=[
            tf.TensorSpec(frames.shape, tf.float32, "frames"),
            tf.TensorSpec(tokens.shape, tf.int32, "tokens"),
        ]
    )
    def train(frames, tokens):
        return {"loss": step(frames, tokens)}

    @tf.function(input_signature=[])
    def variables():
        return {"first": tf.stack([tf.reshape(variable, [-1])[0] for variable in step.model.trainable_variables])}

    module = tf.Module()
    module.step, module.train, module.variables_of = step.model, train, variables
    module.optimizer = step.optimizer
    signatures = {"train": train.get_concrete_function(), "variables": variables.get_concrete_function()}
    with tempfile.TemporaryDirectory() as saved:
        tf.saved_model.save(module, saved, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=list(signatures))
        converter.experimental_enable_resource_variables = True
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        content = converter.convert()
    with (folder / FILE).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # pages not yet written out would count as the measuring process's own


class StockStep:
    """`step(frames, tokens)` takes a training step and returns the loss before it."""

    def __init__(self, folder: Path):
        interpreter = tf.lite.Interpreter(model_path=str(folder / FILE), num_threads=1)
        interpreter.get_signature_runner("variables")()
        self._train = interpreter.get_signature_runner("train")

    def __call__(self, frames: np.ndarray, tokens: np.ndarray) -> float:
        return float(self._train(frames=frames, tokens=tokens)["loss"])


def _reason(error: Exception) -> str:
    """Why a conversion failed, in one line: the converter's own message ends in the whole graph."""
    lacking = sorted(set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", str(error))))
    if lacking:
        return f"neither TFLite nor its delegate for TensorFlow's ops has {', '.join(lacking)}"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]))
    except Exception as error:
        sys.exit(_reason(error))
