"""How a personalisation trains, and where its files go."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tflite_asr.personalization.progress import Progress
from tflite_asr.personalization.rounds import CHECKPOINT, Rounds
from tflite_asr.personalization.self_training import SelfTraining
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.speech import Speech
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer


@dataclass(frozen=True)
class TrainingRun:
    """How a personalisation trains, and where its files go."""

    settings: Settings
    folder: Path
    pace: Pace | None
    rounds: Rounds | None
    replay: Sequence[Example]  # shipped utterances

    @property
    def checkpoint(self) -> Path:
        """The file of the best weights."""
        return self.folder / CHECKPOINT

    def window(self, artifact: Artifact) -> Window | None:
        """The window that stores the newest utterances; None without a pace."""
        pace = self.pace
        return Window(self.folder / "window", artifact, pace.window, pace.window_bytes) if pace else None

    def to_json(self) -> dict:
        """The settings as result.json has them."""
        pace = dataclasses.asdict(self.pace) if self.pace else {}
        return dataclasses.asdict(self.settings) | pace | (self.rounds.settings() if self.rounds else {})

    def progress(self, recognizer: Recognizer, adapt: Speech) -> Progress:
        """The progress display of this training."""
        heard = len(adapt.utterances) + len(adapt.corrections.utterances)
        epochs = -(-heard // self.pace.stride) if self.pace else self.settings.epochs
        few = self.settings.are_few(len(adapt.utterances))
        if not adapt.unlabelled:
            measure = "training WER" if few and not self.pace else "WER"  # a window always holds some out
            return Progress(recognizer, self.checkpoint, epochs, measure)
        return Progress(recognizer, self.checkpoint, SelfTraining().rounds, "views that disagree" if few else "WER")
