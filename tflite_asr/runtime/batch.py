"""Utterances as features and tokens, and padded batches of them at the artifact's fixed sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.audio.samples import floats_of
from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
from tflite_asr.runtime.cached_activations import CachedExample


@dataclass(frozen=True)
class Example:
    """One utterance for training or measurement.

    Attributes:
        frames: [time, mel_bands] float32.
        tokens: [labels] int32.
        text: what was said, as the tokenizer spells it.
        where: how error messages name it, such as "manifest.jsonl:17".
        weight: how often it is trained on where others are once; more for a correction.
    """

    frames: np.ndarray
    tokens: np.ndarray
    text: str
    where: str = ""
    weight: int = 1

    @property
    def frame_count(self) -> int:
        """How many feature frames it has."""
        return len(self.frames)


Batch = Sequence[Example] | Sequence[CachedExample]  # of a training step


def collate(examples: Sequence[Example], config: ModelConfig) -> dict[str, np.ndarray]:
    """The inputs of `train` and `loss`: rows past the examples are empty.

    Returns:
        frames [batch, max_frames, mel_bands] float32, frame_lengths [batch] int32, tokens [batch, max_labels] int32,
        token_lengths [batch] int32.
    """
    sizes = config.sizes
    batch = {
        "frames": np.zeros([sizes.batch, sizes.max_frames, config.features.width], np.float32),
        "frame_lengths": np.zeros([sizes.batch], np.int32),
        **collate_labels(examples, config),
    }
    for row, example in enumerate(examples):
        frames = checked_frames(example.frames, config.features.width, _place(example, row), finite=False)
        batch["frames"][row, : len(example.frames)] = frames
        batch["frame_lengths"][row] = len(example.frames)
    return batch


def collate_labels(examples: Batch, config: ModelConfig) -> dict[str, np.ndarray]:
    """The inputs that hold the transcripts: tokens [batch, max_labels] int32, token_lengths [batch] int32; InputError
    for too many utterances, for lengths that the file does not take and for labels that it does not have.
    """
    sizes = config.sizes
    if not 1 <= len(examples) <= sizes.batch:
        raise InputError(f"expected 1 to {sizes.batch} utterances a batch, got {len(examples)}")
    batch = {
        "tokens": np.zeros([sizes.batch, config.max_labels], np.int32),
        "token_lengths": np.zeros([sizes.batch], np.int32),
    }
    for row, example in enumerate(examples):
        for what, length, most in (
            ("frames", example.frame_count, sizes.max_frames),
            ("tokens", len(example.tokens), config.max_labels),
        ):
            if not 1 <= length <= most:
                raise InputError(f"{_place(example, row)}: expected 1 to {most} {what}, got {length}")
        wrong = np.flatnonzero((example.tokens < 1) | (example.tokens >= config.label_bound))
        if len(wrong):
            raise InputError(
                f"{_place(example, row)}: expected tokens from 1 to {config.label_bound - 1}, "
                f"got {example.tokens[wrong[0]]} at place {wrong[0] + 1}"
            )
        batch["tokens"][row, : len(example.tokens)] = example.tokens
        batch["token_lengths"][row] = len(example.tokens)
    return batch


def sized_for(examples: Batch, config: ModelConfig) -> ModelConfig:
    """The configuration with the smallest sizes that hold a batch of these."""
    frames = max((example.frame_count for example in examples), default=0)
    return config.shortest(frames, max((len(example.tokens) for example in examples), default=0))


def _place(example: Example | CachedExample, row: int) -> str:
    """An example, for error messages."""
    return example.where or f"utterance {row + 1} of the batch"


def longest_examples(config: ModelConfig) -> list[Example]:
    """A batch of noise whose rows have the largest sizes: the cost of a step depends on the shapes."""
    random, sizes = np.random.default_rng(0), config.sizes
    frames = random.standard_normal([sizes.batch, sizes.max_frames, config.features.width], np.float32)
    tokens = random.integers(config.first_label, config.label_bound, [sizes.batch, config.max_labels], np.int32)
    return [Example(*row, "", "noise") for row in zip(frames, tokens)]


def checked_frames(frames: object, width: int, where: str = "frames", *, finite: bool = True) -> np.ndarray:
    """Frames [time, width] as float32; InputError unless they are floats of that shape, and `finite`: a training
    step answers frames that are not by skipping."""
    array = floats_of(frames, where, "frames")
    if array.ndim != 2 or array.shape[1] != width:
        raise InputError(f"{where}: expected frames [time, {width}], got shape {list(array.shape)}")
    if finite and not np.all(np.isfinite(array)):
        raise InputError(f"{where}: expected finite frames, some are NaN or infinite")
    return array.astype(np.float32, copy=False)


def padded_frames(frames: np.ndarray, size: int, width: int) -> dict[str, np.ndarray]:
    """One utterance's inputs: frames [time, width] -> frames [1, size, width], frame_lengths [1] int32."""
    frames = checked_frames(frames, width)
    if len(frames) > size:
        raise InputError(f"expected frames of at most {size} x {width}, got shape {list(frames.shape)}")
    padded = np.zeros([1, size, width], np.float32)
    padded[0, : len(frames)] = frames
    return {"frames": padded, "frame_lengths": np.asarray([len(frames)], np.int32)}
