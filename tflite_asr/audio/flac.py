"""FLAC streams (RFC 9639): how many samples a file holds by its last frame."""

import mmap
import re

from tflite_asr.audio.layout import LESS, MORE, SLACK_SECONDS, Layout, Patches, Stream, layout_from

_JOINED_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")


def flac_layout(content: mmap.mmap) -> Layout:
    """The layout of a FLAC file, which may hold several streams."""
    starts = [match.start() for match in _JOINED_FLAC.finditer(content)] or [0]
    starts[0] = 0
    streams: list[Stream] = []
    notices: set[str] = set()
    cut_short = False
    for start, end in zip(starts, [*starts[1:], len(content)]):
        marker = content.find(b"fLaC", start, end)
        info = int.from_bytes(content[marker + 18 : marker + 26], "big")
        declared, rate = info & (1 << 36) - 1, info >> 44
        held = _flac_samples(content, marker, end)
        if held == 0 and declared == 0:
            continue  # to libsndfile it would be one of unknown length
        patches: Patches = ()
        if held is not None and held != declared:
            if declared > held + SLACK_SECONDS * rate:
                cut_short = True
            elif declared:
                notices.add(LESS if declared < held else MORE)
            patches = ((marker + 18 - start, (info - declared + held).to_bytes(8, "big")),)
        streams.append(Stream(start, end, patches))
    return layout_from(streams, notices, cut_short)


def _flac_samples(content: mmap.mmap, marker: int, end: int) -> int | None:
    """The number of samples of a FLAC stream by its last frame: 0 without frames, None if its last frame is damaged."""
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
        # the two bytes and the checksum also occur by chance within a frame; sample rate and size equal those of
        # the first frame
        alike = len(header) > 3 and not (header[2] ^ first[2] | header[3] ^ first[3]) & 15
        if samples is not None and alike:
            return samples
        position += 1
        if position <= at + 1:
            return None
    return None


def _flac_frame_end(header: bytes, block: int) -> int | None:
    """The number of the sample after a frame (RFC 9639, section 9.1); None if it is no frame or is damaged."""
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
