"""Two passes through the file: chunks against the whole, candidates against Keras, and how scores are combined."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Candidate, Rescoring, TwoPasses
from tflite_asr.runtime.streaming import stream_results

LENGTHS = (120, 101, 48, 30, 5)  # a full utterance, what ends within a chunk and within a step, less than one step


@pytest.fixture(scope="module")
def recognizer(two_pass_tflite):
    return Recognizer.load(two_pass_tflite)


@pytest.fixture(scope="module")
def utterances_of_noise():
    random = np.random.default_rng(3)
    return [random.standard_normal([length, 40]).astype(np.float32) for length in LENGTHS]


def cut(frames, sizes):
    ends = np.cumsum(sizes)
    return np.split(frames, ends[ends < len(frames)])


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [24, 7, 500])
def test_the_first_pass_by_chunks_is_that_of_the_whole_token_for_token(recognizer, utterances_of_noise, chunk):
    said = 0
    for frames in utterances_of_noise:
        whole = recognizer.transcribe_frames(frames)
        *_, streamed = recognizer.stream(cut(frames, [chunk] * len(frames)))
        assert streamed == whole
        said += len(whole)
    assert said > 20


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [24, 7])
def test_both_passes_by_chunks_are_those_of_the_whole(recognizer, utterances_of_noise, chunk):
    for frames in utterances_of_noise:
        passes = TwoPasses(recognizer.model, recognizer.config)
        for result in stream_results(recognizer.model, recognizer.artifact, cut(frames, [chunk] * len(frames)), {}):
            passes.advance(result)
        found, expected = passes.candidates(), recognizer.candidates(frames)
        assert [c.tokens for c in found] == [c.tokens for c in expected]
        for ours, theirs in zip(found, expected):
            assert ours.first == pytest.approx(theirs.first, rel=1e-4, abs=1e-4)
            assert ours.second == pytest.approx(theirs.second, rel=1e-4, abs=1e-4)
        *so_far, final = recognizer.stream_two_pass(cut(frames, [chunk] * len(frames)))
        assert final == recognizer.transcribe_two_pass(frames) and len(so_far) == -(-len(frames) // 24)


def test_an_utterance_too_long_for_both_passes_is_refused(recognizer):
    texts = recognizer.stream_two_pass([np.zeros([24, 40], np.float32)] * 6)
    with pytest.raises(InputError, match=r"^expected at most 1.22 s for both passes, got more; cut it at pauses$"):
        for count, _ in enumerate(texts, 1):
            assert count <= 5  # 120 frames


@pytest.mark.slow
def test_candidates_are_the_beam_and_what_keras_says_of_them(recognizer, two_pass_model, utterances_of_noise):
    frames = utterances_of_noise[0]
    candidates = recognizer.candidates(frames)
    nbest = recognizer._nbest(recognizer.model, frames)
    assert [(c.tokens, c.first) for c in candidates] == [(h.tokens, h.log_probability) for h in nbest]
    assert len(candidates) == 4 and len({len(c.tokens) for c in candidates}) > 1
    encoded, lengths, _ = two_pass_model.encode(frames[None], np.array([len(frames)], np.int32))
    for candidate in candidates:
        tokens, count = np.array([candidate.tokens], np.int32), np.array([len(candidate.tokens)], np.int32)
        expected = two_pass_model.rescore(encoded, lengths, tokens, count)
        assert candidate.second == pytest.approx(float(expected[0]), rel=1e-4)


CANDIDATES = [Candidate((1, 2, 3), -2.0, -9.0), Candidate((1, 2), -3.0, -6.0), Candidate((1,), -9.0, -4.0)]


@pytest.mark.parametrize(
    "rescoring, best",
    [
        (Rescoring(0.0), 0),  # the first pass alone
        (Rescoring(1.0), 2),  # the second alone
        (Rescoring(0.5), 1),  # -5.5, -4.5, -6.5
        (Rescoring(0.3), 1),  # -4.1, -3.9, -7.5
        (Rescoring(0.3, per_label=True), 0),  # -1.025, -1.3, -3.75
        (Rescoring(1.0, nbest=2), 1),
    ],
)
def test_scores_are_weighted_sums(rescoring, best):
    assert rescoring.best(CANDIDATES) is CANDIDATES[best]


def test_the_bonus_of_hotwords_stands_beside_both_passes():
    named = [*CANDIDATES, Candidate((1, 3), -4.0, -8.0, bonus=2.5)]
    assert Rescoring(0.5).best(named) is named[3]  # -5.5, -4.5, -6.5, -3.5
    assert Rescoring(0.5, per_label=True).best(named) is named[3]
    assert Rescoring(0.0).best(named) is named[3]  # -4 + 2.5
    assert Rescoring(1.0).best(named) is named[2]  # -8 + 2.5 against -4


@pytest.mark.slow
def test_hotwords_reach_both_passes_whole_and_by_chunks(recognizer, utterances_of_noise):
    frames = utterances_of_noise[0]
    hotwords = recognizer.hotwords(["E", "THE NOSE"], 20.0)
    found = recognizer.candidates(frames, hotwords)
    assert max(candidate.bonus for candidate in found) >= 20.0
    nbest = recognizer._nbest(recognizer.model, frames, hotwords)
    assert [(c.tokens, c.first, c.bonus) for c in found] == [(h.tokens, h.log_probability, h.bonus) for h in nbest]
    text = recognizer.transcribe_two_pass(frames, hotwords=hotwords)
    assert text == recognizer.text_of(found, recognizer.rescoring) != recognizer.transcribe_two_pass(frames)
    *_, streamed = recognizer.stream_two_pass(cut(frames, [24] * len(frames)), hotwords=hotwords)
    assert streamed == text


@pytest.mark.parametrize(
    "wrong, message",
    [({"weight": 1.5}, "from 0 to 1, got 1.5"), ({"nbest": 1}, "n-best of 2 or more, got 1"), ({"nbest": 0}, "got 0")],
)
def test_what_leaves_nothing_to_choose_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        Rescoring(**wrong)


def test_a_file_without_second_pass_says_so(tiny_tflite, utterances_of_noise):
    with pytest.raises(InputError, match="has no second pass"):
        Recognizer.load(tiny_tflite).transcribe_two_pass(utterances_of_noise[0])


@pytest.mark.slow
def test_what_was_tuned_is_used(recognizer, utterances_of_noise):
    assert recognizer.rescoring == Rescoring()
    tuned = Recognizer(dataclasses.replace(recognizer.artifact, rescoring={"weight": 1.0}), recognizer.model)
    for frames in utterances_of_noise[:3]:
        second = max(recognizer.candidates(frames), key=lambda candidate: candidate.second)
        assert tuned.transcribe_two_pass(frames) == tuned.tokenizer.decode(second.tokens)
