"""The frames of an MP3 file (ISO 11172-3, layer III) and the Xing header, whose frame count a decoder believes."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tflite_asr.audio.layout import LESS, MORE, Layout, Patches, Stream, layout_from

_KBPS = {  # by version 1 or lower, and the header's bit rate index
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HZ = (44100, 48000, 32000)
RESYNC_BYTES = 4096  # of junk between frames


class FrameKind(NamedTuple):
    """What all frames of one encoder have in common."""

    version_1: bool
    version_2_5: bool
    rate: int  # Hz
    mono: bool

    @property
    def side_bytes(self) -> int:
        """Bytes of a frame's side information."""
        if self.version_1:
            return 17 if self.mono else 32
        return 9 if self.mono else 17


@dataclass
class Run:
    """Consecutive frames of one encoder: from a Xing header, or the beginning, to the next."""

    start: int
    end: int
    kind: FrameKind
    frames: int  # without the Xing header's own frame
    xing_at: int | None  # position of the Xing header's tag
    declared_frames: int | None  # as the Xing header gives them
    tells_bytes: bool  # whether the Xing header gives the bytes of all frames too
    sizes: set[int] = field(default_factory=set)  # of its frames, in bytes and without padding

    @property
    def length_is_guessed(self) -> bool:
        """Whether a decoder wrongly applies the first frame's bit rate to all frames."""
        return self.xing_at is None and len(self.sizes) > 1


def after_id3(content: mmap.mmap, at: int) -> int:
    """The position after an ID3v2 tag; the same position if there is no tag."""
    while content[at : at + 3] == b"ID3" and at + 10 <= len(content):
        size = 0
        for byte in content[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if content[at + 5] & 0x10 else 0)
    return at if at < len(content) else 0


def runs(content: mmap.mmap, start: int) -> list[Run]:
    """The runs of a file; none if it does not begin with layer III frames."""
    found: list[Run] = []
    for at, size, kind in _frames(content, start):
        xing = _xing_at(content, at, kind)
        if not found or xing is not None or kind != found[-1].kind:
            declared = None
            if xing is not None:
                flags, count = struct.unpack_from(">II", content, xing + 4)
                declared = count if flags & 1 else None
            found.append(Run(at, at + size, kind, 0, xing, declared, xing is not None and flags & 3 == 3))
            if xing is not None:
                continue
        found[-1].frames += 1
        found[-1].sizes.add(size - (content[at + 2] >> 1 & 1))
    for run, following in zip(found, found[1:]):
        run.end = following.start
    if found:
        found[-1].end = len(content)
    return found


def corrected(run: Run) -> Patches:
    """Patches that make a run's Xing header give the right number of frames; none without a Xing header."""
    if run.xing_at is None:
        return ()
    frames_at = run.xing_at - run.start + 8
    patches = (frames_at, struct.pack(">I", run.frames)), (frames_at + 4, struct.pack(">I", run.end - run.start))
    return patches if run.tells_bytes else patches[:1]


def xing_frame(content: mmap.mmap, run: Run) -> bytes:
    """A frame with a Xing header, which gives the run's frames and bytes, to put before a run that has none."""
    header = bytearray(content[run.start : run.start + 4])
    header[1] |= 1  # no check sum
    header[2] = header[2] & 0x0D | 0x80  # no padding, and a bit rate that leaves room
    first = _frame(header, 0)
    if first is None:
        raise ValueError(f"expected a run that begins with a frame, got the header {header.hex()}")
    size, kind = first
    frame = header + bytes(kind.side_bytes)
    frame += b"Xing" + struct.pack(">III", 3, run.frames, size + run.end - run.start)
    return bytes(frame) + bytes(size - len(frame))


def mp3_layout(content: mmap.mmap, start: int) -> Layout:
    """The layout of an MP3 file, which begins with a frame or a tag before `start`."""
    streams: list[Stream] = []
    notices: set[str] = set()
    cut_short = False
    for run in runs(content, start):
        patches: Patches = ()
        missing = 0 if run.declared_frames is None else run.declared_frames - run.frames
        if missing > 1:
            cut_short = True
        elif missing == 1 or missing < -1:  # one more than it says may be the header's own frame
            notices.add(LESS if missing < 0 else MORE)
            patches = corrected(run)
        prefix = xing_frame(content, run) if run.length_is_guessed else b""
        streams.append(Stream(run.start, run.end, patches, prefix))
    if not streams:
        return Layout((Stream(0, len(content)),))
    if len(streams) == 1 and not streams[0].patches and not streams[0].prefix:
        streams = [Stream(0, len(content))]
    return layout_from(streams, notices, cut_short)


def _frames(content: mmap.mmap, at: int) -> Iterator[tuple[int, int, FrameKind]]:
    """(position, bytes, kind) of each whole frame."""
    end = len(content)
    while at + 4 <= end:
        frame = _frame(content, at)
        if frame is not None and at + frame[0] <= end:
            yield at, *frame
            at += frame[0]
            continue
        if content[at : at + 3] == b"ID3" and (behind := after_id3(content, at)) > at:
            at = behind
            continue
        at = _next_frame(content, at + 1)
        if at < 0:
            return


def _next_frame(content: mmap.mmap, at: int) -> int:
    """The position, within `RESYNC_BYTES`, of a frame that another frame of its kind follows; -1 if there is none."""
    most = at + RESYNC_BYTES
    while (at := content.find(b"\xff", at, most)) >= 0:
        frame = _frame(content, at)
        if frame is not None:
            following = _frame(content, at + frame[0])
            if following is not None and following[1] == frame[1]:
                return at
        at += 1
    return -1


def _frame(content: mmap.mmap | bytearray, at: int) -> tuple[int, FrameKind] | None:
    """(bytes, kind) of the frame at a position; None if there is no frame."""
    header = content[at : at + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, index, rate_index = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or rate_index == 3 or not 0 < index < 15:
        return None
    first = version == 3
    rate = _HZ[rate_index] >> (0 if first else 1 if version == 2 else 2)
    size = (144 if first else 72) * 1000 * _KBPS[first][index] // rate + (header[2] >> 1 & 1)
    return size, FrameKind(first, version == 0, rate, header[3] >> 6 == 3)


def _xing_at(content: mmap.mmap, at: int, kind: FrameKind) -> int | None:
    position = at + 4 + kind.side_bytes
    return position if content[position : position + 4] in (b"Xing", b"Info") else None
