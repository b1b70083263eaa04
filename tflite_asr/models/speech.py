"""What every recogniser here has: features, an encoder of layer groups, and the batch that its loss takes."""

import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import ModelConfig
from tflite_asr.layers.encoder import stack_frames
from tflite_asr.layers.groups import encoder_groups
from tflite_asr.ops import kept
from tflite_asr.ops.log_mel import log_mel


class SpeechModel(keras.Model):
    """Front end and encoder; a subclass adds heads, `all_groups`, `loss`, `transcribe` and `group_steps`.

    `groups` are the encoder's layer groups in order. The methods are those that `signatures` asks of a model.
    """

    label_inputs = ("tokens", "token_lengths")
    recording = staticmethod(kept.recording)
    replaying = staticmethod(kept.replaying)

    def __init__(self, config: ModelConfig):
        super().__init__(name=config.name)
        self.config = config
        self.groups = encoder_groups(config.encoder)
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
