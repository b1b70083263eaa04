"""A small CTC model with early exits: what is heard at each, when it is left; and the beam search over labels."""

from pathlib import Path

import numpy as np

from tflite_asr.runtime.exits import ExitPolicy, confidence, entropy
from tflite_asr.runtime.prefix_beam import best_path, prefix_beam_search
from tflite_asr.runtime.recognizer import Recognizer

MODEL = Path(__file__).parent / "early.tflite"
POLICIES = (
    {"exit": 0},
    {"exit": 1},
    {"entropy_below": 0.034},
    {"entropy_below": 0.02},
    {"confidence_above": 0.16},
)
LENGTHS = (120, 71, 12)  # frames of utterances of noise


def write_model() -> None:
    """early.tflite and early.json: random weights that emit labels and blanks in turn, as trained ones do."""
    import dataclasses

    import tf_keras as keras

    from tflite_asr.config import preset
    from tflite_asr.export import SplitOptions, export
    from tflite_asr.models.build import build_model

    encoder = dataclasses.replace(preset("tiny").encoder, layers=2)
    config = dataclasses.replace(preset("tiny_exits"), encoder=encoder, exits=(0,))
    keras.utils.set_random_seed(0)
    model = build_model(config)
    for head in model.heads:
        head.kernel.assign(4 * head.kernel)
        head.bias.assign(np.eye(1, config.vocabulary_size, dtype=np.float32)[0] * 5)
    export(model, MODEL, optimizer="sgd", split=SplitOptions(parts=1), pull=False)


def exits() -> dict:
    """What Kotlin has to find too."""
    recognizer = Recognizer.load(MODEL)
    utterances = [_noise(length) for length in LENGTHS]
    return {
        "lengths": LENGTHS,
        "at_each": [{"exits": _at_each_exit(recognizer, frames)} for frames in utterances],
        "policies": [_left_by(recognizer, policy, utterances) for policy in POLICIES],
        "transcribed": [recognizer.transcribe_frames(frames) for frames in utterances],
        "searches": [_search(seed) for seed in range(5)],
    }


def _at_each_exit(recognizer: Recognizer, frames: np.ndarray) -> list[dict]:
    return [
        {"steps": len(steps), "entropy": entropy(steps), "confidence": confidence(steps), "text": text()}
        for steps, text in recognizer.exits(frames, beam=True)
    ]


def _left_by(recognizer: Recognizer, policy: dict, utterances: list[np.ndarray]) -> dict:
    """What is heard and where the encoder is left, greedily and by beam search."""
    row = dict(policy)
    for name, beam in (("greedy", False), ("beam", True)):
        heard = [recognizer.transcribe_early(frames, ExitPolicy(**policy), beam=beam) for frames in utterances]
        row[name] = {"texts": [text for text, _ in heard], "exits": [exit for _, exit in heard]}
    return row


def _noise(length: int) -> np.ndarray:
    """[length, 40] frames, by a formula that both sides have."""
    frame, band = np.mgrid[0:length, 0:40]
    return (1.5 * np.sin(frame * band / 9 + frame / 3)).astype(np.float32)


def _search(seed: int) -> dict:
    logits = 1.5 * np.random.default_rng(seed).standard_normal([9, 5])
    rows = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
    found = prefix_beam_search(rows, beam=6, max_tokens=4)
    return {
        "log_probabilities": rows.tolist(),
        "beam": 6,
        "max_tokens": 4,
        "tokens": [list(hypothesis.tokens) for hypothesis in found],
        "scores": [hypothesis.log_probability for hypothesis in found],
        "best_path": best_path(rows),
    }
