"""Ends utterances by rules on silence, which a voice activity detector finds."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tflite_asr.audio.voice_activity import EnergyDetector, VoiceActivityDetector
from tflite_asr.errors import InputError

PADDING_SECONDS = 0.4  # of silence that an utterance keeps before its speech: a word may begin below the noise
LEAST_SPEECH_SECONDS = 0.05  # what is louder for a shorter time is a click
LEAST_PAUSE_SECONDS = 0.1  # in which speech that is too long is cut


@dataclass(frozen=True)
class EndpointRules:
    """An utterance ends when one of these rules applies."""

    leading_silence_seconds: float = 5.0  # nothing was said since it began
    trailing_silence_seconds: float = 0.8  # something was said, and then nothing
    longest_seconds: float = 20.0  # it lasts so long; it is cut at the longest pause of its second half

    def __post_init__(self):
        for name, seconds in vars(self).items():
            if not 0.1 <= seconds <= 1e6:
                raise InputError(f"endpoint rules: expected 0.1 s or more as {name}, got {seconds}")


@dataclass(frozen=True)
class Endpoint:
    """The end of an utterance; times count from the beginning of the stream."""

    rule: str  # that ended it: leading_silence, trailing_silence, longest, or end, of the stream
    start_seconds: float  # of its audio
    end_seconds: float  # of its audio; the next utterance begins no earlier
    speech_start_seconds: float | None  # None where nothing was said
    speech_end_seconds: float | None
    decided_seconds: float  # how much of the stream had to be heard to know


class Endpointer:
    """Cuts a stream of samples into utterances.

    Args:
        sample_rate: of the samples, in Hz.
        rules: when an utterance is over.
        detector: tells speech from silence; an `EnergyDetector` when None.
    """

    def __init__(
        self,
        sample_rate: int,
        rules: EndpointRules | None = None,
        detector: VoiceActivityDetector | None = None,
    ):
        self.rules = rules or EndpointRules()
        self.detector = detector or EnergyDetector(sample_rate)
        self._sample_rate = sample_rate
        self._step = self.detector.step_seconds
        self._heard = 0  # samples of the stream
        self._scores: list[float] = []  # since the utterance began
        self._first = 0  # the step at which it began
        self._at_end = 0  # how many of its steps, the last ones, were speech or not without change
        self._speech: tuple[int, int] | None = None  # its first step of speech, and that behind its last one

    @property
    def start_seconds(self) -> float:
        """Where the utterance that is not over yet began."""
        return self._first * self._step

    @property
    def speaking(self) -> bool:
        """Whether anything was said in it so far."""
        return self._speech is not None

    def process(self, samples: np.ndarray) -> list[Endpoint]:
        """The utterances that are over with samples [n] float32 more."""
        self._heard += len(samples)
        return list(self._process(self.detector.process(samples)))

    def finish(self) -> Endpoint | None:
        """The utterance since the last endpoint, when the stream ends; None without speech. The next samples begin
        another stream.
        """
        ended = None
        if self._speech:
            seconds = self._heard / self._sample_rate  # with the samples of an unfinished step
            ended = dataclasses.replace(
                self._ended("end", len(self._scores)), end_seconds=seconds, decided_seconds=seconds
            )
        self.detector.reset()
        self._scores, self._first, self._at_end, self._speech, self._heard = [], 0, 0, None, 0
        return ended

    def _process(self, scores: np.ndarray) -> Iterator[Endpoint]:
        for score in scores.tolist():
            self._add(score)
            ended = self._over()
            if ended:
                yield ended

    def _add(self, score: float) -> None:
        changed = bool(self._scores) and (score > 0) != (self._scores[-1] > 0)
        self._at_end = 1 if changed else self._at_end + 1
        self._scores.append(score)
        if score > 0 and self._at_end >= self._steps(LEAST_SPEECH_SECONDS):
            end = len(self._scores)
            self._speech = (self._speech[0] if self._speech else end - self._at_end, end)

    def _over(self) -> Endpoint | None:
        """The utterance, if a rule ends it now."""
        rules, count = self.rules, len(self._scores)
        if self._speech is None:
            if count < self._steps(min(rules.leading_silence_seconds, rules.longest_seconds)):
                return None
            # a word may just be beginning
            return self._cut("leading_silence", count - min(count - 1, self._steps(PADDING_SECONDS)))
        if count - self._speech[1] >= self._steps(rules.trailing_silence_seconds):
            return self._cut("trailing_silence", self._speech[1] + self._steps(rules.trailing_silence_seconds / 2))
        start = self._audio_start()
        if count - start >= self._steps(rules.longest_seconds):
            return self._cut("longest", self._best_cut(start + (count - start) // 2))
        return None

    def _cut(self, rule: str, end: int) -> Endpoint:
        """End the utterance at a step; those behind it belong to the next one."""
        ended = self._ended(rule, end)
        rest, self._scores = self._scores[end:], []
        self._first, self._at_end, self._speech = self._first + end, 0, None
        for score in rest:
            self._add(score)
        return ended

    def _ended(self, rule: str, end: int) -> Endpoint:
        speech = None if self._speech is None else (self._speech[0], min(self._speech[1], end))
        return Endpoint(
            rule,
            self._at(self._audio_start()),
            self._at(end),
            None if speech is None else self._at(speech[0]),
            None if speech is None else self._at(speech[1]),
            self._at(len(self._scores)),
        )

    def _audio_start(self) -> int:
        """The step at which the utterance's audio begins: silence before it is left out."""
        return 0 if self._speech is None else max(0, self._speech[0] - self._steps(PADDING_SECONDS))

    def _best_cut(self, first: int) -> int:
        """Where to cut speech that is too long, at or behind a step: the middle of the longest pause, or without one
        the quietest step.
        """
        scores = np.asarray(self._scores[first:])
        edges = np.flatnonzero(np.diff(np.concatenate([[False], scores <= 0, [False]]).astype(np.int8)))
        starts, ends = edges[::2], edges[1::2]
        if len(starts) and np.max(ends - starts) >= self._steps(LEAST_PAUSE_SECONDS):
            longest = int(np.argmax(ends - starts))
            return first + int(starts[longest] + ends[longest] + 1) // 2
        return first + int(np.argmin(scores)) + 1

    def _steps(self, seconds: float) -> int:
        return max(1, round(seconds / self._step))

    def _at(self, step: int) -> float:
        return (self._first + step) * self._step
