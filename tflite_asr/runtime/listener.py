"""Speech as it comes from a microphone: chunks of samples in, the text so far out."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.audio.endpoints import Endpoint, Endpointer, EndpointRules
from tflite_asr.audio.segments import Segmenter, Sound, SpeechSegment, pieces
from tflite_asr.audio.voice_activity import VoiceActivityDetector
from tflite_asr.config import ModelConfig
from tflite_asr.runtime.hotwords import Hotwords
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.words import Word


@dataclass(frozen=True)
class Heard:
    """The text of an utterance so far, or, when it is over, all of it."""

    text: str
    endpoint: Endpoint | None = None  # where the utterance is in the stream, once it is over
    words: Sequence[Word] = ()  # of one that is over; their times count from the beginning of the stream

    @property
    def over(self) -> bool:
        """Whether the utterance is over."""
        return self.endpoint is not None


def endpointer_for(
    config: ModelConfig, rules: EndpointRules | None = None, detector: VoiceActivityDetector | None = None
) -> Endpointer:
    """An endpointer whose utterances are no longer than a model takes.

    Args:
        config: of the model.
        rules: of which `longest_seconds` is lowered where the model takes less; the usual ones when None.
        detector: tells speech from silence, at the model's sample rate; see `Endpointer`.
    """
    features, rules = config.features, rules or EndpointRules()
    tail = features.samples_of(config.tail_frames) if config.tail_frames else 0
    longest = config.max_seconds - max(tail, 2 * config.edge_samples) / features.sample_rate
    rules = dataclasses.replace(rules, longest_seconds=min(rules.longest_seconds, longest))
    return Endpointer(features.sample_rate, rules, detector)


def listen(
    recognizer: Recognizer,
    chunks: Iterable[np.ndarray | Sound],
    *,
    endpointer: Endpointer | None = None,
    hotwords: Hotwords | None = None,
    exit: int | None = None,
    words: bool = True,
) -> Iterator[Heard]:
    """Transcribe samples [any] float32 in [-1, 1] at the model's rate as they come.

    While somebody speaks, the text so far is what `stream` gives, of a model that streams, whenever it is another one.
    The text of an utterance that is over is what `transcribe` gives of its samples. Utterances in which nothing is said
    or recognised are left out.

    Args:
        recognizer: of any model.
        chunks: empty ones do no harm; InputError for a `Sound` of another rate than the model's.
        endpointer: ends the utterances; that of `endpointer_for` with the usual rules when None.
        hotwords: count in the text of an utterance that is over.
        exit: where the encoder is left for the text so far; the last if None.
        words: whether an utterance that is over comes with its words; they take another run of the encoder.
    """
    utterances = _Utterances(recognizer, chunks, endpointer or endpointer_for(recognizer.config))
    streams = "stream" in recognizer.artifact.signatures
    while utterances.more:
        samples = utterances.samples()
        if streams:
            last_text = ""
            for text in recognizer.stream(stream_frames(recognizer, samples), exit=exit):
                if text != last_text and utterances.speaking:
                    last_text = text
                    yield Heard(text)
        for _ in samples:  # what was not streamed
            pass
        for segment in utterances.ended():
            heard = _finished(recognizer, segment, hotwords, words)
            if heard.text:
                yield heard


def _finished(recognizer: Recognizer, segment: SpeechSegment, hotwords: Hotwords | None, words: bool) -> Heard:
    """An utterance that is over."""
    with recognizer.model.lock:  # text and words by the same weights
        text = recognizer.transcribe(segment.samples, hotwords=hotwords)
        if not (text and words):
            return Heard(text, segment.endpoint)
        frames = recognizer.features(segment.samples)
        timed = recognizer.timed_words(frames, text, samples=segment.samples)
    start = segment.endpoint.start_seconds
    moved = [
        dataclasses.replace(word, start_seconds=start + word.start_seconds, end_seconds=start + word.end_seconds)
        for word in timed
    ]
    return Heard(text, segment.endpoint, moved)


class _Utterances:
    """A stream of samples, one utterance after the other."""

    def __init__(self, recognizer: Recognizer, chunks: Iterable[np.ndarray | Sound], endpointer: Endpointer):
        rate = recognizer.config.features.sample_rate
        self.more = True  # whether the stream continues
        self._least = recognizer.config.features.samples_of(recognizer.config.encoder.frames_per_step)
        self._pieces = pieces(chunks, rate)
        self._segmenter = Segmenter(rate, endpointer)
        self._ended: list[SpeechSegment] = []
        self.speaking = False  # whether anything was said in the utterance so far

    def samples(self) -> Iterator[np.ndarray]:
        """Samples of the utterance as they come, until it is over; first those behind the last endpoint."""
        if len(self._segmenter.unfinished):
            yield self._segmenter.unfinished
        for piece in self._pieces:
            self._ended = self._segmenter.process(piece)
            if not self._ended:
                self.speaking = self._segmenter.endpointer.speaking
            yield piece
            if self._ended:
                return
        last = self._segmenter.finish()
        self._ended, self.more = [last] if last else [], False

    def ended(self) -> list[SpeechSegment]:
        """The utterances that were over when `samples` ended, in which something was said."""
        ended, self._ended = self._ended, []
        self.speaking = self._segmenter.endpointer.speaking
        return [
            segment
            for segment in ended
            if segment.endpoint.speech_start_seconds is not None and len(segment.samples) >= self._least
        ]


def stream_frames(recognizer: Recognizer, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Log-mel frames [stream_frames, mel_bands] of samples as they come, the last ones fewer.

    Together they are the frames that `Recognizer.features` makes of the whole, the silence at its end among them.
    """
    features, size = recognizer.config.features, recognizer.config.sizes.stream_frames
    taken, needed = size * features.hop_samples, features.samples_of(size)
    waiting = np.zeros([0], np.float32)
    for chunk in chunks:
        waiting = np.concatenate([waiting, chunk])
        while len(waiting) >= needed:
            yield recognizer.features(waiting[:needed])[:size]
            waiting = waiting[taken:]
    waiting = np.pad(waiting, (0, recognizer.config.tail_frames * features.hop_samples))
    while features.frames_of(len(waiting)):
        part = waiting[:needed]
        yield recognizer.features(part)[: features.frames_of(len(part))]
        waiting = waiting[taken:]
