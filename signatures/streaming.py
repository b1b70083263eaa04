"""`stream`: an utterance in chunks, with explicit state in and out."""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from signatures.inference import INVALID
from signatures.spec import LayerGroup, Signature, in_range, minus_one_unless, one_value, value_of, zero_unless


class StreamingModel(Protocol):
    """A model whose encoder groups have states; shapes as in `tflite_asr.models.streaming`."""

    all_groups: Sequence[LayerGroup]
    stages: Sequence[Sequence[LayerGroup]]  # the encoder's groups from one exit to the next

    def initial_states(self, batch: int) -> list[tuple[tf.Tensor, ...]]:
        """The zero states of the encoder's groups."""
        ...

    def start_memory(self, batch: int) -> dict[str, tf.Tensor]:
        """The state of the heads at the start of an utterance."""
        ...

    def has_labels(self, tokens: tf.Tensor) -> tf.Tensor:
        """bool of the same shape: which tokens are in the vocabulary."""
        ...

    def label_chunk(
        self,
        frames: tf.Tensor,
        frame_lengths: tf.Tensor,
        states: list[tuple[tf.Tensor, ...]],
        memory: dict[str, tf.Tensor],
        max_tokens: int,
        exit: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor, list[tuple[tf.Tensor, ...]], dict[str, tf.Tensor]]:
        """Greedy labels of a chunk [1, max_tokens], their counts [1], the new states, and the new memory."""
        ...


def stream_signature(model: StreamingModel, *, frame_width: int, stream_frames: int, stream_tokens: int) -> Signature:
    """The signature `stream`, of one utterance at a time.

    What it remembers is, of the encoder's groups, `state_<k>_hidden` and `state_<k>_cell`, zeros at first; of heads,
    what `start_memory` has: a CTC head's `label`, blank (0) at first, and a transducer's `predicted`, `hidden` and
    `cell`, at first what `predict` makes of blank and zeros. With early exits it takes the `exit` [1] int32. What
    `label_chunk` gives besides comes out too: of a model with a second pass, `encoded` and `encoded_lengths` of the
    chunk.

    A chunk whose length, exit or remembered `label` is out of range gives lengths of -1 and changes nothing remembered.
    """
    states, memory = model.initial_states(1), model.start_memory(1)
    flat = {
        f"state_{index}_{part}": one for index, pair in enumerate(states) for part, one in zip(("hidden", "cell"), pair)
    }
    # shapes from the model itself: nothing is written twice
    remembered = tuple(tf.TensorSpec(one.shape, one.dtype, name) for name, one in {**memory, **flat}.items())

    def stream(frames, frame_lengths, exit=None, **values):
        pairs = tf.nest.pack_sequence_as(states, [values[name] for name in flat])
        given = {name: values[name] for name in memory}
        valid = in_range(frame_lengths, 0, stream_frames)
        if exit is not None:
            exit = value_of(exit)
            valid &= in_range(exit, 0, len(model.stages) - 1)
        if "label" in given:
            valid &= model.has_labels(given["label"])
        lengths = zero_unless(valid, frame_lengths)
        tokens, count, pairs, others = model.label_chunk(frames, lengths, pairs, given, stream_tokens, exit)
        if "encoded_lengths" in others:
            others["encoded_lengths"] = minus_one_unless(valid, others["encoded_lengths"])
        labels = {"tokens": tokens, "token_lengths": minus_one_unless(valid, count)}
        return {**labels, **others, **dict(zip(flat, tf.nest.flatten(pairs)))}

    inputs = (
        tf.TensorSpec([1, stream_frames, frame_width], tf.float32, "frames"),
        tf.TensorSpec([1], tf.int32, "frame_lengths"),
        *([one_value("exit", tf.int32)] if len(model.stages) > 1 else []),
        *remembered,
    )
    does = f"frames to token ids by chunks, what it remembers going in and coming out; {INVALID}"
    return Signature("stream", does, stream, inputs, reads=tuple(group.name for group in model.all_groups))
