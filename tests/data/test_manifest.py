import dataclasses
import json

import numpy as np
import pytest
import soundfile

from tflite_asr.data.manifest import read_manifest, write_manifest
from tflite_asr.errors import InputError

ROW = {"audio": "a/1.flac", "text": "TWO five", "duration": 1.5, "speaker": "ann", "split": "train", "age": 7}


def written(folder, *rows):
    path = folder / "m.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def refused(path, where=None):
    with pytest.raises(InputError) as caught:
        read_manifest(path, where)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_field_has_its_place(tmp_path):
    path = written(tmp_path, ROW)
    [utterance] = read_manifest(path)
    assert utterance.audio == tmp_path / "a" / "1.flac"
    assert (utterance.text, utterance.duration_seconds, utterance.speaker) == ("TWO five", 1.5, "ann")
    assert utterance.extra == {"split": "train", "age": 7}
    assert utterance.where == f"{path}:1"


def test_nemo_rows_blank_lines_and_absent_fields(tmp_path):
    path = written(tmp_path, {"audio_filepath": "/clips/1.wav", "text": "ONE"}, "", {"audio": "2.wav", "text": "TWO"})
    first, second = read_manifest(path)
    assert str(first.audio) == "/clips/1.wav"
    assert first.duration_seconds is None and first.speaker is None and first.extra == {}
    assert second.where == f"{path}:3"


def test_what_is_written_is_read(tmp_path):
    write_manifest(tmp_path / "m.jsonl", [ROW, ROW | {"text": "Grüße\u2028!"}])
    assert [utterance.text for utterance in read_manifest(tmp_path / "m.jsonl")] == ["TWO five", "Grüße\u2028!"]


def test_a_failing_write_leaves_the_old_file_alone(tmp_path):
    path = written(tmp_path, ROW)

    def rows():
        yield ROW | {"text": "NEW"}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_manifest(path, rows())
    assert read_manifest(path)[0].text == "TWO five"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_into_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        write_manifest(tmp_path / "none" / "m.jsonl", [ROW])


@pytest.fixture
def people(tmp_path):
    rows = [
        {"audio": "x.wav", "text": f"{speaker} {split}", "speaker": speaker, "split": split, "age": 7}
        for speaker, split in (("ann", "train"), ("ann", "test"), ("bob", "train"), ("eve", "test"))
    ]
    return written(tmp_path, *rows, {"audio": "x.wav", "text": "nobody"})


@pytest.mark.parametrize(
    ("where", "texts"),
    [
        ("speaker=ann", ["ann train", "ann test"]),
        ("speaker=ann|eve,split=test", ["ann test", "eve test"]),
        (" split = test , speaker = eve ", ["eve test"]),
        ("age=7,speaker=bob", ["bob train"]),
        ('speaker="ann"|eve , split="test"', ["ann test", "eve test"]),
    ],
)
def test_filters(people, where, texts):
    assert [utterance.text for utterance in read_manifest(people, where)] == texts


@pytest.mark.parametrize(
    ("speaker", "where"),
    [
        ("Smith, John", 'speaker="Smith, John"'),
        ("Smith, John", r"speaker=Smith\, John"),
        ("a|b", 'speaker="a|b"|other'),
        ("a|b", r"speaker=a\|b"),
        ("a=b", "speaker=a=b"),
        ('say "x, y"', r'speaker="say \"x, y\""'),
        ('5"', 'speaker=5"'),
        (" padded ", 'speaker=" padded "'),
        ("C:\\dir", r"speaker=C:\dir"),
        ("end\\", r"speaker=end\\"),
    ],
)
def test_filters_for_values_that_hold_separators(tmp_path, speaker, where):
    rows = [{"audio": "x.wav", "text": "it", "speaker": speaker}, {"audio": "x.wav", "text": "no", "speaker": "other"}]
    kept = read_manifest(written(tmp_path, *rows), f"{where},audio=x.wav")
    assert "it" in [utterance.text for utterance in kept] and len(kept) == 1 + ("other" in where)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("speaker=anne", "no row has speaker=anne; the values are ann, bob, eve"),
        ("speaker=ann|anne", "no row has speaker=anne"),
        ("role=test", "no row has the field 'role'; there are age, audio, speaker, split, text"),
        ("speaker=bob,split=test", "the values of 'split' are train"),
        ("speaker", "expected field=value"),
        ("", "expected field=value"),
    ],
)
def test_filters_that_keep_nothing(people, where, message):
    assert message in refused(people, where)


