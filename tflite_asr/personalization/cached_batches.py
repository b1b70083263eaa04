"""Batches of the plan `cached`: each augmented version of an utterance goes through the lower groups once."""

import contextlib
import tempfile
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from tflite_asr.config.plans import CACHED
from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.cached_activations import CachedExample
from tflite_asr.runtime.recognizer import Recognizer


def cached_batches(
    recognizer: Recognizer, settings: Settings
) -> "contextlib.AbstractContextManager[CachedBatches | None]":
    """Those of a training with the plan `cached`, None with any other."""
    return CachedBatches(recognizer) if settings.plan.startswith(CACHED) else contextlib.nullcontext()


class CachedBatches:
    """Stores what the lower groups put out, in files that are deleted with the object or by `close`.

    Args:
        recognizer: whose lower groups do not change meanwhile.
    """

    def __init__(self, recognizer: Recognizer):
        self.recognizer = recognizer
        self._folder = tempfile.TemporaryDirectory(prefix="tflite_asr-", ignore_cleanup_errors=True)
        self._rows: dict[Hashable, list[CachedExample]] = {}

    def rows(self, key: Hashable, make: Callable[[], Sequence[Example]]) -> list[CachedExample]:
        """The utterances of a key, made and computed the first time it is asked for."""
        if key not in self._rows:
            self._rows[key] = self.recognizer.cache(make(), folder=Path(self._folder.name))
        return self._rows[key]

    def close(self) -> None:
        """Delete the files."""
        self._folder.cleanup()

    def __enter__(self) -> "CachedBatches":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
