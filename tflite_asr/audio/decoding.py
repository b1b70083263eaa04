"""Decodes the recordings of an audio file, or a segment of them, by libsndfile."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tflite_asr.audio.layout import SLACK_SECONDS, Layout, Stream
from tflite_asr.errors import InputError
from tflite_asr.names import for_library
from tflite_asr.quiet import muted_stderr

if TYPE_CHECKING:
    import soundfile

BLOCK_FRAMES = 1 << 16
MOST_SECONDS = 1e6  # eleven days
SAMPLE_RATES = (1_000, 1_000_000)  # beyond these a header is damaged, and resampling would fill the memory
MOST_CHANNELS = 64
PAST_END_SECONDS = 0.1  # that a segment may reach past the end of its file: durations are rounded
# those in which libsndfile finds a sample exactly
SEEKABLE = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC", "AU", "CAF")

Recording = tuple[np.ndarray, int]  # [frames, channels] float32, samples a second


class TooLongError(InputError):
    """Audio is longer than the limit: `seconds`, or as much of it as was decoded."""

    def __init__(self, place: str, max_seconds: float, seconds: float, got: str = "{:.2f} s"):
        super().__init__(
            f"{place}: expected at most {max_seconds:g} s, got {got.format(seconds)}; cut it or leave it out"
        )
        self.seconds = seconds


@dataclass(frozen=True)
class Segment:
    """A part of a file."""

    offset_seconds: float
    duration_seconds: float | None  # None: to the end


def read_streams(path: Path, layout: Layout, place: str, max_seconds: float | None) -> list[Recording]:
    """All recordings of a file, one after the other."""
    recordings, seconds = [], 0.0
    for stream in layout.streams:
        with _opened(path, layout, stream, place) as file:
            if max_seconds is not None and _known(file) and seconds + file.frames / file.samplerate > max_seconds:
                raise TooLongError(place, max_seconds, seconds + file.frames / file.samplerate)
            left = None if max_seconds is None else int((max_seconds - seconds) * file.samplerate)
            channels = _read(file, left)
            if max_seconds is not None and left is not None and len(channels) > left:
                raise TooLongError(place, max_seconds, seconds + len(channels) / file.samplerate, "more than {:.2f} s")
            _check_whole(file, len(channels), place)
            seconds += len(channels) / file.samplerate
            recordings.append((channels, file.samplerate))
    if seconds == 0:
        raise InputError(f"{place}: expected speech, got a file without samples; leave it out")
    return [(channels, rate) for channels, rate in recordings if len(channels)]


def stream_blocks(path: Path, layout: Layout, stream: Stream, place: str) -> Iterator[Recording]:
    """A recording of a file, block by block."""
    with _opened(path, layout, stream, place) as file:
        count = 0
        for block in _blocks(file, file.frames if _known(file) else 1 << 62):
            count += len(block)
            yield block, file.samplerate
        _check_whole(file, count, place)


def read_segment(path: Path, layout: Layout, segment: Segment, place: str, max_seconds: float | None) -> Recording:
    """Read a segment of a file. If the format allows it, only the segment is decoded."""
    duration = segment.duration_seconds
    if max_seconds is not None and duration is not None and duration > max_seconds:
        raise TooLongError(place, max_seconds, duration, "a segment of {:.2f} s")
    if len(layout.streams) == 1:
        with _opened(path, layout, layout.streams[0], place) as file:
            if file.format in SEEKABLE and file.can_seek and _known(file):
                first, last = _span(segment, file.frames, file.samplerate, place, max_seconds)
                with muted_stderr():
                    file.seek(first)
                return _read(file, last - first, exactly=True), file.samplerate
    recordings = read_streams(path, layout, place, None)
    rate = recordings[0][1]
    if any(other != rate or channels.shape[1] != recordings[0][0].shape[1] for channels, other in recordings):
        raise InputError(
            f"{place}: expected joined recordings of one sample rate and channel count for a segment; cut it"
        )
    channels = np.concatenate([channels for channels, _ in recordings])
    first, last = _span(segment, len(channels), rate, place, max_seconds)
    return channels[first:last], rate


def stream_seconds(path: Path, layout: Layout) -> list[float]:
    """How long each recording of a file is."""
    seconds = []
    for stream in layout.streams:
        with _opened(path, layout, stream, str(path)) as file:
            frames = file.frames if _known(file) else len(_read(file, None))
            seconds.append(frames / file.samplerate)
    return seconds


def _span(segment: Segment, frames: int, rate: int, place: str, max_seconds: float | None) -> tuple[int, int]:
    """The first frame of a segment and that behind its last."""
    seconds = frames / rate
    end = seconds if segment.duration_seconds is None else segment.offset_seconds + segment.duration_seconds
    if segment.offset_seconds >= seconds or end > seconds + PAST_END_SECONDS:
        raise InputError(
            f"{place}: expected a segment within the {seconds:.2f} s of the file, got {segment.offset_seconds:.2f} to "
            f"{end:.2f} s; correct 'offset' and 'duration'"
        )
    first, last = round(segment.offset_seconds * rate), min(round(end * rate), frames)
    if first >= last:
        raise InputError(f"{place}: expected speech, got a segment without samples; leave it out")
    if max_seconds is not None and last - first > round(max_seconds * rate):
        raise TooLongError(place, max_seconds, (last - first) / rate, "a segment of {:.2f} s")
    return first, last


@contextmanager
def _opened(path: Path, layout: Layout, stream: Stream, place: str) -> Iterator["soundfile.SoundFile"]:
    """A recording of a file, opened by libsndfile with the header corrected."""
    import soundfile

    class SoundFile(soundfile.SoundFile):
        """soundfile seeks after each read where it can, which fails or decodes again in compressed formats."""

        @property
        def can_seek(self) -> bool:
            return super().seekable()

        def seekable(self) -> bool:
            return False

    source: str | bytes | io.BytesIO = for_library(path)
    if not layout.as_it_is:
        with open(path, "rb") as file:
            file.seek(stream.start)
            content = bytearray(file.read(stream.end - stream.start))
        for position, value in stream.patches:
            content[position : position + len(value)] = value
        source = io.BytesIO(stream.prefix + content)
    with muted_stderr():  # mpg123 prints what it thinks of an MP3
        file = SoundFile(source)  # pyright: ignore[reportArgumentType]  # soundfile takes bytes as a path
    with file:
        lowest, highest = SAMPLE_RATES
        if not lowest <= file.samplerate <= highest or file.channels > MOST_CHANNELS:
            raise InputError(
                f"{place}: expected {lowest} to {highest} Hz and at most {MOST_CHANNELS} channels, the header gives "
                f"{file.samplerate} Hz and {file.channels}; write the file again"
            )
        yield file


def _known(file: "soundfile.SoundFile") -> bool:
    """Whether the header gives a length that can be: libsndfile's greatest stands for none, and damage makes great
    ones.
    """
    return file.frames < MOST_SECONDS * file.samplerate


def _read(file: "soundfile.SoundFile", most: int | None, exactly: bool = False) -> np.ndarray:
    """[frames, channels] float32 from where the file stands: to its end, or until there are more than `most`.

    Args:
        file: an opened file.
        most: frames that are wanted; None: all.
        exactly: no frame more than `most`.
    """
    # what is asked for behind the end is an error where a tag stands there
    end = file.frames if _known(file) else 1 << 62
    if most is not None:
        end = min(end, most + (not exactly))
    return np.concatenate([np.zeros([0, file.channels], np.float32), *_blocks(file, end)])


def _blocks(file: "soundfile.SoundFile", end: int) -> Iterator[np.ndarray]:
    """Blocks [frames, channels] float32 from where the file stands, of `end` frames together or to its end."""
    count = 0
    while count < end:
        with muted_stderr():  # not while a caller works on a block
            block = file.read(min(BLOCK_FRAMES, end - count), dtype="float32", always_2d=True)
        if len(block) == 0:
            return
        count += len(block)
        yield block


def _check_whole(file: "soundfile.SoundFile", frames: int, place: str) -> None:
    """InputError if less of a recording was read than its header gives."""
    if (_known(file) and frames < file.frames - SLACK_SECONDS * file.samplerate) or _is_cut_short(file):
        raise InputError(
            f"{place}: the file is cut short, only {frames / file.samplerate:.2f} s are there; copy it again"
        )


def _is_cut_short(file: "soundfile.SoundFile") -> bool:
    """Whether libsndfile's log of opening an Ogg file says so; it takes the last whole page for the end."""
    return "Junk after the last page" in file.extra_info
