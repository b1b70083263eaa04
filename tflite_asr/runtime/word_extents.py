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
    return _fitted(words, step_levels(samples, sample_rate), STEP_SECONDS, STEP_SECONDS / 2)


def step_levels(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Smoothed power of each whole step of 10 ms of samples [n], [steps] in dB of full scale."""
    step = round(STEP_SECONDS * sample_rate)
    steps = len(samples) // step
    power = np.square(samples[: steps * step].reshape(steps, step).astype(np.float64)).mean(axis=1)
    padded = np.pad(power, SMOOTHING_STEPS // 2)
    smooth = sum(padded[shift : shift + steps] for shift in range(SMOOTHING_STEPS)) / SMOOTHING_STEPS
    return 10 * np.log10(smooth + 1e-9)


def _fitted(words: Sequence[Word], levels: np.ndarray, hop: float, offset: float) -> list[Word]:
    """The words at levels that are `hop` seconds apart, the first of them at `offset`."""
    if not len(levels):
        return list(words)
    floor = np.sort(levels)[len(levels) // FLOOR_SHARE]

    def frame_at(seconds: float) -> int:
        return min(max(int((seconds - offset) / hop), 0), len(levels) - 1)

    fitted = []
    for index, word in enumerate(words):
        first, last = frame_at(word.start_seconds), frame_at(word.end_seconds)
        before = frame_at(words[index - 1].end_seconds) if index else 0
        behind = frame_at(words[index + 1].start_seconds) if index + 1 < len(words) else len(levels) - 1
        reach = int(REACH_SECONDS / hop)
        peak = levels[first : last + 1].max()
        speech = levels >= max(peak - BELOW_PEAK_DB, min(floor + ABOVE_FLOOR_DB, peak - AT_LEAST_BELOW_DB))
        core = first + np.flatnonzero(speech[first : last + 1])
        start = _edge(speech, core[0], max(min(before, first), first - reach), -1, int(PAUSE_BEFORE_SECONDS / hop))
        end = _edge(speech, core[-1], min(max(behind, last), last + reach), 1, int(PAUSE_BEHIND_SECONDS / hop))
        start_seconds = word.start_seconds if start is None else max(float(start * hop + offset), 0.0)
        end_seconds = word.end_seconds if end is None else float(end * hop + offset)
        if start_seconds < end_seconds:
            word = dataclasses.replace(word, start_seconds=start_seconds, end_seconds=end_seconds)
        fitted.append(word)
    return _in_order(fitted)


def _edge(speech: np.ndarray, frame: int, limit: int, step: int, pause: int) -> int | None:
    """The last frame of speech from one on, before a pause of more frames than `pause` or an end of the audio; None
    where speech goes on to the limit."""
    last, quiet = frame, 0
    while frame != limit:
        frame += step
        quiet = 0 if speech[frame] else quiet + 1
        last = frame if speech[frame] else last
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
