"""--hotwords of transcribe, evaluate and listen, and tune-hotwords: what they give, keep and refuse."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from tflite_asr.benchmark.hotwords import invented_names
from tflite_asr.cli.main import main
from tflite_asr.metrics import ErrorRates, SplitRates
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.hotword_tuning import WEIGHTS, TriedWeight, best_weight
from tflite_asr.runtime.recognizer import Recognizer

RATE = 16000
KEYS = ("wer", "hotword_wer", "other_wer")


@pytest.fixture
def speech(tmp_path, two_pass_tflite):
    random = np.random.default_rng(7)
    rows = []
    for index, text in enumerate(("ONE", "TWO ONE", "NINE")):
        levels = np.repeat(10 ** random.uniform(-4, -0.5, 30), RATE // 50)
        soundfile.write(tmp_path / f"{index}.wav", levels * random.uniform(-1, 1, len(levels)), RATE)
        rows.append({"audio": f"{index}.wav", "text": text, "speaker": "ann"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "names.txt").write_text("one\nCALL ANN\t0.5\n")
    for suffix in (".tflite", ".json"):
        shutil.copy(two_pass_tflite.with_suffix(suffix), tmp_path / f"two{suffix}")
    return tmp_path


def result_of(capsys, *arguments):
    assert main([*map(str, arguments), "--threads", "1", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    assert main([*map(str, arguments)]) == 2
    out, problem = capsys.readouterr()
    assert out == "" and problem.count("\n") == 1
    return problem


@pytest.mark.parametrize("passes", [[], ["--two-pass"]])
def test_evaluate_tells_the_words_of_the_list_from_others(speech, capsys, passes):
    command = ["evaluate", speech / "two.tflite", "--manifest", speech / "m.jsonl", *passes]
    plain = result_of(capsys, *command)
    assert "hotword_wer" not in plain
    off = result_of(capsys, *command, "--hotwords", speech / "names.txt", "--hotword-weight", 0)
    assert off["hotword_words"] == 2 and {key: off[key] for key in plain} == plain
    errors = off["hotword_wer"] * 2 + off["other_wer"] * 2
    assert errors == pytest.approx(off["substitutions"] + off["deletions"] + off["insertions"])
    on = result_of(capsys, *command, "--hotwords", speech / "names.txt", "--hotword-weight", 9)
    assert on["hotword_wer"] < off["hotword_wer"]


@pytest.mark.parametrize("how", [[], ["--two-pass"], ["--two-pass", "--stream"], ["--exit", 0]])
def test_transcribe_takes_hotwords_in_every_beam_search(speech, capsys, how):
    command = ["transcribe", speech / "two.tflite", speech / "0.wav", *how]
    (heard,) = result_of(capsys, *command, "--hotwords", speech / "names.txt", "--hotword-weight", 9)["transcripts"]
    assert "ONE" in heard["text"].split()
    off = result_of(capsys, *command, "--hotwords", speech / "names.txt", "--hotword-weight", 0)
    assert off == result_of(capsys, *command)


def test_listen_takes_hotwords(speech, capsys):
    command = ["listen", speech / "two.tflite", "--file", speech / "0.wav"]
    heard = result_of(capsys, *command, "--hotwords", speech / "names.txt", "--hotword-weight", 9)["transcripts"]
    assert "ONE" in " ".join(heard).split()


def test_tuning_finds_the_lowest_rate_and_writes_it_into_the_description(speech, capsys):
    model = speech / "two.tflite"
    listed = ["--manifest", speech / "m.jsonl", "--hotwords", speech / "names.txt"]
    tuned = result_of(capsys, "tune-hotwords", model, *listed)
    assert [row["weight"] for row in tuned["tried"]] == list(WEIGHTS) and tuned["without"] == tuned["tried"][0]
    assert {key: tuned[key] for key in tuned["tried"][0]} in tuned["tried"] and tuned["wer"] <= tuned["without"]["wer"]
    assert read_artifact(model).hotwords == {"weight": tuned["weight"]}
    assert Recognizer.load(model).hotword_weight == tuned["weight"]
    measured = result_of(capsys, "evaluate", model, *listed)
    assert [measured[key] for key in KEYS] == [tuned[key] for key in KEYS]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--hotword-weight", "1"], "--hotword-weight: expected --hotwords with it"),
        (["--hotwords", "missing.txt"], "missing.txt"),
        (["--hotwords", "NAMES", "--hotword-weight", "-1"], "--hotword-weight: expected 0 or more, got -1.0"),
        (["--hotwords", "NAMES", "--hotword-weight", "nan"], "--hotword-weight: expected 0 or more, got nan"),
        (["--hotwords", "NAMES", "--greedy"], "--hotwords: expected beam search with it"),
        (["--hotwords", "NAMES", "--stream"], "--hotwords: expected beam search with it"),
        (["--hotwords", "FOREIGN"], "foreign.txt:2: '\u00cb' not among the model's characters"),
        (["--hotwords", "EMPTY"], "empty.txt: expected at least one phrase, got none"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(speech, capsys, options, message):
    (speech / "foreign.txt").write_text("ann\nZo\u00eb\n", encoding="utf-8")
    (speech / "empty.txt").write_text("\n")
    places = {"NAMES": "names.txt", "FOREIGN": "foreign.txt", "EMPTY": "empty.txt"}
    options = [speech / places[option] if option in places else option for option in options]
    assert message in refused(capsys, "transcribe", speech / "two.tflite", speech / "0.wav", *options)


def test_the_benchmark_hears_each_utterance_in_every_way(speech, capsys):
    listed = ["--manifest", speech / "m.jsonl", "--hotwords", speech / "names.txt"]
    command = ["benchmark", "hotwords", speech / "two.tflite", *listed, "--distractors", 50, "--json"]
    assert main([*map(str, command)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["phrases"] for row in found["ways"]] == [0, 2, 52]
    assert all(row["cpu_seconds_per_second"] > 0 for row in found["ways"])
    off = result_of(capsys, "evaluate", speech / "two.tflite", *listed, "--hotword-weight", 0)
    on = result_of(capsys, "evaluate", speech / "two.tflite", *listed)
    for row, measured in zip(found["ways"], (off, on)):
        assert [row[key] for key in KEYS] == [measured[key] for key in KEYS]


def test_invented_names_are_as_many_as_asked_for_and_none_of_the_list():
    names = invented_names(300, 0)
    assert len(set(names)) == 300 and names == invented_names(300, 0) != invented_names(300, 1)
    assert not set(names[:20]) & set(invented_names(300, 0, names[:20]))


@pytest.mark.parametrize(
    "wers, best",
    [
        ((0.18, 0.08, 0.07, 0.05, 0.09, 0.20, 0.51), 2),  # the best is next to a cliff
        ((0.18, 0.08, 0.05, 0.08, 0.18), 2),
        ((0.05, 0.10, 0.20), 0),
        ((0.20, 0.10, 0.05), 2),
        ((0.1, 0.1, 0.1), 0),
    ],
)
def test_the_weight_is_not_beside_one_that_is_bad(wers, best):
    nothing = SplitRates(0, 0, 0, 0)
    tried = [TriedWeight(n / 4, ErrorRates(wer, 0.0, 0, 0, 0, 1, 1), nothing) for n, wer in enumerate(wers)]
    assert best_weight(tried) is tried[best]
