"""What an audio file holds, measured from its bytes and not from its header's length.

A recorder that died, a concatenation or a careless writer leaves a header that names less or more than is there, and a
decoder that believes it loses speech. `layout_of` finds the streams of a file and the bytes of each header to correct.
"""

import mmap
import os
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tflite_asr.audio import mp3

SLACK_SECONDS = 0.01  # a header that is off by less than this is no sign of a damaged file
UNKNOWN_BYTES = 0x7FFFF000  # a WAV that was written to a pipe gives this length or a greater one
LESS = "the header gives less than the file holds; read to the end"
MORE = "the header gives a little more than the file holds; read what is there"
JOINED = "several recordings joined in one file; read all of them"

_JOINED_WAV = re.compile(rb"RIFF.{4}WAVEfmt ", re.DOTALL)
_JOINED_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_TRAILING_CHUNK = re.compile(
    rb"LIST|id3 |ID3 |bext|fact|cue |smpl|inst|iXML|_PMX|JUNK|PAD |DISP|afsp|PEAK|ANNO|NAME|AUTH|COMT"
)
_TAGS = (b"TAG", b"ID3", b"APETAGEX")  # written after the samples by taggers that know MP3 alone


@dataclass(frozen=True)
class Stream:
    """One recording of a file: its bytes from `start` to `end`, and what to write over them: (position, bytes)."""

    start: int
    end: int
    patches: tuple[tuple[int, bytes], ...] = ()
    prefix: bytes = b""  # what the decoder is to read first


@dataclass(frozen=True)
class Layout:
    """The recordings of a file in their order; none where it holds no samples."""

    streams: tuple[Stream, ...]
    notices: tuple[str, ...] = ()
    cut_short: bool = False

    @property
    def as_it_is(self) -> bool:
        """Whether a decoder reads all of it without help."""
        first = self.streams[0]
        return len(self.streams) == 1 and not first.patches and not first.prefix and first.start == 0


@dataclass(frozen=True)
class _Chunks:
    """How a container of chunks is written."""

    first: int  # position of the first chunk
    size_at: int  # of the size in a chunk's header
    size_format: str  # for struct
    header: int  # bytes of a chunk's header
    counts_header: bool  # whether the size does
    alignment: int
    data: bytes  # name of the chunk with samples
    prefix: int = 0  # bytes before the samples in that chunk


_RIFF = _Chunks(12, 4, "<I", 8, False, 2, b"data")
_AIFF = _Chunks(12, 4, ">I", 8, False, 2, b"SSND", prefix=8)
_W64 = _Chunks(40, 16, "<Q", 24, True, 8, b"data")


def layout_of(path: Path) -> Layout:
    """The recordings of a file; of a format that is not known here, the whole file. OSError when it cannot be read."""
    status = os.stat(path)
    return _layout(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)  # a manifest may take many segments of one long file
def _layout(path: Path, size: int, _modified: int) -> Layout:
    if size < 12:
        return Layout((Stream(0, size),))
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return _measure(content)
        except (struct.error, IndexError, OverflowError):  # a header that ends early: the decoder says what is wrong
            return Layout((Stream(0, len(content)),))


def _measure(content: mmap.mmap) -> Layout:
    start = mp3.after_id3(content, 0)
    form, kind = content[start : start + 4], content[start + 8 : start + 12]
    if form in (b"RIFF", b"RF64") and kind == b"WAVE":
        return _chunked(content, start, _RIFF)
    if form == b"FORM" and kind in (b"AIFF", b"AIFC"):
        return _chunked(content, start, _AIFF)
    if form == b"riff":
        return _chunked(content, start, _W64)
    if form == b"fLaC":
        return _flac(content)
    if form == b"OggS":
        return _ogg(content, start)
    if content[start] == 0xFF:
        return _mp3(content, start)
    return Layout((Stream(0, len(content)),))


def _layout_from(streams: list[Stream], notices: set[str], cut_short: bool = False) -> Layout:
    if len(streams) > 1:
        notices.add(JOINED)
    return Layout(tuple(streams), tuple(sorted(notices)), cut_short)


