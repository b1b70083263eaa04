"""What every recogniser here has: features, an encoder of layer groups, perhaps with early exits, and the batch that its
loss takes."""

import itertools

import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import ModelConfig
from tflite_asr.layers.ctc import CTCHead
from tflite_asr.layers.encoder import stack_frames
from tflite_asr.layers.groups import encoder_groups
from tflite_asr.losses.ctc import ctc_loss
from tflite_asr.losses.exits import exit_weights, joint_loss
from tflite_asr.ops import kept
from tflite_asr.ops.log_mel import log_mel


class SpeechModel(keras.Model):
    """Front end, encoder and the CTC heads of early exits (Wright et al. 2023, arXiv 2309.09546); a subclass adds the head
    of the last exit, `all_groups`, `join_loss`, `transcribe` and `group_steps`.

    `groups` are the encoder's layer groups in order, `stages` the same from one exit to the next; without early exits
    there is one stage, the whole encoder. The methods are those that `signatures` asks of a model.
    """

    label_inputs = ("tokens", "token_lengths")
    recording = staticmethod(kept.recording)
    replaying = staticmethod(kept.replaying)

    def __init__(self, config: ModelConfig):
        super().__init__(name=config.name)
        self.config = config
        self.groups = encoder_groups(config.encoder)
        self.exit_heads = [CTCHead(config.vocabulary_size, name=f"exit_{group}") for group in config.exits]
        starts = [0, *(group + 1 for group in config.exits), len(self.groups)]
        self.stages = [self.groups[start:end] for start, end in itertools.pairwise(starts)]
        self.label_groups: list[keras.layers.Layer] = []  # of a label history, where a subclass has one

    def build_weights(self) -> None:
        """Make every weight: one short utterance through the loss."""
        frames = 2 * self.config.encoder.frames_per_step
        self.loss(
            tf.zeros([1, frames, self.config.features.mel_bands]),
            tf.constant([frames]),
            tf.constant([[1, 1]]),
            tf.constant([2]),
        )

    def front(self, frames, frame_lengths):
        """What the first encoder group takes: x [batch, steps, d] and lengths in those steps [batch]."""
        return stack_frames(frames, frame_lengths, self.config.encoder.stack_frames)

    def encode(self, frames, lengths, states=None, training=False):
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

    def run_stage(self, stage: int, x, lengths, training=False):
        """What the former stage put out, or `front`, through the groups of this one: x [batch, steps, d], lengths."""
        for group in self.stages[stage]:
            x, lengths, _ = group(x, lengths, training=training)
        return x, lengths

    @property
    def inner_exits(self) -> dict[str, keras.layers.Layer]:
        """The heads of the early exits, by the group that each is behind."""
        return {stage[-1].name: head for stage, head in zip(self.stages, self.exit_heads)}

    def exit_loss(self, group: str, x, lengths, tokens, token_lengths):
        """Loss [batch] at the early exit behind a group, as it is weighted in `loss`, from what the group puts out."""
        exit = [*self.inner_exits].index(group)
        weight = exit_weights(len(self.stages), self.config.exit_weighting)[exit]
        return weight * ctc_loss(self.exit_heads[exit](x), tokens, lengths, token_lengths)

    def exit_losses(self, frames, frame_lengths, tokens, token_lengths, training=False):
        """Loss of each utterance at each exit: [exits, batch] float32, in nats. Rows of frame length 0 count as 0."""
        x, lengths = self.front(frames, frame_lengths)
        losses = []
        for stage in range(len(self.stages)):
            x, lengths = self.run_stage(stage, x, lengths, training)
            if stage < len(self.exit_heads):
                losses.append(ctc_loss(self.exit_heads[stage](x), tokens, lengths, token_lengths))
        predicted = self.predict_labels(tokens, token_lengths, training)
        return tf.stack([*losses, self.join_loss(x, lengths, predicted, tokens, token_lengths, training)])

    def predict_labels(self, tokens, token_lengths, training=False):
        """What `join_loss` takes of the labels; None of a head without label history."""
        return None

    def joint_loss(self, exit_losses, training=False):
        """[exits, batch] -> [batch], weighted as the configuration says."""
        return joint_loss(exit_losses, self.config.exit_weighting, draw=training)

    def loss(self, frames, frame_lengths, tokens, token_lengths, training=False):
        """Joint loss of each utterance: [batch] float32, in nats; without early exits that of the only one."""
        return self.joint_loss(self.exit_losses(frames, frame_lengths, tokens, token_lengths, training), training)

    def features(self, samples):
        """samples [batch, n] float32 -> log-mel frames [batch, frames, mel_bands]."""
        return log_mel(samples, self.config.features)

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

    def encoder_steps(self) -> list[int]:
        """Input steps of each encoder group for the longest utterance, then the encoder's output steps."""
        steps = [self.config.sizes.max_frames // self.config.encoder.stack_frames]
        for group in self.groups:
            steps.append(steps[-1] // group.reduction)
        return steps

    def named_weights(self) -> dict[str, tf.Variable]:
        """Every weight by its tree path, `encoder_0/kernel`, in the order of the groups."""
        return {
            weight.name.removeprefix(f"{self.name}/").removesuffix(":0"): weight
            for group in self.all_groups
            for weight in group.weights
        }
