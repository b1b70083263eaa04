"""Adjusts word times to the level of the audio: words start and end where speech does, next to a visible pause.

A first pass says in which step it wrote a word, which is some time after the word was heard. Where the speech around
that step is set off by a pause, its edges are the word's; where words follow one another without a pause, the step's
time stays. The level is that of the samples: log-mel frames may end at 3.8 kHz, below the power of an S.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tflite_asr.runtime.words import Word

STEP_SECONDS = 0.01  # a level is measured for each
SMOOTHING_STEPS = 3  # over which power is averaged
BELOW_PEAK_DB = 20.0  # what is quieter than the word's loudest step by more is not speech
ABOVE_FLOOR_DB = 6.0  # nor is what is not louder than the noise by this
AT_LEAST_BELOW_DB = 3.0  # in loud noise the loudest steps are still speech
FLOOR_SHARE = 10  # the noise is as loud as the step that one in so many is quieter than
PAUSE_BEFORE_SECONDS = 0.1  # in front of a word
PAUSE_BEHIND_SECONDS = 0.2  # behind a word: a closure within one, as before the last sounds of SIX and LEFT, is shorter
REACH_SECONDS = 0.7  # how far from the model's time the edge, with the pause behind it, may be


def fitted_words(words: Sequence[Word], samples: np.ndarray, sample_rate: int) -> list[Word]:
    """The words with their edges where speech begins and ends.

    Args:
        words: in order, without overlaps.
        samples: [n] float32, the utterance.
        sample_rate: of the samples, in Hz.
    """
    return _fitted(words, step_levels(np.asarray(samples, np.float64), sample_rate))


def step_levels(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Smoothed power of each whole step of 10 ms of samples [n], [steps] in dB of full scale."""
    step = round(STEP_SECONDS * sample_rate)
    steps = len(samples) // step
    power = np.square(samples[: steps * step], dtype=np.float64).reshape(steps, step).mean(axis=1)
    padded = np.pad(power, SMOOTHING_STEPS // 2)
    smooth = sum(padded[shift : shift + steps] for shift in range(SMOOTHING_STEPS)) / SMOOTHING_STEPS
    return 10 * np.log10(smooth + 1e-9)


def _fitted(words: Sequence[Word], levels: np.ndarray) -> list[Word]:
    """The words, given the level of each step, which stands for its middle."""
    if not len(levels):
        return list(words)
    floor = np.sort(levels)[len(levels) // FLOOR_SHARE]
    reach, pause_before, pause_behind = (
        int(seconds / STEP_SECONDS) for seconds in (REACH_SECONDS, PAUSE_BEFORE_SECONDS, PAUSE_BEHIND_SECONDS)
    )

    def step_at(seconds: float) -> int:
        return min(max(int((seconds - STEP_SECONDS / 2) / STEP_SECONDS), 0), len(levels) - 1)

    def seconds_of(step: int) -> float:
        return float(step * STEP_SECONDS + STEP_SECONDS / 2)

    fitted = []
    for index, word in enumerate(words):
        first, last = step_at(word.start_seconds), step_at(word.end_seconds)
        before = step_at(words[index - 1].end_seconds) if index else 0
        behind = step_at(words[index + 1].start_seconds) if index + 1 < len(words) else len(levels) - 1
        peak = levels[first : last + 1].max()
        speech = levels >= max(peak - BELOW_PEAK_DB, min(floor + ABOVE_FLOOR_DB, peak - AT_LEAST_BELOW_DB))
        core = first + np.flatnonzero(speech[first : last + 1])
        start = _edge(speech, core[0], max(min(before, first), first - reach), -1, pause_before)
        end = _edge(speech, core[-1], min(max(behind, last), last + reach), 1, pause_behind)
        start_seconds = word.start_seconds if start is None else seconds_of(start)
        end_seconds = word.end_seconds if end is None else seconds_of(end)
        if start_seconds < end_seconds:
            word = dataclasses.replace(word, start_seconds=start_seconds, end_seconds=end_seconds)
        fitted.append(word)
    return _in_order(fitted)


def _edge(speech: np.ndarray, at: int, limit: int, direction: int, pause: int) -> int | None:
    """The last step of speech from one on, before a pause of more steps than `pause` or an end of the audio; None where
    speech goes on to the limit."""
    last, quiet = at, 0
    while at != limit:
        at += direction
        quiet = 0 if speech[at] else quiet + 1
        last = at if speech[at] else last
        if quiet > pause:
            return last
    return last if limit in (0, len(speech) - 1) else None


def _in_order(words: Sequence[Word]) -> list[Word]:
    """Let words that overlap meet in the middle of the overlap."""
    ordered = list(words)
    for index in range(1, len(ordered)):
        left, right = ordered[index - 1], ordered[index]
        if right.start_seconds < left.end_seconds:
            middle = min(max((right.start_seconds + left.end_seconds) / 2, left.start_seconds), right.end_seconds)
            ordered[index - 1] = dataclasses.replace(left, end_seconds=middle)
            ordered[index] = dataclasses.replace(right, start_seconds=middle)
    return ordered
