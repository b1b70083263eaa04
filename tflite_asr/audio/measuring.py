"""Measures what an audio file holds by its bytes, since a header may give a wrong length.

An interrupted recorder, a concatenation or a faulty writer leaves a header that gives less or more than the file holds,
and a decoder that trusts the header loses speech. `layout_of` finds the streams of a file and the header bytes to
correct.
"""

import mmap
import os
import struct
from functools import lru_cache
from pathlib import Path

from tflite_asr.audio.chunks import AIFF, RIFF, W64, chunked_layout
from tflite_asr.audio.flac import flac_layout
from tflite_asr.audio.layout import Layout, Stream, layout_from
from tflite_asr.audio.mp3 import after_id3, mp3_layout


def layout_of(path: Path) -> Layout:
    """The recordings of a file; one stream of the whole file if its format is unknown.

    Raises:
        OSError: the file cannot be read.
    """
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
    start = after_id3(content, 0)
    form, kind = content[start : start + 4], content[start + 8 : start + 12]
    if form in (b"RIFF", b"RF64") and kind == b"WAVE":
        return chunked_layout(content, start, RIFF)
    if form == b"FORM" and kind in (b"AIFF", b"AIFC"):
        return chunked_layout(content, start, AIFF)
    if form == b"riff":
        return chunked_layout(content, start, W64)
    if form == b"fLaC":
        return flac_layout(content)
    if form == b"OggS":
        return _ogg(content, start)
    if content[start] == 0xFF:
        return mp3_layout(content, start)
    return Layout((Stream(0, len(content)),))


def _ogg(content: mmap.mmap, start: int) -> Layout:
    """The layout of an Ogg file. Its first pages have a flag; flagged pages after others begin a chained recording."""
    starts, at, in_header = [0], start, True
    while content[at : at + 4] == b"OggS" and at + 27 <= len(content):
        begins = bool(content[at + 5] & 2)
        if begins and not in_header:
            starts.append(at)
        in_header = begins
        segments = content[at + 26]
        at += 27 + segments + sum(content[at + 27 : at + 27 + segments])
    return layout_from([Stream(*span) for span in zip(starts, [*starts[1:], len(content)])], set())
