"""Utterances cut out of a stream of samples, in memory that does not grow with the stream."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tflite_asr.audio.endpoints import Endpoint, Endpointer
from tflite_asr.audio.samples import checked_samples
from tflite_asr.errors import InputError

PIECE_SECONDS = 0.1  # what an endpointer is given at a time


@dataclass(frozen=True)
class Sound:
    """Samples with their rate."""

    samples: np.ndarray  # [n] float32
    sample_rate: int  # Hz


@dataclass(frozen=True)
class SpeechSegment:
    """An utterance of a stream."""

    samples: np.ndarray  # [n] float32
    endpoint: Endpoint  # where in the stream it is, and the rule that ended it


class Segmenter:
    """Cuts a stream of samples into utterances with their samples.

    Args:
        sample_rate: of the samples, in Hz.
        endpointer: ends the utterances; one with the usual rules when None.
    """

    def __init__(self, sample_rate: int, endpointer: Endpointer | None = None):
        self.sample_rate = sample_rate
        self.endpointer = endpointer or Endpointer(sample_rate)
        self._samples = np.zeros([0], np.float32)  # since the utterance that is not over yet began
        self._first = 0  # where in the stream these begin

    @property
    def unfinished(self) -> np.ndarray:
        """Samples [n] float32 since the last endpoint."""
        return self._samples

    def process(self, samples: np.ndarray) -> list[SpeechSegment]:
        """The utterances, those without speech among them, that are over with samples [n] float32 more."""
        self._samples = np.concatenate([self._samples, samples])
        return [self._cut(endpoint) for endpoint in self.endpointer.process(samples)]

    def finish(self) -> SpeechSegment | None:
        """The last utterance, when the stream ends; None where nothing was said since the last endpoint."""
        endpoint = self.endpointer.finish()
        segment = None if endpoint is None else self._cut(endpoint)
        self._samples, self._first = np.zeros([0], np.float32), 0
        return segment

    def _cut(self, endpoint: Endpoint) -> SpeechSegment:
        first, end = (
            round(seconds * self.sample_rate) - self._first
            for seconds in (endpoint.start_seconds, endpoint.end_seconds)
        )
        samples, self._samples = self._samples[first:end], self._samples[end:]
        self._first += end
        return SpeechSegment(samples, endpoint)


def speech_segments(
    blocks: Iterable[np.ndarray | Sound], sample_rate: int, endpointer: Endpointer | None = None
) -> Iterator[SpeechSegment]:
    """The utterances in which something is said, of samples [any] float32 that come in blocks.

    Args:
        blocks: of samples at the rate, such as `audio_blocks` gives; empty ones do no harm.
        sample_rate: in Hz.
        endpointer: see `Segmenter`.
    """
    segmenter = Segmenter(sample_rate, endpointer)
    for piece in pieces(blocks, sample_rate):
        for segment in segmenter.process(piece):
            if segment.endpoint.speech_start_seconds is not None:
                yield segment
    last = segmenter.finish()
    if last:
        yield last


def pieces(blocks: Iterable[np.ndarray | Sound], sample_rate: int) -> Iterator[np.ndarray]:
    """The same samples in pieces of a tenth of a second at most; empty blocks are left out.

    InputError for a block that does not hold samples of one channel from -1 to 1, or says that it has another rate.
    """
    size = round(PIECE_SECONDS * sample_rate)
    for block in blocks:
        if isinstance(block, Sound):
            if block.sample_rate != sample_rate:
                raise InputError(
                    f"chunk: expected samples at {sample_rate} Hz, got {block.sample_rate} Hz; resample them"
                )
            block = block.samples
        if not len(block):
            continue
        samples = checked_samples(block, "chunk")
        for first in range(0, len(samples), size):
            yield samples[first : first + size]
