"""A small transducer with an early exit: what is heard at each, when it is left; and the beam search over a CTC head's
labels.
"""

from pathlib import Path

import numpy as np

from tflite_asr.runtime.ctc_prefix import CTCPrefixScores
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
PREFIXES = ([], [1], [1, 1], [1, 2, 2, 3], [4, 1, 4, 1, 4])
LENGTHS = (120, 71, 12)  # frames of utterances of noise


def write_model() -> None:
    """early.tflite and early.json: random weights that emit labels and blanks in turn, as trained ones do."""
    import dataclasses

    import tf_keras as keras

    from tflite_asr.config import preset
    from tflite_asr.export import SplitOptions, export
    from tflite_asr.models.build import build_model

    tiny = preset("tiny")
    config = dataclasses.replace(tiny, encoder=dataclasses.replace(tiny.encoder, layers=2), exits=(0,))
    keras.utils.set_random_seed(0)
    model = build_model(config)
    weights = model.named_weights()
    random = np.random.default_rng(1)
    for name, factor in (("exit_0/kernel", 4), ("joint/encoder_kernel", 3), ("joint/output_kernel", 6)):
        weights[name].assign(factor * weights[name])
    for name, blank in (("exit_0/bias", 5), ("joint/output_bias", 13)):
        weights[name].assign(np.eye(1, config.vocabulary_size, dtype=np.float32)[0] * blank)
    for name in sorted(weights):
        if name.startswith("prediction") and not name.endswith(("kernel", "embedding")):
            weights[name].assign(weights[name] + 0.1 * random.standard_normal(weights[name].shape))
    export(model, MODEL, optimizer="sgd", split=SplitOptions(parts=1), pull=False)


def exits() -> dict:
    """What Kotlin has to find too."""
    recognizer = Recognizer.load(MODEL)
    utterances = [noise(length) for length in LENGTHS]
    return {
        "lengths": LENGTHS,
        "at_each": [{"exits": _at_each_exit(recognizer, frames)} for frames in utterances],
        "policies": [_left_by(recognizer, policy, utterances) for policy in POLICIES],
        "transcribed": [recognizer.transcribe_frames(frames) for frames in utterances],
        "searches": [_search(seed) for seed in range(5)],
    }


def _at_each_exit(recognizer: Recognizer, frames: np.ndarray) -> list[dict]:
    """The text, and how sure the exit's labels are; a transducer does not tell."""
    rows = []
    for steps, text in recognizer.exits(frames, beam=True):
        sure = (
            {} if steps is None else {"steps": len(steps), "entropy": entropy(steps), "confidence": confidence(steps)}
        )
        rows.append({"text": text(), **sure})
    return rows


def _left_by(recognizer: Recognizer, policy: dict, utterances: list[np.ndarray]) -> dict:
    """What is heard and where the encoder is left, greedily and by beam search."""
    row = dict(policy)
    for name, beam in (("greedy", False), ("beam", True)):
        heard = [recognizer.transcribe_early(frames, ExitPolicy(**policy), beam=beam) for frames in utterances]
        row[name] = {"texts": [text for text, _ in heard], "exits": [exit for _, exit in heard]}
    return row


def noise(length: int) -> np.ndarray:
    """[length, 40] frames, by a formula that both sides have."""
    frame, band = np.mgrid[0:length, 0:40]
    return (1.5 * np.sin(frame * band / 9 + frame / 3)).astype(np.float32)


def _search(seed: int) -> dict:
    logits = 1.5 * np.random.default_rng(seed).standard_normal([9, 5])
    rows = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
    found = prefix_beam_search(rows, beam=6, max_tokens=4)
    prefixes = CTCPrefixScores(rows)
    return {
        "log_probabilities": rows.tolist(),
        "beam": 6,
        "max_tokens": 4,
        "tokens": [list(hypothesis.tokens) for hypothesis in found],
        "scores": [hypothesis.log_probability for hypothesis in found],
        "best_path": best_path(rows),
        "prefixes": [
            {"labels": labels, "prefix": prefixes.prefix(tuple(labels)), "whole": prefixes.whole(tuple(labels))}
            for labels in PREFIXES
        ],
    }
