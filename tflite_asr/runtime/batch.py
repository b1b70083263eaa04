"""Utterances as features and tokens, and padded batches of them at the artifact's fixed sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.audio.samples import floats_of
from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError


@dataclass(frozen=True)
class Example:
    """One utterance, ready to train on or to be measured."""

    frames: np.ndarray  # [time, mel_bands] float32
    tokens: np.ndarray  # [labels] int32
    text: str  # what was said, as the tokenizer spells it
    where: str = ""  # for error messages


def collate(examples: Sequence[Example], config: ModelConfig) -> dict[str, np.ndarray]:
    """The inputs of `train` and `loss`: rows past the examples are empty.

    Returns:
        frames [batch, max_frames, mel_bands] float32, frame_lengths [batch] int32, tokens [batch, max_tokens] int32,
        token_lengths [batch] int32.
    """
    sizes = config.sizes
    if not 1 <= len(examples) <= sizes.batch:
        raise InputError(f"expected 1 to {sizes.batch} utterances a batch, got {len(examples)}")
    batch = {
        "frames": np.zeros([sizes.batch, sizes.max_frames, config.features.mel_bands], np.float32),
        "frame_lengths": np.zeros([sizes.batch], np.int32),
        "tokens": np.zeros([sizes.batch, sizes.max_tokens], np.int32),
        "token_lengths": np.zeros([sizes.batch], np.int32),
    }
    for row, example in enumerate(examples):
        for what, length, most in (
            ("frames", len(example.frames), sizes.max_frames),
            ("tokens", len(example.tokens), sizes.max_tokens),
        ):
            if not 1 <= length <= most:
                raise InputError(f"{_place(example, row)}: expected 1 to {most} {what}, got {length}")
        wrong = np.flatnonzero((example.tokens < 1) | (example.tokens >= config.vocabulary_size))
        if len(wrong):
            raise InputError(
                f"{_place(example, row)}: expected tokens from 1 to {config.vocabulary_size - 1}, "
                f"got {example.tokens[wrong[0]]} at place {wrong[0] + 1}"
            )
        frames = checked_frames(example.frames, config.features.mel_bands, _place(example, row), finite=False)
        batch["frames"][row, : len(example.frames)] = frames
        batch["frame_lengths"][row] = len(example.frames)
        batch["tokens"][row, : len(example.tokens)] = example.tokens
        batch["token_lengths"][row] = len(example.tokens)
    return batch


def _place(example: Example, row: int) -> str:
    """An example, for error messages."""
    return example.where or f"utterance {row + 1} of the batch"


def longest_examples(config: ModelConfig) -> list[Example]:
    """A batch of noise, every row as long as the fixed sizes allow: the shapes decide what a step costs."""
    random, sizes = np.random.default_rng(0), config.sizes
    frames = random.standard_normal([sizes.batch, sizes.max_frames, config.features.mel_bands], np.float32)
    tokens = random.integers(1, config.vocabulary_size, [sizes.batch, sizes.max_tokens], np.int32)
    return [Example(*row, "", "noise") for row in zip(frames, tokens)]


def checked_frames(frames: object, mel_bands: int, where: str = "frames", *, finite: bool = True) -> np.ndarray:
    """Log-mel frames [time, mel_bands] as float32; InputError unless they are floats of that shape, and `finite`: a training
    step answers frames that are not by skipping."""
    array = floats_of(frames, where, "log-mel frames")
    if array.ndim != 2 or array.shape[1] != mel_bands:
        raise InputError(f"{where}: expected frames [time, {mel_bands}], got shape {list(array.shape)}")
    if finite and not np.all(np.isfinite(array)):
        raise InputError(f"{where}: expected finite frames, some are NaN or infinite")
    return array.astype(np.float32, copy=False)


def padded_frames(frames: np.ndarray, size: int, mel_bands: int) -> dict[str, np.ndarray]:
    """One utterance's inputs: frames [time, mel_bands] -> frames [1, size, mel_bands], frame_lengths [1] int32."""
    frames = checked_frames(frames, mel_bands)
    if len(frames) > size:
        raise InputError(f"expected frames of at most {size} x {mel_bands}, got shape {list(frames.shape)}")
    padded = np.zeros([1, size, mel_bands], np.float32)
    padded[0, : len(frames)] = frames
    return {"frames": padded, "frame_lengths": np.asarray([len(frames)], np.int32)}
