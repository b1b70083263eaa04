"""Signatures that recognise: features, whole utterances, streams, and the pieces that beam search needs."""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from signatures.spec import LayerGroup, Signature


class StreamingTransducer(Protocol):
    """A transducer with a streaming encoder; shapes as in `tflite_asr.models.transducer`."""

    groups: Sequence[LayerGroup]
    all_groups: Sequence[LayerGroup]

    def features(self, samples): ...
    def encode(self, frames, lengths, states=None): ...
    def initial_states(self, batch): ...
    def start_labels(self, batch): ...
    def transcribe(self, frames, frame_lengths, max_tokens): ...
    def decode(self, encoded, lengths, predicted, hidden, cell, max_tokens): ...
    def predict_label(self, token, hidden, cell): ...
    def join(self, encoded, predicted): ...


def inference_signatures(
    model: StreamingTransducer,
    *,
    mel_bands: int,
    max_samples: int,
    max_frames: int,
    max_tokens: int,
    stream_frames: int,
    stream_tokens: int,
    beam: int,
    stream_encoded: bool = False,
) -> list[Signature]:
    """`features`, `infer`, `stream`, `encode`, `predict`, `join`.

    One utterance at a time; `predict` and `join` take `beam` hypotheses at once. What a stream remembers (`state_*`,
    `predicted`, `hidden`, `cell`) goes in and comes out; an utterance starts from zeros and from what `predict` makes of
    blank (0) and zeros. With `stream_encoded`, `stream` also gives the encoder's output, for a second pass at the end.
    """
    groups = tuple(group.name for group in model.all_groups)
    encoder = tuple(group.name for group in model.groups)
    # shapes of the state, from the model itself: nothing is written twice
    predicted_spec, hidden_spec, cell_spec = (
        tf.TensorSpec(tensor.shape, tf.float32, name=name)
        for name, tensor in zip(("predicted", "hidden", "cell"), model.start_labels(1))
    )
    state_specs = [
        tf.TensorSpec(tensor.shape, tf.float32, name=f"state_{index}_{part}")
        for index, state in enumerate(model.initial_states(1))
        for part, tensor in zip(("hidden", "cell"), state)
    ]
    steps = model.encode(tf.zeros([1, max_frames, mel_bands]), tf.zeros([1], tf.int32))[0].shape[1:]

    def features(samples):
        return {"frames": model.features(samples)}

    def infer(frames, frame_lengths):
        tokens, count = model.transcribe(frames, frame_lengths, max_tokens)
        return {"tokens": tokens, "token_lengths": count}

    def stream(frames, frame_lengths, predicted, hidden, cell, **state):
        pairs = [
            (state[f"state_{index}_hidden"], state[f"state_{index}_cell"]) for index in range(len(state_specs) // 2)
        ]
        encoded, lengths, pairs = model.encode(frames, frame_lengths, pairs)
        tokens, count, predicted, hidden, cell = model.decode(encoded, lengths, predicted, hidden, cell, stream_tokens)
        flat = [tensor for pair in pairs for tensor in pair]
        return {
            "tokens": tokens,
            "token_lengths": count,
            "predicted": predicted,
            "hidden": hidden,
            "cell": cell,
            **{spec.name: tensor for spec, tensor in zip(state_specs, flat)},
            **({"encoded": encoded, "encoded_lengths": lengths} if stream_encoded else {}),
        }

    def encode(frames, frame_lengths):
        encoded, lengths, _ = model.encode(frames, frame_lengths)
        return {"encoded": encoded, "encoded_lengths": lengths}

    def predict(tokens, hidden, cell):
        predicted, hidden, cell = model.predict_label(tokens, hidden, cell)
        return {"predicted": predicted, "hidden": hidden, "cell": cell}

    def join(encoded, predicted):
        return {"log_probabilities": model.join(encoded, predicted)}

    frames_spec = tf.TensorSpec([1, max_frames, mel_bands], tf.float32, name="frames")
    chunk_spec = tf.TensorSpec([1, stream_frames, mel_bands], tf.float32, name="frames")
    lengths_spec = tf.TensorSpec([1], tf.int32, name="frame_lengths")
    samples_spec = tf.TensorSpec([1, max_samples], tf.float32, name="samples")

    def rows(spec):
        return tf.TensorSpec([beam, spec.shape[1]], tf.float32, name=spec.name)

    head = tuple(name for name in groups if name not in encoder)
    tokens_spec = tf.TensorSpec([beam], tf.int32, name="tokens")
    encoded_spec = tf.TensorSpec([beam, steps[1]], tf.float32, name="encoded")
    return [
        Signature("features", "PCM samples to log-mel frames", features, (samples_spec,)),
        Signature("infer", "frames to token ids, greedily, a whole utterance", infer, (frames_spec, lengths_spec), reads=groups),
        Signature(
            "stream",
            "the same by chunks, what it remembers going in and coming out",
            stream,
            (chunk_spec, lengths_spec, predicted_spec, hidden_spec, cell_spec, *state_specs),
            reads=groups,
        ),
        Signature("encode", "frames to encoder output, for beam search", encode, (frames_spec, lengths_spec), reads=encoder),
        Signature("predict", "prediction network: one label on, for each hypothesis", predict, (tokens_spec, rows(hidden_spec), rows(cell_spec)), reads=head),
        Signature("join", "joint network: log probabilities of the next label, for each hypothesis", join, (encoded_spec, rows(predicted_spec)), reads=head),
    ]
