"""The streaming transducer of Sim et al. 2019, section 2, at any size: LSTM encoder, prediction and joint network."""

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import ModelConfig
from tflite_asr.layers.encoder import LSTMGroup, stack_frames
from tflite_asr.layers.transducer import JointNetwork, PredictionNetwork
from tflite_asr.losses.transducer import transducer_loss
from tflite_asr.models.greedy import greedy
from tflite_asr.ops import kept
from tflite_asr.ops.elementary import log_softmax
from tflite_asr.ops.log_mel import log_mel


class Transducer(keras.Model):
    """Frames in, label sequence probabilities out.

    `groups` are the encoder's layer groups in order, `label_groups` the prediction network's; `all_groups` has both
    and the joint network after them. Every weight belongs to exactly one of them. The methods are those that
    `signatures` asks of a model.
    """

    label_inputs = ("tokens", "token_lengths")
    recording = staticmethod(kept.recording)
    replaying = staticmethod(kept.replaying)

    def __init__(self, config: ModelConfig):
        super().__init__(name=config.name)
        self.config = config
        encoder, prediction = config.encoder, config.prediction
        self.groups = [
            LSTMGroup(
                encoder.units,
                reduction=encoder.reduction if index == encoder.reduce_after else 1,
                dropout=encoder.dropout if index else 0.0,
                cells=encoder.cells,
                name=f"encoder_{index}",
            )
            for index in range(encoder.layers)
        ]
        self.label_groups = [
            PredictionNetwork(
                config.vocabulary_size,
                prediction.embedding,
                prediction.units,
                prediction.dropout,
                prediction.cells,
                name="prediction",
            ),
            *(
                LSTMGroup(prediction.units, dropout=prediction.dropout, cells=prediction.cells, name=f"prediction_{index}")
                for index in range(1, prediction.layers)
            ),
        ]
        self.joint = JointNetwork(config.vocabulary_size, config.joint_units, name="joint")
        self.all_groups = [*self.groups, *self.label_groups, self.joint]
        # build every weight: one short utterance through the loss
        self.loss(
            tf.zeros([1, 2 * encoder.frames_per_step, config.features.mel_bands]),
            tf.constant([2 * encoder.frames_per_step]),
            tf.constant([[1, 1]]),
            tf.constant([2]),
        )

    def encode(self, frames, lengths, states=None, training=False):
        """Run the encoder, from zero states or from those that an earlier chunk left.

        Args:
            frames: [batch, time, mel_bands] float32; ignored past the lengths.
            lengths: [batch] int32, in frames.
            states: a list of (hidden, cell) per group, or None.

        Returns:
            [batch, time // frames_per_step, units], lengths in those steps, and the new states.
        """
        x, lengths = self.front(frames, lengths)
        new_states = []
        for index, group in enumerate(self.groups):
            x, lengths, state = group(x, lengths, states[index] if states else None, training=training)
            new_states.append(state)
        return x, lengths, new_states

    def front(self, frames, frame_lengths):
        """What the first encoder group takes: x [batch, steps, d] and lengths in those steps [batch]."""
        return stack_frames(frames, frame_lengths, self.config.encoder.stack_frames)

    def label_front(self, tokens, token_lengths):
        """What the first label group takes: start and labels [batch, U+1] int32, and their number [batch]."""
        return tf.pad(tokens, [[0, 0], [1, 0]]), token_lengths + 1

    def predict_labels(self, tokens, token_lengths, training=False):
        """tokens [batch, U] int32 -> prediction network outputs [batch, U+1, units] after 0, 1, ... U labels."""
        x, lengths = self.label_front(tokens, token_lengths)
        for group in self.label_groups:
            x, lengths, _ = group(x, lengths, training=training)
        return x

    def join_loss(self, encoded, lengths, predicted, tokens, token_lengths):
        """Loss [batch] from what the last encoder group and the last label group put out."""
        logits = self.joint((encoded, predicted), lattice=True)
        return transducer_loss(logits, tokens, lengths, token_lengths)

    def loss(self, frames, frame_lengths, tokens, token_lengths, training=False):
        """Transducer loss of each utterance: [batch] float32, in nats. Rows of frame length 0 count as 0."""
        encoded, lengths, _ = self.encode(frames, frame_lengths, training=training)
        predicted = self.predict_labels(tokens, token_lengths, training=training)
        return self.join_loss(encoded, lengths, predicted, tokens, token_lengths)

    def features(self, samples):
        """samples [batch, n] float32 -> log-mel frames [batch, frames, mel_bands]."""
        return log_mel(samples, self.config.features)

    def initial_states(self, batch: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """The encoder's zero states, (hidden, cell) per group."""
        return [(tf.zeros([batch, g.units]), tf.zeros([batch, g.cells])) for g in self.groups]

    def start_labels(self, batch: int):
        """The prediction network before any label: output [batch, units], hidden and cell as in `predict_label`."""
        prediction = self.config.prediction
        hidden, cell = tf.zeros([batch, prediction.hidden_size]), tf.zeros([batch, prediction.cell_size])
        return self.predict_label(tf.zeros([batch], tf.int32), hidden, cell)

    def predict_label(self, token, hidden, cell):
        """One label on: token [batch] int32, hidden [batch, hidden_size], cell [batch, cell_size] of all layers ->
        output [batch, units], hidden, cell."""
        layers, lengths = len(self.label_groups), tf.ones_like(token)
        x, states = tf.expand_dims(token, 1), []
        for group, *state in zip(self.label_groups, tf.split(hidden, layers, 1), tf.split(cell, layers, 1)):
            x, _, state = group(x, lengths, state)
            states.append(state)
        hidden, cell = (tf.concat(parts, axis=1) for parts in zip(*states))
        return tf.squeeze(x, axis=1), hidden, cell

    def join(self, encoded, predicted):
        """encoded [batch, e], predicted [batch, p] -> log probabilities of the labels [batch, vocabulary]."""
        return log_softmax(self.joint((encoded, predicted)))

    def decode(self, encoded, lengths, predicted, hidden, cell, max_tokens: int):
        """Greedy labels from a state of the prediction network; see `models.greedy`."""
        return greedy(self, encoded, lengths, predicted, hidden, cell, max_tokens)

    def batch_inputs(self) -> tuple[tf.TensorSpec, ...]:
        """The arguments of `loss`, at the fixed sizes."""
        sizes = self.config.sizes
        return (
            tf.TensorSpec([sizes.batch, sizes.max_frames, self.config.features.mel_bands], tf.float32, "frames"),
            tf.TensorSpec([sizes.batch], tf.int32, "frame_lengths"),
            tf.TensorSpec([sizes.batch, sizes.max_tokens], tf.int32, "tokens"),
            tf.TensorSpec([sizes.batch], tf.int32, "token_lengths"),
        )

    def row_weights(self, frames, frame_lengths, tokens, token_lengths):
        """[batch] float32: 0 for the rows without frames."""
        return tf.cast(frame_lengths > 0, tf.float32)

    def group_steps(self) -> list[int]:
        """Input steps of each group for the longest utterance; the joint network's are the lattice's nodes."""
        sizes, encoder = self.config.sizes, self.config.encoder
        steps, inputs = sizes.max_frames // encoder.stack_frames, []
        for group in self.groups:
            inputs.append(steps)
            steps //= group.reduction
        labels = [sizes.max_tokens + 1 for _ in self.label_groups]
        return [*inputs, *labels, steps * (sizes.max_tokens + 1)]

    def named_weights(self) -> dict[str, tf.Variable]:
        """Every weight by its tree path, `encoder_0/kernel`, in the order of the groups."""
        return {
            weight.name.removeprefix(f"{self.name}/").removesuffix(":0"): weight
            for group in self.all_groups
            for weight in group.weights
        }
