"""Rules that end an utterance, and how well they do on speech with pauses in noise."""

from pathlib import Path

import numpy as np
import pytest

from tflite_asr.audio.endpoints import Endpointer, EndpointRules
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError

RATE = 16000
DATA = Path(__file__).parents[3] / "shared" / "data"


class Told:
    """A detector whose samples are its scores, a hundred of them a second."""

    step_seconds = 0.01

    def process(self, samples):
        return np.asarray(samples, np.float64)

    def reset(self):
        pass


def endpoints_of(pieces, rules, size=7):
    """Endpoints of pieces (seconds, score), and of the stream's end."""
    scores = np.concatenate([np.full(round(seconds * 100), score, float) for seconds, score in pieces])
    endpointer = Endpointer(100, rules, Told())
    found = []
    for first in range(0, len(scores), size):
        found += endpointer.process(scores[first : first + size])
    return [*found, *filter(None, [endpointer.finish()])]


RULES = EndpointRules(leading_silence_seconds=3.0, trailing_silence_seconds=1.0, longest_seconds=10.0)


def test_silence_after_speech_ends_an_utterance():
    first, last = endpoints_of([(0.5, -1), (1, 1), (0.6, -1), (1, 1), (2, -1), (0.5, 1)], RULES)
    assert (first.rule, last.rule) == ("trailing_silence", "end")
    spoken = (first.start_seconds, first.speech_start_seconds, first.speech_end_seconds, first.end_seconds)
    assert spoken == pytest.approx((0.1, 0.5, 3.1, 3.6))
    assert first.decided_seconds == pytest.approx(4.1)
    assert (last.start_seconds, last.speech_start_seconds, last.end_seconds) == pytest.approx((4.7, 5.1, 5.6))


def test_silence_from_the_beginning_ends_an_utterance_without_speech():
    first, second, last = endpoints_of([(6.0, -1), (1, 1)], RULES)
    assert first.rule == second.rule == "leading_silence" and first.speech_start_seconds is None
    assert (first.decided_seconds, second.decided_seconds) == pytest.approx((3.0, 5.6))
    assert (last.rule, last.speech_start_seconds) == ("end", pytest.approx(6.0))


def test_a_click_is_no_speech():
    assert not [e for e in endpoints_of([(1, -1), (0.03, 1), (1, -1)], RULES) if e.speech_start_seconds is not None]


def test_speech_that_is_too_long_is_cut_at_the_longest_pause_of_its_second_half():
    pieces = [(1, 1), (0.9, -1), (4, 1), (0.2, -1), (1.5, 1), (0.4, -1), (12, 1)]
    first, second, last = endpoints_of(pieces, RULES)
    assert (first.rule, first.end_seconds, first.decided_seconds) == ("longest", pytest.approx(7.8), pytest.approx(10))
    assert second.start_seconds == pytest.approx(7.8) and second.rule == "longest"
    assert last.rule == "end" and last.start_seconds == pytest.approx(second.end_seconds)


def test_without_a_pause_it_is_cut_where_it_is_quietest():
    first, *_ = endpoints_of([(7, 5), (0.01, 2), (5, 5)], RULES)
    assert first.end_seconds == pytest.approx(7.01)


@pytest.mark.parametrize("seed", range(5))
def test_utterances_hold_all_speech_once_and_are_never_too_long(seed):
    random = np.random.default_rng(seed)
    pieces = [(random.uniform(0.06, 4), random.choice([-1, 1])) for _ in range(60)]
    found = endpoints_of(pieces, RULES, size=int(random.integers(1, 300)))
    scores = np.concatenate([np.full(round(seconds * 100), score, float) for seconds, score in pieces])
    held = np.zeros(len(scores), int)
    for endpoint in found:
        first, end = round(endpoint.start_seconds * 100), round(endpoint.end_seconds * 100)
        if endpoint.speech_start_seconds is not None:
            held[first:end] += 1
            assert end - first <= 1000
    assert held.max() == 1 and np.all(held[scores > 0] == 1)


def test_no_samples_and_silence_have_no_utterance():
    endpointer = Endpointer(RATE)
    assert endpointer.process(np.zeros(0, np.float32)) == [] and endpointer.finish() is None
    assert endpointer.process(np.zeros(RATE, np.float32)) == [] and endpointer.finish() is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_rules_that_make_no_sense_are_refused(seconds):
    with pytest.raises(InputError, match="expected 0.1 s or more as trailing_silence_seconds"):
        EndpointRules(trailing_silence_seconds=seconds)


def ten_minutes(seed, colour):
    """Words of single clips with pauses of 0.3 to 3 s, in noise 20 dB below them: samples, [words, 2] where each is."""
    random = np.random.default_rng(seed)
    utterances = read_manifest(DATA / "speech" / "manifest.jsonl", "corpus=fsdd,split=pers_test")
    pieces, words, count = [], [], 0
    while count < 600 * RATE:
        clip = utterances[random.integers(len(utterances))].read(RATE)
        pause = np.zeros(round(random.uniform(0.3, 3.0) * RATE), np.float32)
        pieces += [pause, 0.05 * clip / np.sqrt(np.mean(clip**2))]
        words.append(count + len(pause) + extent(clip))
        count += len(pause) + len(clip)
    samples = np.concatenate(pieces)
    spectrum = np.fft.rfft(random.standard_normal(len(samples)))
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    noise = np.fft.irfft(spectrum * np.maximum(hertz, 20.0) ** (-0.5 * (colour == "pink")), len(samples))
    noise *= 0.05 * 10 ** (-20 / 20) / np.std(noise)
    return (samples + noise).astype(np.float32), np.stack(words) / RATE


def extent(clip, below_peak_db=30):
    """The first and the last sample of a clip whose 25 ms around are within some dB of its loudest."""
    power = np.convolve(np.square(clip, dtype=np.float64), np.ones(400), "same")
    loud = np.flatnonzero(power > power.max() * 10 ** (-below_peak_db / 10))
    return loud[[0, -1]]


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "speech").is_dir(), reason=f"needs {DATA}/speech")
@pytest.mark.parametrize("colour", ["white", "pink"])
def test_pauses_of_ten_minutes_are_found_and_no_word_is_cut(colour):
    samples, words = ten_minutes(3, colour)
    endpointer, found = Endpointer(RATE), []
    for first in range(0, len(samples), 1600):
        found += endpointer.process(samples[first : first + 1600])
    found += filter(None, [endpointer.finish()])
    spoken = [endpoint for endpoint in found if endpoint.speech_start_seconds is not None]

    whole = [any(e.start_seconds <= start and end <= e.end_seconds for e in spoken) for start, end in words]
    assert len(words) > 200 and all(whole)

    pauses = [(end, start) for (_, end), (start, _) in zip(words, words[1:]) if start - end > 1.5]
    trailing = endpointer.rules.trailing_silence_seconds

    def found_in_time(end):
        return any(abs(e.speech_end_seconds - end) <= 0.5 and e.decided_seconds - end <= trailing + 0.5 for e in spoken)

    assert len(pauses) > 100 and np.mean([found_in_time(end) for end, _ in pauses]) >= 0.95
