import argparse

import numpy as np
import pytest
import soundfile

from tflite_asr.cli import manifest as command
from tflite_asr.data.corpora import common_voice_rows, librispeech_rows, plain_text
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError

COLUMNS = "client_id\tpath\tsentence\tage\tgender\taccents\n"


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


def noise(path, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, round(seconds * 16000)), 16000)


@pytest.fixture
def librispeech(tmp_path):
    root = tmp_path / "LibriSpeech"
    for speaker, chapter, seconds in ((84, 1, 1.0), (84, 2, 2.0), (174, 5, 0.6)):
        name = f"{speaker}-{chapter}"
        folder = root / "dev-clean" / str(speaker) / str(chapter)
        noise(folder / f"{name}-0000.flac", seconds)
        (folder / f"{name}.trans.txt").write_text(f"{name}-0000 IT'S CHAPTER {name}\n")
    (root / "SPEAKERS.TXT").write_text("; ID |SEX| SUBSET\n84   | F | dev-clean | 8.0 | A | B\n")
    return root


@pytest.fixture
def common_voice(tmp_path):
    root = tmp_path / "en"
    for name, seconds in (("a.mp3", 1.0), ("b.mp3", 2.0), ("c.mp3", 1.0)):
        noise(root / "clips" / name, seconds)
    (root / "train.tsv").write_text(
        COLUMNS
        + "one\ta.mp3\t\"It’s a well-known 'fact',\" she said.\tteens\tfemale_feminine\tUnited States English\n"
        + "two\tb.mp3\tWhy?\t\t\t\n"
        + "two\tc.mp3\t…!\t\t\t\n"
    )
    return root


def test_librispeech(librispeech):
    result = run("librispeech", librispeech)
    path = librispeech / "manifest.jsonl"
    assert result == {
        "manifest": str(path),
        "utterances": 3,
        "skipped": 0,
        "speakers": 2,
        "hours": pytest.approx(3.6 / 3600, abs=1e-4),
    }
    first, *_, last = read_manifest(path, "split=dev-clean")
    assert (first.speaker, first.text, first.duration_seconds) == ("174", "IT'S CHAPTER 174-5", 0.6)
    assert first.extra["gender"] is None and last.extra["gender"] == "f"
    assert all(utterance.audio.is_file() for utterance in read_manifest(path))


def test_librispeech_from_a_subset_into_another_folder(librispeech, tmp_path):
    out = tmp_path / "lists" / "dev.jsonl"
    out.parent.mkdir()
    run("librispeech", librispeech / "dev-clean", "--out", out)
    utterances = read_manifest(out)
    assert all(utterance.audio.is_file() for utterance in utterances)
    assert {(utterance.extra["split"], utterance.extra["gender"]) for utterance in utterances} == {
        ("dev-clean", "f"),
        ("dev-clean", None),
    }


def test_librispeech_that_is_not_whole(librispeech, tmp_path):
    with pytest.raises(InputError, match="expected LibriSpeech"):
        run("librispeech", tmp_path / "none")
    transcript = librispeech / "dev-clean" / "84" / "1" / "84-1.trans.txt"
    transcript.write_text("84-1-0000\n")
    with pytest.raises(InputError, match="84-1.trans.txt:1: expected an utterance and its text, got '84-1-0000'"):
        list(librispeech_rows(librispeech))
    transcript.write_text("84-1-0000 ONE\n84-1-0001 TWO\n")
    with pytest.raises(InputError, match="84-1.trans.txt:2: expected the audio file .*84-1-0001.flac"):
        run("librispeech", librispeech)
    assert not (librispeech / "manifest.jsonl").exists()


@pytest.mark.parametrize(
    "content, message", [(b"", "empty or damaged"), (b"no audio", "empty or damaged"), (None, "without samples")]
)
def test_clips_that_hold_nothing_are_left_out_and_named(librispeech, capsys, content, message):
    clip = librispeech / "dev-clean" / "84" / "1" / "84-1-0000.flac"
    if content is None:
        soundfile.write(clip, np.zeros(0), 16000, format="WAV")
    else:
        clip.write_bytes(content)
    assert run("librispeech", librispeech)["utterances"] == 2
    assert (
        f"notice: left out clips {'that are ' if content is not None else ''}{message} (1 file): {clip}"
        in capsys.readouterr().err
    )


