"""The frames of an MP3 file (ISO 11172-3, layer III) and the Xing header, whose frame count a decoder believes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_KBPS = {  # by version 1 or lower, and the header's bit rate index
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HZ = (44100, 48000, 32000)
RESYNC_BYTES = 4096  # of junk between frames


@dataclass
class Run:
    """Frames of one encoder: from a Xing header, or the beginning, to the next."""

    start: int
    end: int
    key: tuple  # what all of its frames have in common
    frames: int  # without that of the Xing header
    xing_at: int | None  # position of the Xing header's tag
    declared_frames: int | None  # what it says
    tells_bytes: bool  # whether it tells the bytes of all frames too
    sizes: set[int] = field(default_factory=set)  # of its frames, in bytes and without padding

    @property
    def length_is_guessed(self) -> bool:
        """Whether a decoder takes the first frame's bit rate for that of all and is wrong."""
        return self.xing_at is None and len(self.sizes) > 1


def after_id3(content, at: int) -> int:
    """The position behind an ID3v2 tag, or the same where there is none."""
    while content[at : at + 3] == b"ID3" and at + 10 <= len(content):
        size = 0
        for byte in content[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if content[at + 5] & 0x10 else 0)
    return at if at < len(content) else 0


def runs(content, start: int) -> list[Run]:
    """The runs of a file; none when it does not begin with frames of layer III."""
    found: list[Run] = []
    for at, size, key in _frames(content, start):
        xing = _xing_at(content, at, key)
        if not found or xing is not None or key != found[-1].key:
            declared = None
            if xing is not None:
                flags, count = struct.unpack_from(">II", content, xing + 4)
                declared = count if flags & 1 else None
            found.append(Run(at, at + size, key, 0, xing, declared, xing is not None and flags & 3 == 3))
            if xing is not None:
                continue
        found[-1].frames += 1
        found[-1].sizes.add(size - (content[at + 2] >> 1 & 1))
    for run, following in zip(found, found[1:]):
        run.end = following.start
    if found:
        found[-1].end = len(content)
    return found


def corrected(run: Run) -> tuple[tuple[int, bytes], ...]:
    """What to write over a run's bytes so that its Xing header tells its frames."""
    frames_at = run.xing_at - run.start + 8
    patches = (frames_at, struct.pack(">I", run.frames)), (frames_at + 4, struct.pack(">I", run.end - run.start))
    return patches if run.tells_bytes else patches[:1]


def xing_frame(content, run: Run) -> bytes:
    """A frame to put before a run that has no Xing header, which tells its frames and bytes."""
    header = bytearray(content[run.start : run.start + 4])
    header[1] |= 1  # no check sum
    header[2] = header[2] & 0x0D | 0x80  # no padding, and a bit rate that leaves room
    size, key = _frame(header, 0)
    frame = header + bytes(_side_bytes(key))
    frame += b"Xing" + struct.pack(">III", 3, run.frames, size + run.end - run.start)
    return bytes(frame) + bytes(size - len(frame))


def _frames(content, at: int) -> Iterator[tuple[int, int, tuple]]:
    """(position, bytes, key) of each whole frame."""
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


def _next_frame(content, at: int) -> int:
    """Where a frame that is followed by another of its kind, or the end, begins within `RESYNC_BYTES`; -1 for none."""
    most = at + RESYNC_BYTES
    while (at := content.find(b"\xff", at, most)) >= 0:
        frame = _frame(content, at)
        if frame is not None:
            following = _frame(content, at + frame[0])
            if following is not None and following[1] == frame[1]:
                return at
        at += 1
    return -1


def _frame(content, at: int) -> tuple[int, tuple] | None:
    """(bytes, (version 1, version 2.5, rate, mono)) of the frame at a position."""
    header = content[at : at + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, index, rate_index = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or rate_index == 3 or not 0 < index < 15:
        return None
    first = version == 3
    rate = _HZ[rate_index] >> (0 if first else 1 if version == 2 else 2)
    size = (144 if first else 72) * 1000 * _KBPS[first][index] // rate + (header[2] >> 1 & 1)
    return size, (first, version == 0, rate, header[3] >> 6 == 3)


def _xing_at(content, at: int, key: tuple) -> int | None:
    position = at + 4 + _side_bytes(key)
    return position if content[position : position + 4] in (b"Xing", b"Info") else None


def _side_bytes(key: tuple) -> int:
    """Of a frame's side information."""
    first, _, _, mono = key
    return (17 if mono else 32) if first else (9 if mono else 17)
