"""The transducer of Sim et al. 2019, section 2, at any size: encoder, prediction and joint network. With early exits
below it; over LSTM groups it streams.
"""

import tensorflow as tf

from tflite_asr.config import ModelConfig
from tflite_asr.config.heads import required
from tflite_asr.layers.encoder import LSTMGroup
from tflite_asr.layers.transducer import JointNetwork, PredictionNetwork
from tflite_asr.losses.transducer import alignment_loss, next_labels
from tflite_asr.models.greedy import greedy
from tflite_asr.models.speech import SpeechModel
from tflite_asr.ops.elementary import log_softmax, zero_padding

LABEL_STATE = ("predicted", "hidden", "cell")  # of the prediction network, as `predict_label` gives them


class Transducer(SpeechModel):
    """Frames in, label sequence probabilities out.

    `groups` are the encoder's layer groups in order, `label_groups` the prediction network's; `all_groups` has both,
    the heads of early exits between them, and the joint network after them. Every weight belongs to exactly one of
    them. The methods are those that `signatures` asks of a model.
    """

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        prediction = required(config.prediction, "prediction network")
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
                LSTMGroup(
                    prediction.units, dropout=prediction.dropout, cells=prediction.cells, name=f"prediction_{index}"
                )
                for index in range(1, prediction.layers)
            ),
        ]
        self.joint = JointNetwork(config.vocabulary_size, config.joint_units, name="joint")
        self.all_groups = [*self.groups, *self.heads, *self.label_groups, self.joint]
        self.build_weights()

    def label_front(self, tokens: tf.Tensor, token_lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The first label group's input: start and labels [batch, U+1] int32, and their number [batch]."""
        return tf.pad(tokens, [[0, 0], [1, 0]]), token_lengths + 1

    def predict_labels(self, tokens: tf.Tensor, token_lengths: tf.Tensor, training: bool = False) -> tf.Tensor:
        """tokens [batch, U] int32 -> prediction network outputs [batch, U+1, units] after 0, 1, ... U labels."""
        x, lengths = self.label_front(tokens, token_lengths)
        for group in self.label_groups:
            x, lengths, _ = group(x, lengths, training=training)
        return x

    def join_loss(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        predicted: tf.Tensor | None,
        tokens: tf.Tensor,
        token_lengths: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """Loss [batch] from the output of the last encoder group and of the last label group."""
        one_hot = next_labels(tokens, self.config.vocabulary_size)
        blank, label = self.joint((zero_padding(encoded, lengths), predicted), one_hot=one_hot)
        return alignment_loss(blank, label, lengths, token_lengths)

    def start_memory(self, batch: int) -> dict[str, tf.Tensor]:
        """The state of CTC heads, and the prediction network after the labels so far; see `start_labels`."""
        return super().start_memory(batch) | dict(zip(LABEL_STATE, self.start_labels(batch)))

    def continue_labels(
        self, stage: int, x: tf.Tensor, lengths: tf.Tensor, memory: dict[str, tf.Tensor], max_tokens: int
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """See `SpeechModel`; the last stage has the transducer behind it."""
        if stage < len(self.heads):
            return super().continue_labels(stage, x, lengths, memory, max_tokens)
        predicted, hidden, cell = (memory[name] for name in LABEL_STATE)
        tokens, count, *state = self.decode(x, lengths, predicted, hidden, cell, max_tokens)
        return tokens, count, dict(zip(LABEL_STATE, state))

    def start_labels(self, batch: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The prediction network before any label: output [batch, units], hidden and cell as in `predict_label`."""
        prediction = required(self.config.prediction, "prediction network")
        hidden, cell = tf.zeros([batch, prediction.hidden_size]), tf.zeros([batch, prediction.cell_size])
        return self.predict_label(tf.zeros([batch], tf.int32), hidden, cell)

    def predict_label(
        self, token: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One label on: token [batch] int32, hidden [batch, hidden_size], cell [batch, cell_size] of all layers ->
        output [batch, units], hidden, cell."""
        layers, lengths = len(self.label_groups), tf.ones_like(token)
        x, states = tf.expand_dims(token, 1), []
        for group, *state in zip(self.label_groups, tf.split(hidden, layers, 1), tf.split(cell, layers, 1)):
            x, _, state = group(x, lengths, state)
            states.append(state)
        hidden, cell = (tf.concat(parts, axis=1) for parts in zip(*states))
        return tf.squeeze(x, axis=1), hidden, cell

    def join(self, encoded: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
        """encoded [batch, e], predicted [batch, p] -> log probabilities of the labels [batch, vocabulary]."""
        return log_softmax(self.joint((encoded, predicted)))

    def last_labels(self, encoded: tf.Tensor, lengths: tf.Tensor, max_tokens: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Greedy labels from the encoder's output [batch, steps, units], as `transcribe` returns them."""
        tokens, count, *_ = self.decode(encoded, lengths, *self.start_labels(encoded.shape[0]), max_tokens)
        return tokens, count

    def decode(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        predicted: tf.Tensor,
        hidden: tf.Tensor,
        cell: tf.Tensor,
        max_tokens: int,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Greedy labels from a state of the prediction network; see `models.greedy`."""
        return greedy(self, encoded, lengths, predicted, hidden, cell, max_tokens)

    def group_steps(self) -> list[int]:
        """Input steps of each group for the longest utterance; the joint network's are the lattice's nodes."""
        sizes = self.config.sizes
        *inputs, steps = self.encoder_steps()
        labels = [sizes.max_tokens + 1 for _ in self.label_groups]
        return [*inputs, *self.exit_steps(), *labels, steps * (sizes.max_tokens + 1)]
