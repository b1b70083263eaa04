"""Signatures that recognise with a model which labels every encoder step, as CTC does, perhaps at several exits."""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from signatures.spec import LayerGroup, Signature


class StepLabeller(Protocol):
    """A model with label probabilities at each step; shapes as in `tflite_asr.models.ctc`."""

    all_groups: Sequence[LayerGroup]
    stages: Sequence[Sequence[LayerGroup]]
    heads: Sequence[LayerGroup]  # one behind each stage

    def features(self, samples): ...
    def front(self, frames, frame_lengths): ...
    def stage_probabilities(self, stage, x, lengths): ...
    def label_probabilities(self, frames, frame_lengths, exit): ...
    def transcribe(self, frames, frame_lengths, max_tokens, exit): ...


def label_inference_signatures(
    model: StepLabeller, *, mel_bands: int, max_samples: int, max_frames: int, max_tokens: int
) -> list[Signature]:
    """`features`, `infer`, `encode`, of one utterance at a time.

    With early exits, `infer` and `encode` take the `exit` [] int32, and there is `stage_<k>` for each: the groups from
    the exit before to this one, so that a host can look at the probabilities and stop.
    """
    groups = tuple(group.name for group in model.all_groups)
    samples_spec = tf.TensorSpec([1, max_samples], tf.float32, name="samples")
    frames_specs = (
        tf.TensorSpec([1, max_frames, mel_bands], tf.float32, name="frames"),
        tf.TensorSpec([1], tf.int32, name="frame_lengths"),
    )
    exits = len(model.stages) > 1
    inputs = (*frames_specs, tf.TensorSpec([], tf.int32, name="exit")) if exits else frames_specs

    def features(samples):
        return {"frames": model.features(samples)}

    def infer(frames, frame_lengths, exit=None):
        tokens, count = model.transcribe(frames, frame_lengths, max_tokens, exit)
        return {"tokens": tokens, "token_lengths": count}

    def encode(frames, frame_lengths, exit=None):
        log_probabilities, lengths = model.label_probabilities(frames, frame_lengths, exit)
        return {"log_probabilities": log_probabilities, "encoded_lengths": lengths}

    leaving = ", left at an exit" if exits else ""
    signatures = [
        Signature("features", "PCM samples to log-mel frames", features, (samples_spec,)),
        Signature("infer", f"frames to token ids, greedily, a whole utterance{leaving}", infer, inputs, reads=groups),
        Signature("encode", f"frames to log probabilities of the labels at each step, for beam search{leaving}", encode, inputs, reads=groups),
    ]
    if not exits:
        return signatures
    x, lengths = model.front(tf.zeros([1, max_frames, mel_bands]), tf.zeros([1], tf.int32))
    for stage, (stage_groups, head) in enumerate(zip(model.stages, model.heads)):
        specs = frames_specs if stage == 0 else _encoded_specs(x, lengths)
        signatures.append(_stage_signature(model, stage, specs, (*stage_groups, head)))
        x, lengths, _ = model.stage_probabilities(stage, x, lengths)
    return signatures


def _encoded_specs(x: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.TensorSpec, ...]:
    return tf.TensorSpec(x.shape, tf.float32, name="encoded"), tf.TensorSpec(lengths.shape, tf.int32, name="encoded_lengths")


def _stage_signature(model: StepLabeller, stage: int, inputs: tuple[tf.TensorSpec, ...], groups) -> Signature:
    def run(**values):
        x, lengths = (values[spec.name] for spec in inputs)
        if stage == 0:
            x, lengths = model.front(x, lengths)
        x, lengths, log_probabilities = model.stage_probabilities(stage, x, lengths)
        return {"encoded": x, "encoded_lengths": lengths, "log_probabilities": log_probabilities}

    does = f"{'frames' if stage == 0 else 'what the stage before put out'} to exit {stage} and its log probabilities"
    return Signature(f"stage_{stage}", does, run, inputs, reads=tuple(group.name for group in groups))
