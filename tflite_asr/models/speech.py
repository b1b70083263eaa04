"""The base of every recogniser: features, an encoder of layer groups, optional early exits, the batch of its loss."""

import functools
import itertools
from collections.abc import Sequence

import tensorflow as tf
import tf_keras as keras

from signatures.spec import in_range, zero_unless
from tflite_asr.config import ModelConfig
from tflite_asr.layers.ctc import CTCHead, best_path, continue_path
from tflite_asr.layers.encoder import GroupState, stack_frames
from tflite_asr.layers.front_ends import make_front_end
from tflite_asr.layers.groups import encoder_groups
from tflite_asr.losses.ctc import ctc_loss
from tflite_asr.losses.exits import exit_weights, joint_loss
from tflite_asr.models.grids import Grid
from tflite_asr.models.row_weights import nan_outside, nan_without_labels
from tflite_asr.models.streaming import label_chunk
from tflite_asr.ops.elementary import log_softmax
from tflite_asr.ops.saved import restoring, saving


class SpeechModel(keras.Model):
    """Front end, encoder and CTC heads (Graves et al. 2006) of early exits (Wright et al. 2023, arXiv 2309.09546); a
    subclass adds what the last exit has besides, `all_groups`, `join_loss` and `group_steps`.

    `groups` are the encoder's layer groups in order, `stages` the same from one exit to the next; without early exits
    there is one stage, the whole encoder. `heads` are behind the stages, all of them or all but the last. The methods
    are those that `signatures` asks of a model.
    """

    label_inputs = ("tokens", "token_lengths")
    decodes = False  # whether it has a second pass that decodes by itself
    saving = staticmethod(saving)
    restoring = staticmethod(restoring)

    def __init__(self, config: ModelConfig):
        super().__init__(name=config.name)
        self.config = config
        self.front_end = make_front_end(config.features)
        self.fixed = [self.front_end]  # layers whose weights never train on the device
        self.groups = encoder_groups(config)
        prenorm = config.encoder.prenorm
        self.heads = [
            CTCHead(config.vocabulary_size, normalizes=prenorm, name=f"exit_{group}") for group in config.exits
        ]
        self.heads += [] if config.is_transducer else [CTCHead(config.vocabulary_size, name="ctc")]
        starts = [0, *(group + 1 for group in config.exits), len(self.groups)]
        self.stages = [self.groups[start:end] for start, end in itertools.pairwise(starts)]
        self.grids: dict[str, Grid] = {}  # of weights that were imported as int8, by tree path
        self.streams = config.encoder.streams
        self.label_groups: list[keras.layers.Layer] = []  # of a label history, where a subclass has one

    def with_config(self, config: ModelConfig) -> "SpeechModel":
        """The same model, its groups and weights, with another configuration of the same layers."""
        other = object.__new__(type(self))  # Keras copies the weights too
        other.__dict__.update(self.__dict__, config=config)
        return other

    def build_weights(self) -> None:
        """Create every weight by computing the loss of one short utterance."""
        frames = 2 * self.config.encoder.frames_per_step
        samples = self.config.features.samples_of(1)
        self.front_end(tf.zeros([1, samples]), tf.constant([samples]))
        self.loss(
            tf.zeros([1, frames, self.config.features.width]),
            tf.constant([frames]),
            tf.constant([[1, 1]]),
            tf.constant([2]),
        )

    def front(self, frames: tf.Tensor, frame_lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The first encoder group's input: x [batch, steps, d] and its lengths [batch]; 0 for lengths out of range."""
        valid = in_range(frame_lengths, 0, frames.shape[1])
        return stack_frames(frames, zero_unless(valid, frame_lengths), self.config.encoder.stack_frames)

    def encode(
        self, frames: tf.Tensor, lengths: tf.Tensor, states: Sequence[GroupState] | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, list[GroupState]]:
        """Run the encoder, from zero states or from those that an earlier chunk left.

        Args:
            frames: [batch, time, mel_bands] float32; ignored past the lengths.
            lengths: [batch] int32, in frames.
            states: a list of one state per group, or None.

        Returns:
            [batch, time // frames_per_step, units], lengths in those steps, and the new states.
        """
        x, lengths = self.front(frames, lengths)
        new_states = []
        for index, group in enumerate(self.groups):
            x, lengths, state = group(x, lengths, states[index] if states else None, training=training)
            new_states.append(state)
        return x, lengths, new_states

    @property
    def shared_groups(self) -> int:
        """How many of the encoder's groups a second pass hears."""
        return len(self.groups)

    def encode_from(
        self, first: int, x: tf.Tensor, lengths: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Run the encoder from group number `first` on.

        Args:
            first: index of a group.
            x: its input [batch, steps, d]; lengths: [batch] int32.

        Returns:
            the encoder's output [batch, steps, units]; the output of the shared groups, or x if they are all before
            `first`; and lengths in the output's steps.
        """
        shared = x
        for index, group in enumerate(self.groups[first:], start=first):
            x, lengths, _ = group(x, lengths, training=training)
            if index < self.shared_groups:
                shared = x
        return x, shared, lengths

    def run_stage(
        self, stage: int, x: tf.Tensor, lengths: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Run the groups of a stage on the output of the former stage or of `front`: x [batch, steps, d], lengths."""
        for group in self.stages[stage]:
            x, lengths, _ = group(x, lengths, training=training)
        return x, lengths

    @property
    def inner_exits(self) -> dict[str, keras.layers.Layer]:
        """The heads of the early exits, by the group that each is behind."""
        return {stage[-1].name: head for stage, head in zip(self.stages[:-1], self.heads)}

    def exit_loss(
        self, group: str, x: tf.Tensor, lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor
    ) -> tf.Tensor:
        """Loss [batch] at the early exit behind a group, weighted as in `loss`, from the group's output."""
        exit = [*self.inner_exits].index(group)
        weight = exit_weights(len(self.stages), self.config.exit_weighting)[exit]
        return weight * ctc_loss(self.heads[exit](x), tokens, lengths, token_lengths)

    def exit_losses(
        self,
        frames: tf.Tensor,
        frame_lengths: tf.Tensor,
        tokens: tf.Tensor,
        token_lengths: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """Loss of each utterance at each exit: [exits, batch] float32, in nats. Rows of frame length 0 count as 0."""
        x, lengths = self.front(frames, frame_lengths)
        losses = []
        last = len(self.stages) - 1
        for stage in range(last):
            x, lengths = self.run_stage(stage, x, lengths, training)
            losses.append(ctc_loss(self.heads[stage](x), tokens, lengths, token_lengths))
        x, lengths = self.run_stage(last, x, lengths, training)
        predicted = self.predict_labels(tokens, token_lengths, training)
        return tf.stack([*losses, self.join_loss(x, lengths, predicted, tokens, token_lengths, training)])

    def predict_labels(self, tokens: tf.Tensor, token_lengths: tf.Tensor, training: bool = False) -> tf.Tensor | None:
        """The input of `join_loss` from the labels; None for a head without label history."""
        return None

    def joint_loss(self, exit_losses: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[exits, batch] -> [batch], weighted as the configuration says."""
        return joint_loss(exit_losses, self.config.exit_weighting, draw=training)

    def loss(
        self,
        frames: tf.Tensor,
        frame_lengths: tf.Tensor,
        tokens: tf.Tensor,
        token_lengths: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """Joint loss of each utterance: [batch] float32, in nats; without early exits that of the only one."""
        return self.joint_loss(self.exit_losses(frames, frame_lengths, tokens, token_lengths, training), training)

    def transcribe(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor, max_tokens: int, exit: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Greedy labels of whole utterances, left at an exit; the groups above it are not computed.

        Args:
            frames, frame_lengths: as `encode` takes them.
            max_tokens: labels of a row after which the rest of it is dropped.
            exit: [] int32, counted from 0; None for the last.

        Returns:
            tokens [batch, max_tokens] int32 padded with 0, their counts [batch] int32.
        """
        last = len(self.stages) - 1

        def from_stage(stage: int, x: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            x, lengths = self.run_stage(stage, x, lengths)
            if stage == last:
                return self.last_labels(x, lengths, max_tokens)
            above = functools.partial(from_stage, stage + 1, x, lengths)
            if exit is None:
                return above()
            return tf.cond(exit <= stage, lambda: best_path(self.heads[stage](x), lengths, max_tokens), above)

        return from_stage(0, *self.front(frames, frame_lengths))

    def last_labels(self, encoded: tf.Tensor, lengths: tf.Tensor, max_tokens: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Greedy labels from the encoder's output [batch, steps, units], as `transcribe` returns them."""
        return best_path(self.heads[-1](encoded), lengths, max_tokens)

    def label_probabilities(self, stage: int, x: tf.Tensor) -> tf.Tensor:
        """Log probabilities [batch, steps, vocabulary] of the labels behind a stage with a CTC head."""
        return log_softmax(self.heads[stage](x))

    def initial_states(self, batch: int) -> list[GroupState]:
        """The states of an encoder that streams, at the start: zeros of LSTM groups, () of adapters."""
        return [group.initial_state(batch) for group in self.groups]

    def start_memory(self, batch: int) -> dict[str, tf.Tensor]:
        """The state of the heads at the start of a stream: of CTC heads the `label` [batch] int32 of the previous
        step.
        """
        return {"label": tf.zeros([batch], tf.int32)} if self.heads else {}

    def continue_labels(
        self, stage: int, x: tf.Tensor, lengths: tf.Tensor, memory: dict[str, tf.Tensor], max_tokens: int
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Greedy labels of a chunk behind a stage: tokens [batch, max_tokens], their counts [batch], and the changed
        entries of the memory; a subclass may add further outputs.
        """
        tokens, count, label = continue_path(self.heads[stage](x), lengths, max_tokens, memory["label"])
        return tokens, count, {"label": label}

    label_chunk = label_chunk  # a method, of an encoder that streams

    def exit_steps(self) -> list[int]:
        """Steps that each of `heads` takes for the longest utterance."""
        ends = [*self.config.exits, len(self.groups) - 1]
        return [self.encoder_steps()[end + 1] for end, _ in zip(ends, self.heads)]

    def features(self, samples: tf.Tensor, counts: tf.Tensor | None = None) -> tf.Tensor:
        """samples [batch, n] float32 and, for a front end that `counts_samples`, counts [batch] int32 of each row ->
        frames [batch, frames, width]."""
        return self.front_end(samples, counts)

    def batch_inputs(self) -> tuple[tf.TensorSpec, ...]:
        """The arguments of `loss`, at the fixed sizes."""
        sizes = self.config.sizes
        return (
            tf.TensorSpec([sizes.batch, sizes.max_frames, self.config.features.width], tf.float32, "frames"),
            tf.TensorSpec([sizes.batch], tf.int32, "frame_lengths"),
            tf.TensorSpec([sizes.batch, sizes.max_tokens], tf.int32, "tokens"),
            tf.TensorSpec([sizes.batch], tf.int32, "token_lengths"),
        )

    def row_weights(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor
    ) -> tf.Tensor:
        """[batch] float32: 1 for an utterance, 0 for a row without frames, NaN for an utterance with invalid lengths or
        labels.
        """
        return self.check_labels(nan_outside(frame_lengths, frames.shape[1]), tokens, token_lengths)

    def check_labels(self, row_weights: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
        """`row_weights` [batch], NaN where an utterance's number of labels is out of range or any of them is no label;
        blank is none.
        """
        return nan_without_labels(row_weights, self.has_labels(tokens) & (tokens != 0), token_lengths)

    def has_labels(self, tokens: tf.Tensor) -> tf.Tensor:
        """bool of the same shape: which of the token ids are in the vocabulary; blank (0) is."""
        return in_range(tokens, 0, self.config.vocabulary_size - 1)

    def encoder_steps(self) -> list[int]:
        """Input steps of each encoder group for the longest utterance, then the encoder's output steps."""
        steps = [self.config.sizes.max_frames // self.config.encoder.stack_frames]
        for group in self.groups:
            steps.append(steps[-1] // group.reduction)
        return steps

    def named_weights(self) -> dict[str, tf.Variable]:
        """Every weight by its tree path, `encoder_0/kernel`, in the order of the groups; first those that
        belong to no group and never train on the device."""
        return self.weights_of([*self.fixed, *self.all_groups])

    def weights_of(self, groups: Sequence[keras.layers.Layer]) -> dict[str, tf.Variable]:
        """The weights of some layers by tree path."""
        return {
            weight.name.removeprefix(f"{self.name}/").removesuffix(":0"): weight
            for group in groups
            for weight in group.weights
        }
