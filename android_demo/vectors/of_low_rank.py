"""A small model with low-rank updates (`export --lora`): what trains of it, losses of training steps, and what a user's
checkpoint holds.
"""

import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy
from of_exits import noise

from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer

MODEL = Path(__file__).parent / "lora.tflite"
RANK = 2
LENGTHS = (110, 90, 75, 60)  # frames of utterances of noise
TEXTS = ("ONE", "SIX TWO", "A", "NO")
BATCHES = [[0, 1], [2, 3], [1, 2]]
STEPS, LEARNING_RATE, CLIP_NORM, PULL = 12, 0.05, 5.0, 0.01
PLANS = ("train", "split")


def write_model() -> None:
    """lora.tflite and lora.json: int8 kernels that stay, and updates of them that train."""
    import dataclasses

    import tf_keras as keras

    from tflite_asr.config import preset
    from tflite_asr.export import Quantization, SplitOptions, export
    from tflite_asr.models.build import build_model

    tiny = preset("tiny")
    keras.utils.set_random_seed(4)
    model = build_model(dataclasses.replace(tiny, encoder=dataclasses.replace(tiny.encoder, layers=1)))
    quantization = Quantization("aware", trainable="all", low_rank=RANK)
    export(model, MODEL, optimizer="sgd", split=SplitOptions(parts=1), quantization=quantization)


def low_rank() -> dict:
    """What Kotlin has to find too."""
    recognizer = Recognizer.load(MODEL)
    return {
        "lengths": LENGTHS,
        "texts": TEXTS,
        "batches": BATCHES,
        "learning_rate": LEARNING_RATE,
        "clip_norm": CLIP_NORM,
        "pull": PULL,
        "trainable": [row["tensor"] for row in recognizer.artifact.trainable],
        "steps": {plan: _steps(plan) for plan in PLANS},
    }


def _examples(recognizer: Recognizer) -> list[Example]:
    return [Example(noise(length), recognizer.tokenizer.encode(text), text) for length, text in zip(LENGTHS, TEXTS)]


def _steps(plan: str) -> dict:
    """Losses of training steps by a plan, where the updates are after them, and what is saved."""
    recognizer = Recognizer.load(MODEL)
    examples = _examples(recognizer)
    before = recognizer.loss(examples).tolist()
    rates = {"learning_rate": LEARNING_RATE, "clip_norm": CLIP_NORM, "pull": PULL, "plan": plan}
    results = [
        recognizer.train_step([examples[row] for row in BATCHES[number % len(BATCHES)]], **rates)
        for number in range(STEPS)
    ]
    return {
        "losses_before": before,
        "train_losses": [result.loss for result in results],
        "gradient_norms": [result.gradient_norm for result in results],
        "losses_after": recognizer.loss(examples).tolist(),
        "distances": {name: row["distance"] for name, row in recognizer.parameters().items()},
        "saved": _saved(recognizer),
    }


def _saved(recognizer: Recognizer) -> dict:
    """The root mean square of each tensor of a checkpoint: updates, gains and biases, no kernel."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        recognizer.save(path)
        tensors = safetensors.numpy.load_file(path)
    return {name: float(np.sqrt(np.mean(np.square(tensors[name], dtype=np.float64)))) for name in sorted(tensors)}
