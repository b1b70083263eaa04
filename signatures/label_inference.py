"""Signatures that recognise with a model which labels every encoder step, as CTC does."""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from signatures.spec import LayerGroup, Signature


class StepLabeller(Protocol):
    """A model with label probabilities at each step; shapes as in `tflite_asr.models.ctc`."""

    all_groups: Sequence[LayerGroup]

    def features(self, samples): ...
    def label_probabilities(self, frames, frame_lengths): ...
    def transcribe(self, frames, frame_lengths, max_tokens): ...


def label_inference_signatures(
    model: StepLabeller, *, mel_bands: int, max_samples: int, max_frames: int, max_tokens: int
) -> list[Signature]:
    """`features`, `infer`, `encode`, of one utterance at a time."""
    groups = tuple(group.name for group in model.all_groups)

    def features(samples):
        return {"frames": model.features(samples)}

    def infer(frames, frame_lengths):
        tokens, count = model.transcribe(frames, frame_lengths, max_tokens)
        return {"tokens": tokens, "token_lengths": count}

    def encode(frames, frame_lengths):
        log_probabilities, lengths = model.label_probabilities(frames, frame_lengths)
        return {"log_probabilities": log_probabilities, "encoded_lengths": lengths}

    samples_spec = tf.TensorSpec([1, max_samples], tf.float32, name="samples")
    inputs = (
        tf.TensorSpec([1, max_frames, mel_bands], tf.float32, name="frames"),
        tf.TensorSpec([1], tf.int32, name="frame_lengths"),
    )
    return [
        Signature("features", "PCM samples to log-mel frames", features, (samples_spec,)),
        Signature("infer", "frames to token ids, greedily, a whole utterance", infer, inputs, reads=groups),
        Signature("encode", "frames to log probabilities of the labels at each step, for beam search", encode, inputs, reads=groups),
    ]
