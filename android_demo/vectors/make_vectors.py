"""Write the vectors that hold the Kotlin side to the Python side: what the shipped `commands` does with shipped speech.

    python android_demo/vectors/make_vectors.py

Both sides check them: tests/android/test_android_core.py and jvm/src/test/kotlin/tfliteasr/jvm/ParityTest.kt.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent.parent))

from tflite_asr.metrics import error_rates  # noqa: E402
from tflite_asr.personalization.replay import read_replay  # noqa: E402
from tflite_asr.runtime.batch import Example  # noqa: E402
from tflite_asr.runtime.checkpoint import save_checkpoint  # noqa: E402
from tflite_asr.runtime.decoder import BeamSearch  # noqa: E402
from tflite_asr.runtime.recognizer import Recognizer  # noqa: E402

BATCHES = [[0, 9, 20, 33], [5, 41, 60], [2, 77, 13, 50]]  # shipped utterances; the second batch is not full
SHIFT = 7  # they get the words of others, so that losses are tens of nats and float noise is small beside them
STEPS = 10
TRANSCRIBED = 12  # shipped utterances
LEARNING_RATE, CLIP_NORM, PULL = 1e-3, 20.0, 0.01
GROUP_RATES = {"encoder_0": 0.0, "joint": 0.5}


def parity() -> dict:
    """What Python computes; the numbers that Kotlin has to find too."""
    recognizer = Recognizer.load("commands")
    replay = read_replay(recognizer.artifact)
    wrong = with_others_words(replay)
    references = [example.text for example in replay[:TRANSCRIBED]]
    greedy = [recognizer.transcribe_frames(example.frames) for example in replay[:TRANSCRIBED]]
    damped = [example.frames * np.float32(0.45) for example in replay[:TRANSCRIBED]]  # hard enough for mistakes
    best = [BeamSearch(recognizer.model, recognizer.config).best(frames)[0] for frames in damped]
    garbled = [text[:-2] + " OH" for text in references]
    values = {
        "artifact_sha256": recognizer.artifact.tflite_sha256,
        "batches": BATCHES,
        "shift": SHIFT,
        "learning_rate": LEARNING_RATE,
        "clip_norm": CLIP_NORM,
        "pull": PULL,
        "group_rates": GROUP_RATES,
        "references": references,
        "greedy": greedy,
        "damped_greedy": [recognizer.transcribe_frames(frames) for frames in damped],
        "damped_beam": [recognizer.tokenizer.decode(hypothesis.tokens) for hypothesis in best],
        "damped_beam_log_probabilities": [hypothesis.log_probability for hypothesis in best],
        "losses_before": recognizer.loss(wrong[:TRANSCRIBED]).tolist(),
        "frame_sums": [float(np.sum(example.frames, dtype=np.float64)) for example in replay[:TRANSCRIBED]],
        "chirp_frame_means": recognizer.features(chirp()).mean(axis=1).tolist(),
        "garbled": garbled,
        "garbled_wer": error_rates(references, garbled).wer,
        "garbled_cer": error_rates(references, garbled).cer,
    }
    steps = []
    for number in range(STEPS):
        batch = [wrong[index] for index in BATCHES[number % len(BATCHES)]]
        steps.append(
            recognizer.train_step(
                batch, learning_rate=LEARNING_RATE, clip_norm=CLIP_NORM, pull=PULL, group_rates=GROUP_RATES
            )
        )
    values["train_losses"] = [step.loss for step in steps]
    values["gradient_norms"] = [step.gradient_norm for step in steps]
    values["distances"] = {name: row["distance"] for name, row in recognizer.parameters().items()}
    values["losses_after"] = recognizer.loss(wrong[:TRANSCRIBED]).tolist()
    return values


def with_others_words(replay: Sequence[Example]) -> list[Example]:
    """Each utterance with the tokens of another."""
    return [
        dataclasses.replace(example, tokens=replay[(index + SHIFT) % len(replay)].tokens)
        for index, example in enumerate(replay)
    ]


def chirp() -> np.ndarray:
    """Half a second of a tone that rises, by a formula that both sides have."""
    seconds = np.arange(8000) / 16000
    return (0.3 * np.sin(2 * np.pi * (200 * seconds + 1500 * seconds**2))).astype(np.float32)


def write_checkpoint(path: Path) -> None:
    """A few tensors of every kind that a checkpoint may hold."""
    random = np.random.default_rng(3)
    tensors = {
        "kernel": random.standard_normal([5, 7]).astype(np.float32),
        "bias": random.standard_normal([7]).astype(np.float32),
        "Zero/edge": np.asarray([0.0, -0.0, 1e-38, 3e38], np.float32),
        "step": np.asarray(41, np.int32),
        "frozen": random.integers(-127, 128, [3, 2, 2]).astype(np.int8),
    }
    save_checkpoint(path, tensors, artifact_sha256="ab" * 32, step=41)


if __name__ == "__main__":
    (FOLDER / "parity.json").write_text(json.dumps(parity(), indent=1) + "\n", encoding="utf-8")
    write_checkpoint(FOLDER / "checkpoint.safetensors")
    digest = safetensors.safe_open(FOLDER / "checkpoint.safetensors", framework="np").metadata()["digest"]
    print(f"parity.json, checkpoint.safetensors (digest {digest[:12]}...)")
