"""A folder of one's own recordings: prompts read aloud, a FLAC file each, and a manifest that `personalize` takes."""

from datetime import datetime
from pathlib import Path

import numpy as np

from tflite_asr.audio.reading import SILENT_PEAK
from tflite_asr.data.manifest import read_manifest, write_manifest
from tflite_asr.errors import InputError
from tflite_asr.names import for_library

CLIPPED = 0.999
LEAST_SECONDS = 0.2


class Recordings:
    """DIR/audio/NNNN.flac and DIR/manifest.jsonl, which is whole after every recording that is kept.

    Args:
        folder: made with the first recording; what it has already is gone on with.
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
                row = {"audio": str(utterance.audio.relative_to(folder)), "text": prompt, "speaker": utterance.speaker}
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
        try:
            soundfile.write(for_library(path), samples, self.sample_rate, subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise InputError(f"{path}: cannot write the recording: {error.error_string}") from None
        row = {"audio": audio.as_posix(), "text": self.next_prompt, "speaker": self.speaker}
        row["duration"] = round(len(samples) / self.sample_rate, 4)
        row["time"] = datetime.now().astimezone().isoformat(timespec="milliseconds")
        write_manifest(self.manifest, [*self.rows, row])
        self.rows.append(row)
        return path


def problem_of(samples: np.ndarray, sample_rate: int) -> str | None:
    """What is wrong with a recording [n] float32, for the one who made it; None when nothing is."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    if len(samples) < LEAST_SECONDS * sample_rate:
        return f"shorter than {LEAST_SECONDS} s"
    if peak < SILENT_PEAK:
        return "silent: is the microphone on?"
    if np.mean(np.abs(samples) >= CLIPPED) > 1e-3:
        return "too loud: it is clipped, speak lower or further away"
    return None


def read_prompts(path: Path) -> list[str]:
    """The lines of a file that are not blank."""
    try:
        prompts = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a text file with a prompt a line, cannot read it: {error}") from None
    if not prompts:
        raise InputError(f"{path}: expected a prompt a line, got none")
    return prompts
