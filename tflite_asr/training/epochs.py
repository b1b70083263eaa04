"""The batches of each epoch, from samples or from cached output."""

from collections.abc import Iterator
from pathlib import Path

from tflite_asr.data.corpus import Corpus
from tflite_asr.models.speech import SpeechModel
from tflite_asr.training.batching import training_batches
from tflite_asr.training.cached import CachedOutput, cached_batches
from tflite_asr.training.settings import FitSettings


class EpochBatches:
    """The training batches, drawn by seed and epoch; one iterator serves consecutive epochs.

    Args:
        training: speech.
        model: computes the cached output of its lowest groups.
        settings: how to train.
        below: how many groups are cached.
        folder: of the cached output.
    """

    def __init__(self, training: Corpus, model: SpeechModel, settings: FitSettings, below: int, folder: Path):
        self._training, self._settings = training, settings
        self._cache = (
            CachedOutput(training, model, below, settings.cached, folder, settings.seed) if settings.cached else None
        )
        self._batches: Iterator[tuple] | None = None

    def of_epoch(self, epoch: int) -> Iterator[tuple]:
        """The batches from here on; anew where augmentation begins."""
        settings, drawn = self._settings, self._settings.seed + 1000 * (epoch - 1)
        if self._cache:
            self._batches = self._batches or iter(cached_batches(self._cache, settings.batch, drawn))
        elif self._batches is None or epoch == settings.plain_epochs + 1:
            augment = epoch > settings.plain_epochs
            batches = training_batches(self._training, settings.batch, settings.connect_up_to, drawn, augment=augment)
            self._batches = iter(batches)
        if self._batches is None:
            raise ValueError(f"expected batches since epoch 1, got none before epoch {epoch}")
        return self._batches
