"""Audio files to samples: any rate and channel count comes out mono, at the rate that was asked for."""

import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.names import for_library
from tflite_asr.quiet import muted_stderr

Notify = Callable[[str], None]


class TooLongError(InputError):
    """An audio file lasts longer than was asked for."""

    def __init__(self, message: str, seconds: float):
        super().__init__(message)
        self.seconds = seconds


SILENT_PEAK = 1e-4  # -80 dB of full scale; a muted microphone stays below, a distant whisper does not
ABSURD_PEAK = 8.0  # lossy decoders overshoot full scale a little; beyond this the samples were never scaled to it
UNKNOWN_LENGTH_BYTES = 0x7FFFF000  # a WAV that was written to a pipe gives this length or a greater one


class Notices:
    """Counts the notices of a run and says each kind once, on standard error, when the run is over.

    Use as `with Notices() as notices:` and pass `notices` wherever a `notify` is asked for.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, notice: str) -> None:
        self.counts[notice] += 1

    def report(self) -> None:
        """Print what was not printed yet."""
        for notice, count in self.counts.items():
            print(f"notice: {notice} ({count} {'file' if count == 1 else 'files'})", file=sys.stderr)
        self.counts.clear()

    def __enter__(self) -> "Notices":
        return self

    def __exit__(self, *_: object) -> None:
        self.report()


def read_audio(
    path: str | Path,
    sample_rate: int,
    *,
    where: str = "",
    max_seconds: float | None = None,
    notify: Notify | None = None,
) -> np.ndarray:
    """Samples of a WAV, FLAC, Ogg (Opus, Vorbis) or MP3 file.

    Args:
        path: the file.
        sample_rate: samples a second of the result; a file of another rate is resampled.
        where: what an error names as the place the path came from, such as `manifest.jsonl:17`.
        max_seconds: the longest that is accepted; None accepts any.
        notify: told what was done to the samples, in the same words for every file it was done to.

    Returns:
        [samples] float32 from -1 to 1.
    """
    place = f"{where}: {path}" if where else str(path)
    notify = notify or _ignore
    channels, file_rate = _decode(Path(path), place, max_seconds)
    samples = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    _check_samples(samples, place)
    if channels.shape[1] > 1:
        notify(f"mixed {channels.shape[1]} channels down to one")
    if np.max(np.abs(samples)) > 1:
        notify("clipped samples beyond full scale")
    if file_rate != sample_rate:
        import librosa

        notify(f"resampled from {file_rate} Hz to {sample_rate} Hz")
        samples = librosa.resample(samples, orig_sr=file_rate, target_sr=sample_rate)
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


def _ignore(notice: str) -> None:
    pass


def _decode(path: Path, place: str, max_seconds: float | None) -> tuple[np.ndarray, int]:
    """([frames, channels] float32, samples a second) of a whole file."""
    import soundfile

    if not path.is_file():
        raise InputError(f"{place}: expected an audio file, there is none; correct the path")
    try:
        with muted_stderr(), soundfile.SoundFile(for_library(path)) as file:  # mpg123 prints what it thinks of an MP3
            expected, rate = file.frames, file.samplerate
            if max_seconds is not None and expected > max_seconds * rate:
                raise TooLongError(
                    f"{place}: expected at most {max_seconds:g} s, got {expected / rate:.2f} s; cut it or leave it out",
                    expected / rate,
                )
            cut_short = _is_cut_short(file.extra_info)
            channels = file.read(dtype="float32", always_2d=True)
    except (RuntimeError, TypeError) as error:  # libsndfile refused it; a suffix that means headerless samples
        reason = getattr(error, "error_string", str(error)).rstrip(".")
        raise InputError(f"{place}: expected a WAV, FLAC, Ogg or MP3 file, cannot read it: {reason}") from error
    if cut_short or len(channels) < expected:
        raise InputError(f"{place}: the file is cut short, only {len(channels) / rate:.2f} s are there; copy it again")
    if len(channels) == 0:
        raise InputError(f"{place}: expected speech, got a file without samples; leave it out")
    return channels, rate


def _is_cut_short(log: str) -> bool:
    """Whether libsndfile's log of opening a file says so; it makes the frame count fit what is left of the file."""
    data = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if data and int(data[2]) < int(data[1]) < UNKNOWN_LENGTH_BYTES:
        return True
    return "Junk after the last page" in log


def _check_samples(samples: np.ndarray, place: str) -> None:
    bad = np.count_nonzero(~np.isfinite(samples))
    if bad:
        raise InputError(f"{place}: expected finite samples, {bad} are NaN or infinite; write the file again")
    peak = float(np.max(np.abs(samples)))
    if peak < SILENT_PEAK:
        raise InputError(f"{place}: expected speech, got silence (peak {peak:.1g} of full scale); leave it out")
    if peak > ABSURD_PEAK:
        raise InputError(f"{place}: expected samples from -1 to 1, got a peak of {peak:g}; scale the float samples")
