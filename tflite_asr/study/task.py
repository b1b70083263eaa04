"""One run of a study: one speaker in one environment; a worker's input, and an environment's result."""

from dataclasses import dataclass

import numpy as np

from tflite_asr.data.manifest import Utterance
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.study.plan import Study
from tflite_asr.study.speakers import Speaker
from tflite_asr.study.subsets import Subset

SERVER, MOBILE = "server", "mobile"


@dataclass(frozen=True)
class Task:
    """All that a worker needs; audio is read from where the manifest says, so workers share a file system."""

    study: Study
    speaker: Speaker
    run: str  # "server", "mobile", or "mobile_" and the name of a subset
    subset: Subset | None = None
    others: tuple[Utterance, ...] = ()

    @property
    def model(self) -> str:
        """The model that is trained."""
        return (self.subset.model if self.subset else None) or self.study.model


@dataclass
class Trained:
    """The result of an environment."""

    recognizer: Recognizer  # with the weights that were kept
    heard: list[np.ndarray]  # log-mel frames of the owner's utterances that are still there
    steps: int
    seconds: float  # of training
    history: list[dict]  # validation results; `utterances` is how many had come
    more: dict  # what only this environment tells
