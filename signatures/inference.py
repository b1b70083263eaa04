"""Signatures that recognise whole utterances with any model: features, labels, and stages from exit to exit."""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from signatures.spec import LayerGroup, Signature, in_range, minus_one_unless, one_value, value_of, zero_unless

INVALID = "-1 for lengths out of range"  # what a signature answers to them


class FrontEnd(Protocol):
    """Computes frames from samples."""

    counts_samples: bool  # whether it needs the number of samples of each row
    makes: str  # its output, in words


class Recogniser(Protocol):
    """A model that labels utterances, perhaps at several exits; shapes as in `tflite_asr.models.speech`."""

    all_groups: Sequence[LayerGroup]
    front_end: FrontEnd
    stages: Sequence[Sequence[LayerGroup]]  # the encoder's groups from one exit to the next
    decodes: bool  # whether a second pass needs the encoder's output, which `encode_for_both` then gives
    heads: Sequence[LayerGroup]  # that give label probabilities, behind all stages or all but the last

    def features(self, samples: tf.Tensor, sample_lengths: tf.Tensor) -> tf.Tensor:
        """Samples [1, n] and their counts [1] -> frames [1, time, width]."""
        ...

    def front(self, frames: tf.Tensor, frame_lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Frames and their lengths -> the first group's input [1, steps, d] and its lengths."""
        ...

    def run_stage(self, stage: int, x: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Run the groups of a stage: output [1, steps, units] and its lengths."""
        ...

    def encode_for_both(self, frames: tf.Tensor, frame_lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The encoder's output, the output of the groups that both passes share, and their lengths."""
        ...

    def label_probabilities(self, stage: int, x: tf.Tensor) -> tf.Tensor:
        """Log probabilities [1, steps, vocabulary] behind a stage."""
        ...

    def transcribe(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor, max_tokens: int, exit: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Greedy labels [1, max_tokens] and their counts [1], at an exit."""
        ...

    def last_labels(self, encoded: tf.Tensor, lengths: tf.Tensor, max_tokens: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Greedy labels [1, max_tokens] and their counts [1], from the encoder's output."""
        ...


def inference_signatures(
    model: Recogniser, *, frame_width: int, max_samples: int, max_frames: int, max_tokens: int
) -> list[Signature]:
    """`features`, `infer` and, where the last head gives label probabilities, `encode`, of one utterance at a time.

    With early exits, `infer` takes the `exit` [1] int32, and there is `stage_<k>` for each: the groups from the exit
    before to this one, so that a host can look at the probabilities and stop. A last head without label probabilities
    gives its greedy labels there.

    A length or an exit that is out of range gives the length -1.
    """
    groups = tuple(group.name for group in model.all_groups)
    samples_specs = (
        tf.TensorSpec([1, max_samples], tf.float32, name="samples"),
        *([tf.TensorSpec([1], tf.int32, name="sample_lengths")] if model.front_end.counts_samples else []),
    )
    frames_specs = (
        tf.TensorSpec([1, max_frames, frame_width], tf.float32, name="frames"),
        tf.TensorSpec([1], tf.int32, name="frame_lengths"),
    )
    early = len(model.stages) > 1

    def features(samples, sample_lengths=None):
        return {"frames": model.features(samples, sample_lengths)}

    def infer(frames, frame_lengths, exit=None):
        valid = in_range(frame_lengths, 0, max_frames)
        if exit is not None:
            exit = value_of(exit)
            valid &= in_range(exit, 0, len(model.stages) - 1)
        tokens, count = model.transcribe(frames, zero_unless(valid, frame_lengths), max_tokens, exit)
        return {"tokens": tokens, "token_lengths": minus_one_unless(valid, count)}

    def encode(frames, frame_lengths):
        valid = in_range(frame_lengths, 0, max_frames)
        frame_lengths = zero_unless(valid, frame_lengths)
        shared = {}
        if model.decodes:
            x, shared["encoded"], lengths = model.encode_for_both(frames, frame_lengths)
        else:
            x, lengths = model.front(frames, frame_lengths)
            for stage in range(len(model.stages)):
                x, lengths = model.run_stage(stage, x, lengths)
        lengths = minus_one_unless(valid, lengths)
        return {"log_probabilities": model.label_probabilities(-1, x), "encoded_lengths": lengths, **shared}

    infer_inputs = (*frames_specs, *([one_value("exit", tf.int32)] if early else []))
    infer_does = f"frames to token ids, greedily, a whole utterance{', left at an exit' if early else ''}; {INVALID}"
    signatures = [
        Signature("features", f"PCM samples to {model.front_end.makes}", features, samples_specs),
        Signature("infer", infer_does, infer, infer_inputs, reads=groups),
    ]
    if len(model.heads) == len(model.stages):
        does = f"frames to log probabilities of the labels at each step, for beam search; {INVALID}"
        encoder = [group.name for stage in model.stages for group in stage]
        signatures.append(Signature("encode", does, encode, frames_specs, reads=(*encoder, model.heads[-1].name)))
    return [*signatures, *(_stage_signatures(model, frames_specs, max_tokens) if early else [])]


def _stage_signatures(model: Recogniser, frames_specs: tuple[tf.TensorSpec, ...], max_tokens: int) -> list[Signature]:
    signatures, specs = [], frames_specs
    x, lengths = model.front(*(tf.zeros(spec.shape, spec.dtype) for spec in frames_specs))
    for stage in range(len(model.stages)):
        signatures.append(_stage_signature(model, stage, specs, max_tokens))
        x, lengths = model.run_stage(stage, x, lengths)
        specs = (
            tf.TensorSpec(x.shape, tf.float32, "encoded"),
            tf.TensorSpec(lengths.shape, tf.int32, "encoded_lengths"),
        )
    return signatures


def _stage_signature(model: Recogniser, stage: int, inputs: tuple[tf.TensorSpec, ...], max_tokens: int) -> Signature:
    has_head = stage < len(model.heads)

    def run(**values):
        x, lengths = (values[spec.name] for spec in inputs)
        valid = in_range(lengths, 0, x.shape[1])
        lengths = zero_unless(valid, lengths)
        if stage == 0:
            x, lengths = model.front(x, lengths)
        x, lengths = model.run_stage(stage, x, lengths)
        outputs = {"encoded": x, "encoded_lengths": minus_one_unless(valid, lengths)}
        if has_head:
            return {**outputs, "log_probabilities": model.label_probabilities(stage, x)}
        tokens, count = model.last_labels(x, lengths, max_tokens)
        return {**outputs, "tokens": tokens, "token_lengths": minus_one_unless(valid, count)}

    said = "its log probabilities" if has_head else "what is said, greedily"
    does = f"{'frames' if stage == 0 else 'what the stage before put out'} to exit {stage} and {said}; {INVALID}"
    inner = {group.name for other in model.stages for group in other} | {head.name for head in model.heads}
    own = [group.name for group in model.stages[stage]]
    heads = [model.heads[stage].name] if has_head else [g.name for g in model.all_groups if g.name not in inner]
    return Signature(f"stage_{stage}", does, run, inputs, reads=(*own, *heads))
