"""A folder of recordings: prompts read aloud, a FLAC file each, and a manifest for `personalize`."""

import io
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from tflite_asr.audio.samples import SILENT_PEAK
from tflite_asr.config import MIN_SECONDS
from tflite_asr.data.manifest import read_manifest, write_manifest
from tflite_asr.errors import InputError
from tflite_asr.files import read_text, write_whole

CLIPPED = 0.999


class Recordings:
    """DIR/audio/NNNN.flac and DIR/manifest.jsonl, which is whole after every recording that is kept.

    Args:
        folder: created with the first recording; recordings that it has already are continued.
        prompts: what is to be said, in order; recording N is of prompt N.
        speaker: for the manifest.
        sample_rate: samples a second of the files.
    """

    def __init__(self, folder: Path, prompts: list[str], speaker: str, sample_rate: int):
        self.folder, self.prompts, self.speaker, self.sample_rate = folder, prompts, speaker, sample_rate
        self.manifest = folder / "manifest.jsonl"
        self.rows: list[dict] = []
        if self.manifest.exists():
            for utterance, prompt in zip(read_manifest(self.manifest), [*prompts, *[""] * len(prompts)]):
                if utterance.text != prompt:
                    raise InputError(
                        f"{utterance.where}: expected the prompt {prompt!r}, got {utterance.text!r}; "
                        "give the same --prompts or another --out"
                    )
                row = {"audio": _relative(utterance.audio, folder), "text": prompt, "speaker": utterance.speaker}
                self.rows.append({**row, "duration": utterance.duration_seconds, **utterance.extra})

    @property
    def next_prompt(self) -> str | None:
        """The first that is not recorded yet; None when all are."""
        return self.prompts[len(self.rows)] if len(self.rows) < len(self.prompts) else None

    def keep(self, samples: np.ndarray) -> Path:
        """Store samples [n] float32 as the next prompt's recording."""
        import soundfile

        audio = Path("audio") / f"{len(self.rows):04d}.flac"
        path = self.folder / audio
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = io.BytesIO()
        soundfile.write(sound, samples, self.sample_rate, subtype="PCM_16", format="FLAC")
        try:
            write_whole(path, sound.getvalue())
        except OSError as error:
            raise InputError(f"{path}: cannot write the recording: {error.strerror}") from None
        row = {"audio": audio.as_posix(), "text": self.next_prompt, "speaker": self.speaker}
        row["duration"] = round(len(samples) / self.sample_rate, 4)
        row["time"] = datetime.now().astimezone().isoformat(timespec="milliseconds")
        write_manifest(self.manifest, [*self.rows, row])
        self.rows.append(row)
        return path


def _relative(audio: Path, folder: Path) -> str:
    return str(audio.relative_to(folder) if audio.is_relative_to(folder) else audio)


def problem_of(samples: np.ndarray, sample_rate: int) -> str | None:
    """A problem of a recording [n] float32, as a message for the speaker; None if there is none."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    if len(samples) < MIN_SECONDS * sample_rate:
        return f"shorter than {MIN_SECONDS} s"
    if peak < SILENT_PEAK:
        return "silent: is the microphone on?"
    if np.mean(np.abs(samples) >= CLIPPED) > 1e-3:
        return "too loud: it is clipped, speak lower or further away"
    return None


def files_in_order(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of a folder with one of these suffixes (of any case), in the order of their names: numbers in them
    count as numbers, so `take 2` comes before `take 10`, and capitals as small letters. InputError where two names have
    one place.
    """
    try:
        entries = [
            path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")
        ]
    except OSError as error:
        raise InputError(f"{folder}: expected a folder of audio files, cannot read it: {error.strerror}") from None
    paths = sorted(entries, key=_natural_key)
    for path, following in zip(paths, paths[1:]):
        if _natural_key(path) == _natural_key(following):
            raise InputError(
                f"{folder}: expected names that tell the order, {path.name!r} and {following.name!r} have the same "
                f"place; rename one"
            )
    return paths


def _natural_key(path: Path) -> list[tuple[int, int, str]]:
    """The sort key: runs of digits as numbers, other text in lower case."""
    stem = unicodedata.normalize("NFKC", path.stem).casefold()
    parts = re.split(r"([0-9]+)", stem)
    return [
        (0, int(part), "") if number % 2 else (1, 0, part.strip()) for number, part in enumerate(parts) if part.strip()
    ]


def read_prompts(path: Path) -> list[str]:
    """The lines of a file that are not blank."""
    prompts = [
        line.strip() for line in read_text(path, "a text file with a prompt a line").splitlines() if line.strip()
    ]
    if not prompts:
        raise InputError(f"{path}: expected a prompt a line, got none")
    return prompts