def _chunked(content: mmap.mmap, start: int, kind: _Chunks) -> Layout:
    """Of WAV, RF64, AIFF and W64."""
    streams: list[Stream] = []
    notices: set[str] = set()
    cut_short = False
    begin = 0
    while True:
        found = _data_chunk(content, start, kind)
        if found is None:
            return _layout_from([*streams, Stream(begin, len(content))], notices, cut_short)
        size_at, size_format, data, declared, bytes_per_second, frames_at = found
        available = len(content) - data
        unknown = declared >= UNKNOWN_BYTES and declared > available
        joined = (
            _JOINED_WAV.search(content, data + (declared if declared <= available else 0)) if kind is _RIFF else None
        )
        end = joined.start() if joined else len(content)
        slack = SLACK_SECONDS * bytes_per_second
        if unknown:
            size = _before_trailing(content, data, end, kind) - data
        elif declared > end - data:
            size = end - data
            if declared - size <= slack:
                notices.add(MORE)
            else:
                cut_short = True
        else:
            size = _held(content, data, declared, end, kind, slack)
            if size > declared:
                notices.add(LESS)
        decoder_knows = unknown and data + size == len(content)
        stored = size + (kind.header if kind.counts_header else 0)
        patches = [(size_at, struct.pack(size_format, stored))] if size != declared and not decoder_knows else []
        if patches and frames_at:
            frames_position, frame_bytes = frames_at
            patches.append((frames_position, struct.pack(">I", (size - kind.prefix) // frame_bytes)))
        streams.append(Stream(begin, end, tuple((position - begin, value) for position, value in patches)))
        if joined is None:
            return _layout_from(streams, notices, cut_short)
        begin = start = end


def _data_chunk(content: mmap.mmap, start: int, kind: _Chunks) -> tuple | None:
    """(position and format of the data's size, where data begins, its size, bytes a second, where frames are counted
    and the bytes of one).
    """
    at = start + kind.first
    bytes_per_second, frames_at, long_size = 0.0, None, None
    while at + kind.header <= len(content):
        name = content[at : at + 4]
        (size,) = struct.unpack_from(kind.size_format, content, at + kind.size_at)
        size -= kind.header if kind.counts_header else 0
        body = at + kind.header
        if name == b"fmt ":
            (bytes_per_second,) = struct.unpack_from("<I", content, body + 8)
        elif name == b"COMM":
            channels, _, bits = struct.unpack_from(">hIh", content, body)
            exponent, mantissa = struct.unpack_from(">HQ", content, body + 8)
            rate = mantissa / 2.0 ** max(0, 16446 - exponent)
            frame_bytes = max(1, channels * -(-bits // 8))
            bytes_per_second = rate * frame_bytes
            if size < 22 or content[body + 18 : body + 22] in (b"NONE", b"sowt", b"twos", b"fl32", b"FL32"):
                frames_at = body + 2, frame_bytes
        elif name == b"ds64":
            (data_size,) = struct.unpack_from("<Q", content, body + 8)
            long_size = body + 8, "<Q", data_size
        elif name == kind.data:
            place = at + kind.size_at, kind.size_format, size
            if long_size and size == 0xFFFFFFFF:
                place = long_size
            position, size_format, size = place
            return position, size_format, body, size, bytes_per_second, frames_at
        if size < 0:
            return None
        at = body + size + -size % kind.alignment
    return None


def _held(content: mmap.mmap, data: int, declared: int, end: int, kind: _Chunks, slack: float) -> int:
    """Bytes of samples from `data`, where the header gives no more than there are."""
    rest = data + declared
    if any(_chunks_end(content, rest + padding, end, kind) for padding in {0, -declared % kind.alignment}):
        return declared
    rest_end = _before_trailing(content, rest, end, kind)
    extra = content[rest:rest_end]
    if len(extra) <= slack or extra.startswith(_TAGS) or not extra.strip(b"\0"):
        return declared
    return rest_end - data


def _chunks_end(content: mmap.mmap, at: int, end: int, kind: _Chunks) -> bool:
    """Whether nothing but whole chunks, and at most a tag behind them, stands from here to the end."""
    while at + kind.header <= end:
        name = content[at : at + 4]
        if content[at : at + 8].startswith(_TAGS):
            return True
        if not all(32 <= byte < 127 for byte in name):
            return False
        (size,) = struct.unpack_from(kind.size_format, content, at + kind.size_at)
        at += (0 if kind.counts_header else kind.header) + size + -size % kind.alignment
        if at > end + 1:
            return False
    return True


def _before_trailing(content: mmap.mmap, data: int, end: int, kind: _Chunks) -> int:
    """Where chunks or a tag behind the samples begin; `end` where there are none."""
    for match in _TRAILING_CHUNK.finditer(content, data, end):
        if _chunks_end(content, match.start(), end, kind):
            return match.start()
    if content[max(data, end - 128) : end].startswith(b"TAG"):
        return end - 128
    return end


def _ogg(content: mmap.mmap, start: int) -> Layout:
    """A recording begins with pages that are marked so; those of chained recordings stand behind other pages."""
    starts, at, in_header = [0], start, True
    while content[at : at + 4] == b"OggS" and at + 27 <= len(content):
        begins = bool(content[at + 5] & 2)
        if begins and not in_header:
            starts.append(at)
        in_header = begins
        segments = content[at + 26]
        at += 27 + segments + sum(content[at + 27 : at + 27 + segments])
    return _layout_from([Stream(*span) for span in zip(starts, [*starts[1:], len(content)])], set())


def _flac(content: mmap.mmap) -> Layout:
    starts = [match.start() for match in _JOINED_FLAC.finditer(content)] or [0]
    starts[0] = 0
    streams, notices, cut_short = [], set(), False
    for start, end in zip(starts, [*starts[1:], len(content)]):
        marker = content.find(b"fLaC", start, end)
        info = int.from_bytes(content[marker + 18 : marker + 26], "big")
        declared, rate = info & (1 << 36) - 1, info >> 44
        held = _flac_samples(content, marker, end)
        if held == 0 and declared == 0:
            continue  # to libsndfile it would be one of unknown length
        patches = ()
        if held is not None and held != declared:
            if declared > held + SLACK_SECONDS * rate:
                cut_short = True
            elif declared:
                notices.add(LESS if declared < held else MORE)
            patches = ((marker + 18 - start, (info - declared + held).to_bytes(8, "big")),)
        streams.append(Stream(start, end, patches))
    return _layout_from(streams, notices, cut_short)


def _flac_samples(content: mmap.mmap, marker: int, end: int) -> int | None:
    """How many samples a FLAC stream has by its last frame, 0 without any; None when no frame is found in what is
    there.
    """
    at = marker + 4
    while True:  # metadata blocks
        last, size = content[at] & 0x80, int.from_bytes(content[at + 1 : at + 4], "big")
        at += 4 + size
        if last or at >= end:
            break
    if at >= end:
        return 0
    block = int.from_bytes(content[marker + 8 : marker + 10], "big")
    first, position = content[at : at + 4], end
    while len(first) == 4 and (position := content.rfind(first[:2], at, position)) >= 0:
        header = content[position : position + 16]
        samples = _flac_frame_end(header, block)
        # the two bytes and the check sum also occur by chance within a frame; sample rate and size are those of the
        # first
        alike = len(header) > 3 and not (header[2] ^ first[2] | header[3] ^ first[3]) & 15
        if samples is not None and alike:
            return samples
        position += 1
        if position <= at + 1:
            return None
    return None


def _flac_frame_end(header: bytes, block: int) -> int | None:
    """The number of the sample behind a frame (RFC 9639, section 9.1); None when it is none or its check
    sum is wrong.
    """
    if len(header) < 6 or header[2] >> 4 == 0:  # a block size that is not used
        return None
    first = header[4]
    extra = 0 if first < 0x80 else 8 - (first ^ 0xFF).bit_length() - 1  # bytes behind the first of the coded number
    if first >= 0x80 and not 1 <= extra <= 6:
        return None
    number = first if extra == 0 else first & (1 << 6 - extra) - 1
    for byte in header[5 : 5 + extra]:
        number = number << 6 | byte & 0x3F
    at, size_code, rate_code = 5 + extra, header[2] >> 4, header[2] & 15
    if size_code in (6, 7):
        size = int.from_bytes(header[at : at + size_code - 5], "big") + 1
        at += size_code - 5
    elif size_code == 1:
        size = 192
    else:
        size = 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(header) or _crc8(header[:at]) != header[at]:
        return None
    return size + (number if header[1] & 1 else number * block)


def _crc8(content: bytes) -> int:
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 0x80 else 0)
    return value


def _mp3(content: mmap.mmap, start: int) -> Layout:
    streams, notices, cut_short = [], set(), False
    for run in mp3.runs(content, start):
        patches = ()
        missing = 0 if run.declared_frames is None else run.declared_frames - run.frames
        if missing > 1:
            cut_short = True
        elif missing == 1 or missing < -1:  # one more than it says may be the header's own frame
            notices.add(LESS if missing < 0 else MORE)
            patches = mp3.corrected(run)
        prefix = mp3.xing_frame(content, run) if run.length_is_guessed else b""
        streams.append(Stream(run.start, run.end, patches, prefix))
    if not streams:
        return Layout((Stream(0, len(content)),))
    if len(streams) == 1 and not streams[0].patches and not streams[0].prefix:
        streams = [Stream(0, len(content))]
    return _layout_from(streams, notices, cut_short)
