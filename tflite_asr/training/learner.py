"""Trains a shipped artifact by Keras on a server, as `personalization` does on a phone."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import ModelConfig
from tflite_asr.config.plans import WHOLE
from tflite_asr.data.alignment import check_alignable
from tflite_asr.errors import InputError
from tflite_asr.models.build import build_model
from tflite_asr.runtime.batch import Example, collate
from tflite_asr.runtime.plan import StepResult
from tflite_asr.runtime.recognizer import Recognizer

SHAPES = 4  # of batches: each is traced for seconds, and most speech is much shorter than the longest


class KerasLearner:
    """Replaces the recogniser in `personalize`: Keras' Adam takes the steps, in batches of any size.

    The model is built from the artifact's description and has the recogniser's weights at the time. Its weights go
    back into the recogniser by `set_state`; features, losses and transcripts are the recogniser's.

    Args:
        recognizer: of the artifact.
        batch: utterances a step.
    """

    def __init__(self, recognizer: Recognizer, batch: int):
        self.recognizer, self.artifact, self.labels = recognizer, recognizer.artifact, recognizer.labels
        self.config = dataclasses.replace(
            recognizer.config, sizes=dataclasses.replace(recognizer.config.sizes, batch=batch)
        )
        if recognizer.artifact.frozen_groups:
            raise InputError(f"{self.artifact.path}: has frozen layer groups; through Keras every group trains")
        self.model = build_model(self.config)
        weights = self.model.named_weights()
        self._weights = {row["tensor"]: weights[row["name"]] for row in self.artifact.parameters}
        self._assign(recognizer.state())
        self._optimizer = keras.optimizers.Adam(epsilon=1e-7)
        self._optimizer.build(list(self._weights.values()))
        self._step = self._compiled()
        self.example, self.loss = recognizer.example, recognizer.loss
        self.transcribe_frames, self.hears_owner = recognizer.transcribe_frames, recognizer.hears_owner
        self.features, self.normalize = recognizer.features, recognizer.normalize

    def state(self) -> dict[str, np.ndarray]:
        """The weights; optimizer slots and step are the recogniser's, which are not trained."""
        return self.recognizer.state() | {tensor: weight.numpy() for tensor, weight in self._weights.items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Put weights into the model and into the recogniser."""
        self._assign(state)
        self.recognizer.set_state(state)

    def train_step(
        self,
        examples: Sequence[Example],
        *,
        learning_rate: float,
        clip_norm: float = 0.0,
        pull: float = 0.0,
        group_rates: dict[str, float] | None = None,
        plan: str = WHOLE,
    ) -> StepResult:
        """One update of all weights; see `Recognizer.train_step`."""
        if pull or group_rates or plan != WHOLE:
            raise InputError("training through Keras: expected every layer group to train, whole steps and no pull")
        check_alignable(examples, self.config)
        self._optimizer.learning_rate.assign(learning_rate)
        batch = {
            name: tf.constant(value) for name, value in _trimmed(collate(examples, self.config), self.config).items()
        }
        loss, norm, finite = self._step(tf.constant(clip_norm, tf.float32), **batch)
        return StepResult(float(loss), float(norm), not bool(finite))

    def _assign(self, state: dict[str, np.ndarray]) -> None:
        for tensor, weight in self._weights.items():
            weight.assign(state[tensor])

    def _compiled(self):
        weights = list(self._weights.values())

        @tf.function(autograph=False)
        def step(clip_norm, **batch):
            with tf.GradientTape() as tape:
                losses = self.model.loss(**batch)
                loss = tf.reduce_sum(losses) / tf.maximum(tf.reduce_sum(self.model.row_weights(**batch)), 1.0)
            gradients = tape.gradient(loss, weights)
            norm = tf.linalg.global_norm(gradients)
            finite = tf.math.is_finite(loss) & tf.math.is_finite(norm)
            scale = tf.where((clip_norm > 0) & (norm > clip_norm), clip_norm / norm, 1.0)

            def update():
                self._optimizer.apply_gradients([(g * scale, w) for g, w in zip(gradients, weights)])
                return tf.constant(True)

            return loss, norm, tf.cond(finite, update, lambda: tf.constant(False))

        return step


def _trimmed(batch: dict[str, np.ndarray], config: ModelConfig) -> dict[str, np.ndarray]:
    """The batch without padding that no row needs, in one of `SHAPES` sizes."""
    sizes, step = config.sizes, config.encoder.frames_per_step
    needed = max((batch["frame_lengths"] / sizes.max_frames).max(), (batch["token_lengths"] / config.max_labels).max())
    share = np.ceil(SHAPES * needed) / SHAPES
    frames = min(sizes.max_frames, step * int(np.ceil(share * sizes.max_frames / step)))
    tokens = int(np.ceil(share * config.max_labels))
    return batch | {"frames": batch["frames"][:, :frames], "tokens": batch["tokens"][:, :tokens]}