def test_librispeech_through_links(librispeech, tmp_path):
    store = tmp_path / "store" / "deep"
    store.mkdir(parents=True)
    (librispeech / "dev-clean" / "84").rename(store / "84")
    (librispeech / "dev-clean" / "84").symlink_to(store / "84")
    (store / "84" / "loop").symlink_to(store / "84")
    (store / "84" / "up").symlink_to(store)
    linked = tmp_path / "linked"
    linked.symlink_to(librispeech)
    assert run("librispeech", linked)["utterances"] == 3
    found = read_manifest(linked / "manifest.jsonl")
    assert all(utterance.audio.is_file() for utterance in found)
    assert {utterance.speaker for utterance in found} == {"84", "174"}


def test_a_manifest_written_through_a_link(librispeech, tmp_path):
    lists = tmp_path / "elsewhere" / "far" / "lists"
    lists.mkdir(parents=True)
    link = tmp_path / "lists"
    link.symlink_to(lists)
    run("librispeech", librispeech, "--out", link / "all.jsonl")
    for manifest in (link / "all.jsonl", lists / "all.jsonl"):
        assert all(utterance.audio.is_file() for utterance in read_manifest(manifest))


def test_common_voice(common_voice):
    result = run("commonvoice", common_voice)
    path = common_voice / "train.jsonl"
    assert (result["manifest"], result["utterances"], result["skipped"], result["speakers"]) == (str(path), 2, 1, 2)
    assert "1 without words skipped" in command.describe(result)
    first, second = read_manifest(path)
    assert first.text == "IT'S A WELL KNOWN FACT SHE SAID"
    assert first.audio == common_voice / "clips" / "a.mp3" and first.speaker == "one"
    assert first.duration_seconds == pytest.approx(1.0, abs=0.1)
    who = {"gender": "female_feminine", "age": "teens", "accent": "United States English"}
    assert first.extra == {"split": "train", **who}
    assert second.extra == {"split": "train", "gender": None, "age": None, "accent": None}


def test_common_voice_that_is_not_whole(common_voice):
    with pytest.raises(InputError, match="dev.tsv: .* the splits are: train"):
        run("commonvoice", common_voice, "--split", "dev")
    table = common_voice / "train.tsv"
    table.write_text("client_id\tpath\n")
    with pytest.raises(InputError, match="train.tsv:1: .* got no sentence"):
        run("commonvoice", common_voice)
    table.write_text(COLUMNS + "one\ta.mp3\n")
    with pytest.raises(InputError, match="train.tsv:2: expected 6 fields"):
        run("commonvoice", common_voice)
    table.write_text(COLUMNS + "one\tz.mp3\tYes.\t\t\t\n")
    with pytest.raises(InputError, match="train.tsv:2: expected the audio file .*z.mp3"):
        list(common_voice_rows(common_voice))
    table.write_text(COLUMNS + "one\ta.mp3\t?\t\t\t\n")
    with pytest.raises(InputError, match="expected clips with a transcript"):
        run("commonvoice", common_voice)


def test_common_voice_rows_with_too_many_fields(common_voice, capsys):
    table = common_voice / "train.tsv"
    table.write_text(table.read_text() + "two\tb.mp3\tThree\tseven\tteens\tmale\tus\n")
    (common_voice / "clips" / "b.mp3").write_bytes(b"")
    result = run("commonvoice", common_voice)
    assert result["utterances"] == 1 and read_manifest(result["manifest"])[0].extra["age"] == "teens"
    message = capsys.readouterr().err
    assert f"left out rows with more than the 6 fields of the table (1 file): {table}:5" in message
    assert f"left out clips that are empty or damaged (1 file): {common_voice / 'clips' / 'b.mp3'}" in message


def test_sentences_with_digits_are_told(common_voice, capsys):
    (common_voice / "train.tsv").write_text(COLUMNS + "one\ta.mp3\tIn 1999.\t\t\t\ntwo\tb.mp3\tYes\t\t\t\n")
    assert run("commonvoice", common_voice)["utterances"] == 2
    assert "notice: texts with digits, which models of letters refuse" in capsys.readouterr().err


def test_a_split_is_of_common_voice_alone(librispeech):
    with pytest.raises(InputError, match="--split"):
        run("librispeech", librispeech, "--split", "train")


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("Rock 'n' roll, 24/7!", "ROCK N ROLL 24 7"),
        ("naïve — “café” £5", "NAÏVE CAFÉ 5"),
        ("don't  can’t ''", "DON'T CAN'T"),
        ("?!", ""),
    ],
)
def test_plain_text(sentence, text):
    assert plain_text(sentence) == text
