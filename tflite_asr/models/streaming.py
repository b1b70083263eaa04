"""Greedy labels of an utterance by chunks, at any exit of an encoder of LSTM groups."""

from typing import TYPE_CHECKING

import tensorflow as tf

from tflite_asr.layers.encoder import GroupState

if TYPE_CHECKING:
    from tflite_asr.models.speech import SpeechModel


def label_chunk(
    model: "SpeechModel",
    frames: tf.Tensor,
    frame_lengths: tf.Tensor,
    states: list[GroupState],
    memory: dict[str, tf.Tensor],
    max_tokens: int,
    exit: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, list[GroupState], dict[str, tf.Tensor]]:
    """Labels of one chunk; groups above the exit are not computed and keep their states.

    Args:
        model: a `SpeechModel` that streams.
        frames, frame_lengths: as its `encode` takes them.
        states: of the encoder's groups, as `initial_states` or an earlier chunk gave them.
        memory: of the heads, as `start_memory` or an earlier chunk gave it.
        max_tokens: labels of a row after which the rest of it is dropped.
        exit: [] int32, counted from 0, the same for all chunks; None for the last.

    Returns:
        tokens [batch, max_tokens] int32 padded with 0, their counts [batch] int32, states, memory and what else
        `continue_labels` tells.
    """
    last = len(model.stages) - 1

    def from_stage(stage, x, lengths, new_states):
        for group in model.stages[stage]:
            x, lengths, state = group(x, lengths, states[len(new_states)])
            new_states = [*new_states, tuple(state)]

        def here():
            tokens, count, changed = model.continue_labels(stage, x, lengths, memory, max_tokens)
            return tokens, count, [*new_states, *states[len(new_states) :]], {**memory, **changed}

        if stage == last:
            return here()
        if exit is None:
            return from_stage(stage + 1, x, lengths, new_states)
        return tf.cond(exit <= stage, here, lambda: from_stage(stage + 1, x, lengths, new_states))

    return from_stage(0, *model.front(frames, frame_lengths), [])
