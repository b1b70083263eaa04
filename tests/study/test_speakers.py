import json

import pytest

from tflite_asr.errors import InputError
from tflite_asr.study.plan import Speech
from tflite_asr.study.speakers import in_random_order, read_speakers, without_words, words_of


def manifest(folder, rows, name="m.jsonl"):
    path = folder / name
    lines = [json.dumps({"audio": f"{n}.wav", "text": "ONE", **row}) + "\n" for n, row in enumerate(rows)]
    path.write_text("".join(lines))
    return str(path)


def names(utterances):
    return [utterance.audio.stem for utterance in utterances]


def test_rows_go_where_their_split_says(tmp_path):
    splits = ("pers_adapt", "base_test", "pers_test", "pers_adapt")
    path = manifest(tmp_path, [{"speaker": "ann", "split": split} for split in splits])
    (ann,) = read_speakers([Speech(path, connect=3)], 0.3)
    assert (names(ann.adapt), names(ann.test), ann.connect) == (["0", "3"], ["2"], 3)


def test_without_splits_the_last_rows_are_for_testing(tmp_path):
    path = manifest(tmp_path, [{"speaker": f"s{n % 2}"} for n in range(20)])
    first, second = read_speakers([Speech(path)], 0.3)
    assert names(first.adapt) == [str(n) for n in range(0, 14, 2)] and names(first.test) == ["14", "16", "18"]
    assert not set(names(second.adapt)) & set(names(second.test)) and len(second.adapt + second.test) == 10


def test_order_is_by_seed_and_speaker(tmp_path):
    path = manifest(tmp_path, [{"speaker": f"s{n % 2}"} for n in range(80)])
    first, second = read_speakers([Speech(path)], 0.3)
    order = [first.adapt.index(row) for row in in_random_order(first, 1)]
    assert sorted(order) == list(range(len(first.adapt))) != order
    assert order == [first.adapt.index(row) for row in in_random_order(first, 1)]
    assert order != [second.adapt.index(row) for row in in_random_order(second, 1)]
    assert order != [first.adapt.index(row) for row in in_random_order(first, 2)]


def test_nothing_is_learned_from_utterances_with_a_held_out_word(tmp_path):
    texts = ["ONE", "TWO", "THREE", "FOUR", "ONE TWO", "FOUR THREE"] * 4
    path = manifest(tmp_path, [{"speaker": "ann", "text": text} for text in texts])
    (ann,) = read_speakers([Speech(path)], 0.25)
    found = {seed: without_words(ann, 0.5, seed) for seed in range(8)}
    for held_out in found.values():
        assert len(held_out.unsaid) == 2 and held_out.test == ann.test
        assert [row for row in ann.adapt if not held_out.unsaid & set(words_of(row))] == list(held_out.adapt)
    assert len({held_out.unsaid for held_out in found.values()}) > 1
    assert without_words(ann, 0.5, 3) == found[3]
    assert len(without_words(ann, 0.01, 0).unsaid) == 1 and len(without_words(ann, 0.74, 0).unsaid) == 3


def test_words_are_held_out_in_every_spelling(tmp_path):
    texts = ["Call Ann.", "call ann", "We won 2.", "we won two"] * 3
    (ann,) = read_speakers([Speech(manifest(tmp_path, [{"speaker": "ann", "text": text} for text in texts]))], 0.3)
    for seed in range(6):
        held_out = without_words(ann, 0.2, seed)
        (word,) = held_out.unsaid
        assert word in {"call", "ann", "we", "won", "two"} and len(held_out.adapt) == len(ann.adapt) // 2


def test_a_speaker_with_too_little_left_is_refused(tmp_path):
    (ann,) = read_speakers([Speech(manifest(tmp_path, [{"speaker": "ann", "text": "ONE TWO"}] * 8))], 0.25)
    with pytest.raises(InputError, match="speaker ann: without the 1 words held out of 2, expected 2 utterances"):
        without_words(ann, 0.5, 0)


@pytest.mark.parametrize(
    "rows, message",
    [
        ([{}], "expected a 'speaker'"),
        (
            [{"speaker": "ann"}] * 2,
            "speaker ann: expected 2 utterances or more to adapt to and 1 or more to test on, got 1 and 1",
        ),
        ([{"speaker": "ann", "split": "pers_adapt"}] * 5, "got 5 and 0"),
    ],
)
def test_refusals(tmp_path, rows, message):
    with pytest.raises(InputError) as caught:
        read_speakers([Speech(manifest(tmp_path, rows))], 0.3)
    assert message in str(caught.value)


def test_a_speaker_is_in_one_manifest(tmp_path):
    paths = [manifest(tmp_path, [{"speaker": "ann"}] * 9, name) for name in ("a.jsonl", "b.jsonl")]
    with pytest.raises(InputError, match="ann is in several manifests"):
        read_speakers([Speech(path) for path in paths], 0.3)
