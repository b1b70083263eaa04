"""What an audio file holds: the byte range of each recording, and the header bytes to correct."""

from dataclasses import dataclass

SLACK_SECONDS = 0.01  # a header that is off by less than this is no sign of a damaged file
LESS = "the header gives less than the file holds; read to the end"
MORE = "the header gives a little more than the file holds; read what is there"
JOINED = "several recordings joined in one file; read all of them"

Patches = tuple[tuple[int, bytes], ...]  # (position in the stream, bytes to write there)


@dataclass(frozen=True)
class Stream:
    """One recording of a file."""

    start: int  # the recording's bytes in the file, from `start`
    end: int  # to `end`
    patches: Patches = ()
    prefix: bytes = b""  # what the decoder is to read first


@dataclass(frozen=True)
class Layout:
    """The recordings of a file, in order; none if it holds no samples."""

    streams: tuple[Stream, ...]
    notices: tuple[str, ...] = ()
    cut_short: bool = False

    @property
    def as_it_is(self) -> bool:
        """Whether a decoder reads the whole file without corrections."""
        first = self.streams[0]
        return len(self.streams) == 1 and not first.patches and not first.prefix and first.start == 0


def layout_from(streams: list[Stream], notices: set[str], cut_short: bool = False) -> Layout:
    """The layout of a file with these streams; several streams add a notice."""
    if len(streams) > 1:
        notices.add(JOINED)
    return Layout(tuple(streams), tuple(sorted(notices)), cut_short)
