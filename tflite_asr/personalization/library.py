"""Personalisation from Python in one call: recordings in, a checkpoint and a report out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflite_asr.audio.decoding import TooLongError
from tflite_asr.audio.reading import Notices, Notify
from tflite_asr.audio.samples import checked_samples
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance, read_manifest
from tflite_asr.errors import InputError
from tflite_asr.files import read_text
from tflite_asr.personalization.session import run_session
from tflite_asr.personalization.settings import Settings
from tflite_asr.personalization.speech import Speech
from tflite_asr.runtime.recognizer import Recognizer

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
TEST_EVERY = 4  # without recordings to measure on, one in so many is held back for it

Recordings = str | Path | Sequence[Utterance | tuple[str | Path | np.ndarray, str]]


@dataclass(frozen=True, eq=False)  # arrays are not compared
class SampledUtterance(Utterance):
    """An utterance whose samples are in memory."""

    samples: np.ndarray | None = None  # [n] float32 from -1 to 1, at the model's sample rate

    def read(self, sample_rate: int, max_seconds: float | None = None, notify: Notify | None = None) -> np.ndarray:
        """Samples [n] float32 from -1 to 1; see `read_audio` for the arguments."""
        samples = checked_samples(self.samples, self.where)
        if max_seconds is not None and len(samples) > max_seconds * sample_rate:
            raise TooLongError(self.where, max_seconds, len(samples) / sample_rate)
        return samples


def personalize(
    recognizer: Recognizer,
    recordings: Recordings,
    out: str | Path,
    *,
    test: Recordings | None = None,
    settings: Settings = Settings(),
) -> dict:
    """Train a recogniser on one voice, and measure what it gained; `recognizer` has the learned weights afterwards.

    The owner's voice is learned as well, so that others are still heard with the shipped weights. A part of the
    recordings validates each epoch, all of them where there are fewer than 61; the best weights are kept.

    Args:
        recognizer: from `Recognizer.load`.
        recordings: what to learn from: a manifest; a folder of audio files, each with its text in a .txt file of the
            same name, or named as what is said in it; or pairs of audio and text, the audio a file or samples [n]
            float32 from -1 to 1 at 16 kHz.
        out: folder for checkpoint.safetensors, result.json, report.html and plots.
        test: what to measure on, given in the same ways; None: every fourth of `recordings`, which is then not
            learned from.
        settings: how to train.

    Returns:
        what result.json holds, among it `wer_before`, `wer_after`, `relative_wer_reduction` and `checkpoint`, which
        `Recognizer.restore` takes.

    Raises:
        InputError: a file that cannot be read, a text that the model cannot spell, too few recordings.
    """
    adapt = utterances_of(recordings)
    if test is None:
        if len(adapt) < TEST_EVERY:
            raise InputError(
                f"expected {TEST_EVERY} recordings or more, one of them to measure on, got {len(adapt)}; give `test`"
            )
        measured = adapt[TEST_EVERY - 1 :: TEST_EVERY]
        del adapt[TEST_EVERY - 1 :: TEST_EVERY]
    else:
        measured = utterances_of(test)
    with Notices() as notices:
        learned = Corpus(adapt, recognizer.config, notices)
        heard = Corpus(measured, recognizer.config, notices, measuring=True)
    speakers = {utterance.speaker for utterance in adapt if utterance.speaker}
    return run_session(
        recognizer,
        Speech(learned, learned.utterances),
        (heard, heard.utterances),
        settings,
        Path(out),
        voice=", ".join(sorted(speakers)) or "recordings",
    )


def utterances_of(recordings: Recordings) -> list[Utterance]:
    """The utterances of a manifest, of a folder or of pairs; see `personalize`. No audio file is opened."""
    if isinstance(recordings, str | Path):
        path = Path(recordings)
        return _of_folder(path) if path.is_dir() else read_manifest(path)
    return [_utterance(recording, number) for number, recording in enumerate(recordings, start=1)]


def _of_folder(folder: Path) -> list[Utterance]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise InputError(f"{folder}: expected audio files ({', '.join(sorted(AUDIO_SUFFIXES))}), found none")
    return [_utterance((path, _text_beside(path)), 0) for path in files]


def _text_beside(path: Path) -> str:
    """The text of NAME.txt; without it the name, with spaces for underscores."""
    beside = path.with_suffix(".txt")
    if beside.exists():
        return " ".join(read_text(beside, "what is said in a recording").split())
    return path.stem.replace("_", " ")


def _utterance(recording: Utterance | tuple[str | Path | np.ndarray, str], number: int) -> Utterance:
    if isinstance(recording, Utterance):
        return recording
    try:
        audio, text = recording
    except (TypeError, ValueError):
        raise InputError(
            f"recording {number}: expected a pair of audio and text, got {type(recording).__name__}"
        ) from None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"recording {number}: expected what is said in it, got {text!r}")
    if isinstance(audio, str | Path):
        return Utterance(Path(audio), text, None, None, {}, str(audio))
    return SampledUtterance(Path(), text, None, None, {}, f"recording {number}", samples=audio)
