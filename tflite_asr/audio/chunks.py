"""Containers of chunks: WAV, RF64, AIFF and W64."""

import mmap
import re
import struct
from dataclasses import dataclass
from typing import NamedTuple

from tflite_asr.audio.layout import LESS, MORE, SLACK_SECONDS, Layout, Stream, layout_from

UNKNOWN_BYTES = 0x7FFFF000  # a WAV that was written to a pipe gives this length or a greater one

_JOINED_WAV = re.compile(rb"RIFF.{4}WAVEfmt ", re.DOTALL)
_TRAILING_CHUNK = re.compile(
    rb"LIST|id3 |ID3 |bext|fact|cue |smpl|inst|iXML|_PMX|JUNK|PAD |DISP|afsp|PEAK|ANNO|NAME|AUTH|COMT"
)
_TAGS = (b"TAG", b"ID3", b"APETAGEX")  # written after the samples by taggers that know MP3 alone


@dataclass(frozen=True)
class ChunkFormat:
    """How a container of chunks is written."""

    first: int  # position of the first chunk
    size_at: int  # of the size in a chunk's header
    size_format: str  # for struct
    header: int  # bytes of a chunk's header
    counts_header: bool  # whether the size does
    alignment: int
    data: bytes  # name of the chunk with samples
    prefix: int = 0  # bytes before the samples in that chunk


RIFF = ChunkFormat(12, 4, "<I", 8, False, 2, b"data")
AIFF = ChunkFormat(12, 4, ">I", 8, False, 2, b"SSND", prefix=8)
W64 = ChunkFormat(40, 16, "<Q", 24, True, 8, b"data")


class _DataChunk(NamedTuple):
    """The chunk with the samples."""

    size_at: int  # position of its size
    size_format: str  # of its size, for struct
    start: int  # position of its body
    size: int  # bytes of its body, as the header gives it
    bytes_per_second: float
    frames_at: tuple[int, int] | None  # AIFF: position of the frame count, bytes in a frame


def chunked_layout(content: mmap.mmap, start: int, kind: ChunkFormat) -> Layout:
    """The layout of a WAV, RF64, AIFF or W64 file.

    Args:
        content: of the file.
        start: position of the container; what is before it is a tag.
        kind: how the container is written.
    """
    streams: list[Stream] = []
    notices: set[str] = set()
    cut_short = False
    begin = 0
    while True:
        found = _data_chunk(content, start, kind)
        if found is None:
            return layout_from([*streams, Stream(begin, len(content))], notices, cut_short)
        size_at, size_format, data, declared, bytes_per_second, frames_at = found
        available = len(content) - data
        unknown = declared >= UNKNOWN_BYTES and declared > available
        joined = (
            _JOINED_WAV.search(content, data + (declared if declared <= available else 0)) if kind is RIFF else None
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
            return layout_from(streams, notices, cut_short)
        begin = start = end


def _data_chunk(content: mmap.mmap, start: int, kind: ChunkFormat) -> _DataChunk | None:
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
            return _DataChunk(position, size_format, body, size, bytes_per_second, frames_at)
        if size < 0:
            return None
        at = body + size + -size % kind.alignment
    return None


def _held(content: mmap.mmap, data: int, declared: int, end: int, kind: ChunkFormat, slack: float) -> int:
    """The number of bytes of samples from `data`, if the header gives no more than the file holds."""
    rest = data + declared
    if any(_chunks_end(content, rest + padding, end, kind) for padding in {0, -declared % kind.alignment}):
        return declared
    rest_end = _before_trailing(content, rest, end, kind)
    extra = content[rest:rest_end]
    if len(extra) <= slack or extra.startswith(_TAGS) or not extra.strip(b"\0"):
        return declared
    return rest_end - data


def _chunks_end(content: mmap.mmap, at: int, end: int, kind: ChunkFormat) -> bool:
    """Whether only whole chunks, and at most a tag after them, follow until the end."""
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


def _before_trailing(content: mmap.mmap, data: int, end: int, kind: ChunkFormat) -> int:
    """The position of the chunks or the tag after the samples; `end` if there are none."""
    for match in _TRAILING_CHUNK.finditer(content, data, end):
        if _chunks_end(content, match.start(), end, kind):
            return match.start()
    if content[max(data, end - 128) : end].startswith(b"TAG"):
        return end - 128
    return end