@pytest.mark.parametrize(
    ("row", "expected", "got"),
    [
        ('{"audio": "x.wav", "text"', "a JSON object", '{"audio"'),
        ("[1, 2]", "a JSON object", "[1, 2]"),
        ({"text": "ONE"}, "a path as 'audio'", "null"),
        (ROW | {"audio": 3}, "a path as 'audio'", "3"),
        ({"audio": "x.wav"}, "a string as 'text'", "null"),
        (ROW | {"text": 5}, "a string as 'text'", "5"),
        (ROW | {"text": " \t"}, "a transcript", '" \\t"'),
        (ROW | {"duration": "1.5"}, "seconds above 0", '"1.5"'),
        (ROW | {"duration": -1}, "seconds above 0", "-1"),
        (ROW | {"duration": float("nan")}, "seconds above 0", "NaN"),
        (ROW | {"speaker": ["ann"]}, "a name or number as 'speaker'", '["ann"]'),
        (ROW | {"offset": -0.5}, "seconds of 0 or more as 'offset'", "-0.5"),
        (ROW | {"offset": "1"}, "seconds of 0 or more as 'offset'", "1"),
        (ROW | {"offset": True}, "seconds of 0 or more as 'offset'", "true"),
        (ROW | {"offset": float("inf")}, "seconds of 0 or more as 'offset'", "Infinity"),
        (ROW | {"duration": 10**400}, "seconds above 0 as 'duration'", "1000"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, row, expected, got):
    path = written(tmp_path, ROW, row)
    message = refused(path)
    assert message.startswith(f"{path}:2: expected {expected}") and got in message and "; " in message


def test_an_empty_transcript_that_is_filtered_out_is_no_error(tmp_path):
    path = written(tmp_path, ROW, ROW | {"text": "", "split": "test"})
    assert len(read_manifest(path, "split=train")) == 1
    assert f"{path}:2: expected a transcript" in refused(path, "split=test")


def test_manifests_that_cannot_be_read(tmp_path):
    assert "cannot read it" in refused(tmp_path / "none.jsonl")
    assert "empty file" in refused(written(tmp_path, "", ""))
    (tmp_path / "latin.jsonl").write_bytes('{"text": "für"}'.encode("latin-1"))
    assert "UTF-8" in refused(tmp_path / "latin.jsonl")


def test_rows_with_an_offset_are_segments(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.arange(16000) / 20000, 16000, subtype="FLOAT")
    rows = [
        {"offset": 0, "duration": 0.25},
        {"offset": 0.5, "duration": 0.25},
        {"offset": 0.75},
        {"duration": 0.25},
        {"offset": None},
    ]
    write_manifest(tmp_path / "m.jsonl", [{"audio": "a.wav", "text": "A", **row} for row in rows])
    utterances = read_manifest(tmp_path / "m.jsonl")
    spans = [(0, 4000), (8000, 12000), (12000, 16000), (0, 16000), (0, 16000)]
    for utterance, (first, last) in zip(utterances, spans, strict=True):
        np.testing.assert_allclose(utterance.read(16000), np.arange(first, last) / 20000, atol=1e-6)
        assert "offset" not in utterance.extra
    late = dataclasses.replace(utterances[0], offset_seconds=2.0)
    with pytest.raises(InputError, match=f"^{tmp_path}/m.jsonl:1: .*within the 1.00 s of the file, got 2.00 to 2.25 s"):
        late.read(16000)
