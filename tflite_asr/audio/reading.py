"""Reads audio files as mono samples at a given rate, from any rate and channel count."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from tflite_asr.audio.channels import mixed, mixing_of
from tflite_asr.audio.decoding import Segment, read_segment, read_streams, stream_blocks, stream_seconds
from tflite_asr.audio.layout import Layout
from tflite_asr.audio.measuring import layout_of
from tflite_asr.audio.resampling import Resampling, resample
from tflite_asr.audio.samples import check_not_silent, check_range
from tflite_asr.errors import InputError
from tflite_asr.files import check_readable

PLACES_NAMED = 5  # of the files that a notice is about


class Notify(Protocol):
    """A callback for what was done to a file, in the same words for every file."""

    def __call__(self, notice: str, place: str = "") -> None:
        """Report a notice, and the file or row if that matters."""
        ...


class Notices:
    """Counts the notices of a run, and prints each kind once to standard error at the end of the run.

    Use as `with Notices() as notices:` and pass `notices` wherever a `notify` is asked for.
    """

    def __init__(self) -> None:
        self.places: dict[str, list[str]] = {}

    def __call__(self, notice: str, place: str = "") -> None:
        self.places.setdefault(notice, []).append(place)

    def report(self) -> None:
        """Print what was not printed yet."""
        for notice, places in self.places.items():
            count = len(places)
            named = [place for place in places if place][:PLACES_NAMED]
            more = ", ..." if named and count > len(named) else ""
            which = f": {', '.join(named)}{more}" if named else ""
            print(f"notice: {notice} ({count} {'file' if count == 1 else 'files'}){which}", file=sys.stderr)
        self.places.clear()

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
    offset_seconds: float | None = None,
    duration_seconds: float | None = None,
) -> np.ndarray:
    """Samples of a WAV, FLAC, Ogg (Opus, Vorbis) or MP3 file, or of a segment of it.

    Args:
        path: the file.
        sample_rate: samples a second of the result; a file of another rate is resampled.
        where: what an error names as the place the path came from, such as `manifest.jsonl:17`.
        max_seconds: the longest that is accepted; None accepts any.
        notify: called with what was done to the samples, in the same words for every file.
        offset_seconds: where the segment begins; None for the whole file.
        duration_seconds: how long the segment is; None for all behind its beginning.

    Returns:
        [samples] float32 from -1 to 1.
    """
    path = Path(path)
    place = f"{where}: {path}" if where else str(path)
    segment = None if offset_seconds is None else Segment(offset_seconds, duration_seconds)
    layout = _layout(path, place)
    with _decoding(place):
        if segment is not None:
            recordings = [read_segment(path, layout, segment, place, max_seconds)]
        else:
            recordings = read_streams(path, layout, place, max_seconds)
    done: dict[str, None] = {}  # each once, also of joined recordings
    pieces = []
    for channels, file_rate in recordings:
        check_range(channels, place)
        samples, how = mixed(channels)
        done |= dict.fromkeys(how)
        if np.max(np.abs(samples), initial=0.0) > 1:
            done["clipped samples beyond full scale"] = None
        if file_rate != sample_rate:
            done[f"resampled from {file_rate} Hz to {sample_rate} Hz"] = None
            samples = resample(samples, file_rate, sample_rate)
        pieces.append(samples)
    samples = np.concatenate(pieces)
    check_not_silent(samples, place)
    if notify:
        for notice in layout.notices:
            notify(notice, str(path))
        for notice in done:
            notify(notice)
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


def audio_blocks(
    path: str | Path, sample_rate: int, *, where: str = "", notify: Notify | None = None
) -> Iterator[np.ndarray]:
    """The same samples as `read_audio`, block by block, in memory that does not grow with the file.

    A file of several channels is decoded twice: how they are mixed is a matter of the whole recording. Of a file whose
    header has to be mended the bytes are in memory.

    Yields:
        blocks [samples] float32 from -1 to 1; InputError as `read_audio`, at the latest when the file ends.
    """
    path = Path(path)
    place = f"{where}: {path}" if where else str(path)
    layout = _layout(path, place)
    done: dict[str, None] = dict.fromkeys(layout.notices)
    peak, count = 0.0, 0
    with _decoding(place):
        for stream in layout.streams:
            mixing = mixing_of(block for block, _ in stream_blocks(path, layout, stream, place))
            done |= dict.fromkeys(mixing.notices)
            resampling = None
            for channels, file_rate in stream_blocks(path, layout, stream, place):
                check_range(channels, place)
                samples = mixing.apply(channels)
                peak = max(peak, float(np.max(np.abs(samples), initial=0.0)))
                if file_rate != sample_rate:
                    done[f"resampled from {file_rate} Hz to {sample_rate} Hz"] = None
                    resampling = resampling or Resampling(file_rate, sample_rate)
                    samples = resampling.process(samples)
                count += len(samples)
                yield np.clip(samples, -1.0, 1.0)
            if resampling:
                yield np.clip(resampling.finish(), -1.0, 1.0)
    if not count:
        raise InputError(f"{place}: expected speech, got a file without samples; leave it out")
    check_not_silent(np.array([peak], np.float32), place)
    if peak > 1:
        done["clipped samples beyond full scale"] = None
    if notify:
        for notice in done:
            notify(notice, str(path) if notice in layout.notices else "")


def audio_seconds(path: str | Path, place: str) -> float:
    """How long an audio file is, by its header where that can be believed; InputError, which names the place, when it
    cannot be read."""
    path = Path(path)
    layout = _layout(path, place)
    try:
        return sum(stream_seconds(path, layout))
    except Exception as error:
        reason = (getattr(error, "error_string", "") or str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"{place}: cannot read {path}: {reason}") from error


@contextmanager
def _decoding(place: str) -> Iterator[None]:
    """InputError for whatever a decoder ends with."""
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{place}: expected audio that fits into memory, it is too long; cut it") from None
    except Exception as error:  # libsndfile refused it, in whatever way its Python package tells
        reason = (getattr(error, "error_string", "") or str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"{place}: expected a WAV, FLAC, Ogg or MP3 file, cannot read it: {reason}") from error


def _layout(path: Path, place: str) -> Layout:
    """The layout of a file; InputError if it is not a file or is cut short."""
    try:
        if path.is_dir():
            raise InputError(f"{place}: expected an audio file, got a folder; correct the path")
        if not path.is_file():
            what = "there is none" if not path.exists() else "got a pipe or device; copy it into a file"
            raise InputError(f"{place}: expected an audio file, {what}; correct the path")
        check_readable(place, "an audio file", path)
        layout = layout_of(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{place}: expected an audio file, cannot read it: {reason.lower()}") from error
    if layout.cut_short:
        raise InputError(f"{place}: the file is cut short, its header gives more than is there; copy it again")
    return layout
