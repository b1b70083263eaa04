"""Times and confidences of words, by the shipped models and by small ones."""

import numpy as np
import pytest

from tflite_asr.runtime.decoder import BeamSearch
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.words import AlignedWord, Calibration, timed

RATE = 16000


def word(text, first, last, *certainty):
    rows = np.log([[p, 1 - p] for p in certainty]).reshape(-1, 2)
    return AlignedWord(text, first, last, rows, np.zeros(len(certainty), int))


def test_delays_are_taken_off_within_the_utterance_and_in_order():
    aligned = [word("A", 0.1, 0.3, 0.9), word("B", 1.0, 1.2, 0.8, 0.5), word("C", 1.3, 1.4, 0.7), word("-", 1.4, 1.4)]
    words = timed(aligned, Calibration(start_delay_seconds=0.2, end_delay_seconds=-0.1), 1.45)
    spans = [(one.start_seconds, one.end_seconds) for one in words]
    # B and C meet in the middle of what both would have; the end is that of the utterance
    np.testing.assert_allclose(spans[:2], [(0, 0.4), (0.8, 1.2)])
    assert spans[2][0] == pytest.approx(1.2) and spans[-1][1] <= 1.45
    assert all(start <= end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:]))
    assert [one.confidence for one in words] == pytest.approx([0.9, 0.5, 0.7, 0])


def test_the_lattice_gives_what_the_beam_search_scores(recognizer, talkative, utterances):
    """The sum over all its paths is the log probability of the text, when the beam holds one text alone."""
    recognizer.set_state(talkative(recognizer.state()))
    (example,) = utterances(1, 3)
    encoded = recognizer._run_utterance(recognizer.model, "encode", example.frames)
    steps = encoded["encoded"][0, : encoded["encoded_lengths"][0]].copy()
    tokens = np.array([3, 1, 7], np.int32)
    lattice = BeamSearch(recognizer.model, recognizer.config).lattice(steps, tokens)
    assert lattice.shape == (len(steps), 4, recognizer.config.vocabulary_size)
    np.testing.assert_allclose(np.sum(np.exp(lattice), axis=-1), 1, atol=1e-4)
    alpha = np.full([len(steps) + 1, 4], -np.inf)
    alpha[0, 0] = 0
    for step in range(len(steps)):
        for place in range(4):
            if place:
                moved = alpha[step, place - 1] + lattice[step, place - 1, tokens[place - 1]]
                alpha[step, place] = np.logaddexp(alpha[step, place], moved)
            alpha[step + 1, place] = alpha[step, place] + lattice[step, place, 0]
    example = type(example)(example.frames, tokens, "", "")
    assert -alpha[-1, -1] == pytest.approx(float(recognizer.loss([example])[0]), rel=1e-3)


@pytest.fixture(scope="module")
def spoken(say):
    """Samples of three words with silence between, and where each is."""
    from tflite_asr.data.speech_extent import speech_extent

    pieces, spans, count = [], [], 0
    for samples in say(("seven", "three", "one")):
        start, end = speech_extent(samples, RATE)
        spans.append((count / RATE + start, count / RATE + end))
        pieces += [samples, np.zeros(RATE // 2, np.float32)]
        count += len(samples) + RATE // 2
    return np.concatenate(pieces).astype(np.float32), spans


@pytest.mark.parametrize("model", ["commands", "english"])
def test_words_of_a_shipped_model_are_where_they_were_said(model, spoken):
    samples, spans = spoken
    recognizer = Recognizer.load(model)
    words = recognizer.words(samples)
    assert " ".join(one.text for one in words) == recognizer.transcribe(samples)
    assert len(words) == len(spans)
    for one, (start, end) in zip(words, spans):
        assert abs(one.start_seconds - start) < 0.25 and abs(one.end_seconds - end) < 0.25
        assert 0 < one.confidence <= 1


@pytest.mark.parametrize("model", ["commands", "sentences", "english"])
def test_silence_has_no_words_and_any_text_has_its_own(model, spoken):
    recognizer = Recognizer.load(model)
    frames = recognizer.features(spoken[0])
    assert recognizer.timed_words(frames, "  ") == []
    text = "Zebra 21st, - %% " + "x" * 400 if model == "english" else "ZEBRA AND AN OX"
    words = recognizer.timed_words(frames, text, samples=spoken[0])
    assert [one.text for one in words] == text.split()
    assert all(0 <= one.start_seconds <= one.end_seconds <= len(spoken[0]) / RATE for one in words)
    assert recognizer.words(np.zeros(RATE, np.float32)) == []


def test_an_early_exits_model_aligns_by_ctc(spoken, exits_tflite):
    recognizer = Recognizer.load(exits_tflite)
    frames = recognizer.features(spoken[0][: RATE // 2])
    words = recognizer.timed_words(frames, "AB C")
    assert [one.text for one in words] == ["AB", "C"] and words[0].end_seconds <= words[1].start_seconds
