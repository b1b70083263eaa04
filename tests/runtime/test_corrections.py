"""Corrections: which words were not heard, which names they teach, and what is refused."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime import recognizer as corrections_of
from tflite_asr.runtime.corrections import as_bytes, check_correction, missed_words, names_in, of_bytes
from tflite_asr.text.subwords import BYTES, SPECIAL, SubwordTokenizer

WORDS = ("call", "ask", "about", "lunch", "read", "mail", "from")
GROWING = dict.fromkeys(f"▁{word[:end]}" for word in WORDS for end in range(1, len(word) + 1))  # merges need them
SUBWORDS = SubwordTokenizer((*SPECIAL, *BYTES, *GROWING, *"▁abcdefghijklmnopqrstuvwxyz'."))


@pytest.mark.parametrize(
    "meant, heard, missed",
    [
        ("call aoife rasmussen", "call ifa rasmussen", ("aoife",)),
        ("call aoife rasmussen about lunch", "call about lunch", ("aoife rasmussen",)),
        ("ask aoife about niamh", "ask eva about neve", ("aoife", "niamh")),
        ("ask aoife", "", ("ask aoife",)),
        ("ask aoife", "ask the aoife", ()),
        ("ask aoife", "ask aoife", ()),
    ],
)
def test_missed_words_are_runs_of_what_was_meant(meant, heard, missed):
    assert missed_words(meant, heard, normalize=False) == missed


def test_case_and_punctuation_are_not_missed_where_texts_are_normalized():
    assert missed_words("CALL DOCTOR SMITH", "Call Dr. Smith.", normalize=True) == ()
    assert missed_words("CALL DOCTOR SMITH", "Call Dr. Smith.", normalize=False) == ("doctor smith",)


@pytest.mark.parametrize(
    "meant, heard, names",
    [
        ("call aoife rasmussen", "call ifa rasmussen", ["aoife rasmussen", "aoife"]),
        ("call aoife rasmussen", "call ifa rosmusen", ["aoife rasmussen", "aoife", "rasmussen"]),
        ("ask aoife about niamh", "ask eva about neve", ["aoife", "niamh"]),
        ("call aoife about lunch", "mail aoife about lunch", []),  # a word that has a subword of its own was missed
        ("call aoife", "call aoife", []),
    ],
)
def test_names_are_runs_of_words_without_a_subword_of_their_own(meant, heard, names):
    assert names_in(meant, heard, SUBWORDS, normalize=False) == names


def test_letters_tell_no_names():
    assert names_in("call aoife", "call eva", None, normalize=False) == []


@pytest.mark.parametrize(
    "meant, heard, message",
    [
        ("call ann", "call ann", "expected another text than what was heard, 'call ann'; there is nothing to correct"),
        ("call ann about the lunch on friday", "no", "got one of 28 letters for 2: it is of another utterance"),
        ("no", "call ann about the lunch on friday", "got one of 2 letters for 28: it is of another utterance"),
    ],
)
def test_what_corrects_nothing_is_refused(meant, heard, message):
    with pytest.raises(InputError, match=message):
        check_correction(meant, heard, missed_words(meant, heard, normalize=False), normalize=False)


@pytest.mark.parametrize("heard", ["", "call the ann", "call and"])
def test_words_too_many_and_words_missing_are_corrected(heard):
    check_correction("call ann", heard, missed_words("call ann", heard, normalize=False), normalize=False)


def test_phrases_come_back_from_bytes():
    phrases = ["Aoife Rasmussen", "žofie", "李"]
    assert of_bytes(as_bytes(phrases), "here") == phrases and of_bytes(as_bytes([]), "here") == []
    with pytest.raises(InputError, match="here: expected phrases in UTF-8"):
        of_bytes(np.asarray([-1, -1], np.int8), "here")


def samples(seconds=1.0):
    return (0.3 * np.random.default_rng(3).standard_normal(int(16000 * seconds))).astype(np.float32)


def test_a_correction_is_ready_to_be_trained_on(recognizer):
    correction = recognizer.correct(samples(), "A B", heard="A C")
    assert (correction.heard, correction.missed, correction.learned) == ("A C", ("b",), ())
    assert correction.example.text == "A B" and len(correction.example.frames) > 90
    assert recognizer.correct(samples(), "A B").heard == recognizer.transcribe(samples())


@pytest.mark.parametrize(
    "meant, message",
    [
        ("A C", "row 3: expected another text than what was heard, 'A C'; there is nothing to correct"),
        ("É", "row 3"),
        ("", "row 3"),
    ],
)
def test_a_refused_correction_changes_nothing(recognizer, meant, message):
    recognizer.learned_phrases = ["BO"]
    before = recognizer.state()
    with pytest.raises(InputError, match=message):
        recognizer.correct(samples(), meant, heard="A C", where="row 3")
    assert recognizer.learned_phrases == ["BO"]
    for name, tensor in recognizer.state().items():
        np.testing.assert_array_equal(tensor, before[name])


def test_silence_is_not_corrected(recognizer):
    with pytest.raises(InputError, match="silen"):
        recognizer.correct(np.zeros(9600, np.float32), "A B", heard="A C")


def test_learned_phrases_are_hotwords_of_every_search(recognizer, talkative, utterances):
    recognizer.set_state(talkative(recognizer.state()))
    frames = [2 * example.frames for example in utterances(12, 0)]

    def texts(**hotwords):
        return [recognizer.transcribe_frames(each, beam=True, **hotwords) for each in frames]

    phrases = [first + second for first in "KTHD" for second in "KTHD"]
    plain, expected = texts(), texts(hotwords=recognizer.hotwords(phrases))
    assert plain != expected
    recognizer.learned_phrases = phrases
    assert texts() == expected
    assert texts(hotwords=recognizer.hotwords(phrases[:3])) == expected, "beside those that are given"
    assert recognizer.hotwords(["KT"], 0.0) is not None
    assert texts(hotwords=recognizer.hotwords(["KT"], 0.0)) == plain, "a weight of 0 switches them off too"
    recognizer.learned_phrases = []
    assert texts() == plain and recognizer.hotwords(["KT"], 0.0) is None


def test_learned_phrases_are_checked(recognizer):
    recognizer.learned_phrases = ["  HO   HI "]
    assert recognizer.learned_phrases == ["HO HI"]
    for phrases in (["HO", "ho"], [("HO", 2.0)], ["\u00e9"], "HO"):
        with pytest.raises(InputError, match="learned_phrases|characters"):
            recognizer.learned_phrases = phrases
    assert recognizer.learned_phrases == ["HO HI"]


def test_names_of_several_threads_are_all_learned(recognizer, monkeypatch):
    monkeypatch.setattr(corrections_of, "names_in", lambda meant, *_, **__: [meant])
    names = [f"{first}{second}" for first in "ABCDE" for second in "FGHIJ"]
    with ThreadPoolExecutor(5) as threads:
        taken = list(threads.map(lambda name: recognizer.correct(samples(), name, heard="Q"), names))
    assert sorted(recognizer.learned_phrases) == sorted(names)
    recognizer.forget(taken[3])
    assert sorted(recognizer.learned_phrases) == sorted(set(names) - {names[3]})


def test_a_name_that_a_pass_cannot_spell_is_learned_from_and_not_expected(recognizer, monkeypatch):
    monkeypatch.setattr(corrections_of, "names_in", lambda *_, **__: ["ZO\u00cb", "BO"])
    assert recognizer.correct(samples(), "BO", heard="Q").learned == ("BO",)


def test_a_checkpoint_keeps_learned_phrases(recognizer, tmp_path):
    recognizer.learned_phrases = ["HO HO", "BE"]
    recognizer.save(tmp_path / "mine.safetensors")
    recognizer.learned_phrases = []
    recognizer.save(tmp_path / "none.safetensors")
    recognizer.restore(tmp_path / "mine.safetensors")
    assert recognizer.learned_phrases == ["HO HO", "BE"]
    recognizer.restore(tmp_path / "none.safetensors")
    assert recognizer.learned_phrases == []
