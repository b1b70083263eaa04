"""Commands of the two-pass model: distil, tune, transcribe, evaluate."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.models.storage import save_model
from tflite_asr.runtime.artifact import read_artifact, write_description

RATE = 16000


@pytest.fixture
def speech(tmp_path):
    random = np.random.default_rng(5)
    rows = []
    for index, text in enumerate(("ONE", "TWO ONE", "NINE")):
        # bursts of noise from loud to hardly heard: the model has something to tell apart
        levels = np.repeat(10 ** random.uniform(-4, -0.5, 30), RATE // 50)[: int((0.5 + 0.05 * index) * RATE)]
        soundfile.write(tmp_path / f"{index}.wav", levels * random.uniform(-1, 1, len(levels)), RATE)
        rows.append({"audio": f"{index}.wav", "text": text, "speaker": "ann"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def model(speech, two_pass_tflite):
    for suffix in (".tflite", ".json"):
        shutil.copy(two_pass_tflite.with_suffix(suffix), speech / f"two{suffix}")
    return speech / "two.tflite"


def result_of(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    assert main([*map(str, arguments)]) == 2
    out, problem = capsys.readouterr()
    assert out == "" and problem.count("\n") == 1
    return problem


@pytest.mark.slow
def test_tuning_finds_the_lowest_rate_and_writes_it_into_the_description(speech, model, capsys):
    manifest = speech / "m.jsonl"
    tuned = result_of(capsys, "tune-rescoring", model, "--manifest", manifest, "--threads", 1)
    assert len(tuned["tried"]) == 21 and not tuned["per_label"]
    assert tuned["wer"] == min(row["wer"] for row in tuned["tried"]) <= tuned["first_pass_wer"]
    kept = read_artifact(model).rescoring
    assert kept == {"weight": tuned["weight"], "per_label": tuned["per_label"], "nbest": None}
    measured = result_of(capsys, "evaluate", model, "--manifest", manifest, "--two-pass", "--threads", 1)
    assert (measured["wer"], measured["cer"]) == (tuned["wer"], tuned["cer"])
    alone = result_of(capsys, "evaluate", model, "--manifest", manifest, "--threads", 1)
    assert alone["wer"] == tuned["first_pass_wer"]
    divided = result_of(capsys, "tune-rescoring", model, "--manifest", manifest, "--per-label", "--threads", 1)
    assert divided["first_pass_wer"] == tuned["first_pass_wer"] and divided["wer"] <= divided["first_pass_wer"]
    assert read_artifact(model).rescoring["per_label"] == (divided["weight"] > 0)
    files = sorted(path.name for path in speech.iterdir())
    assert files == ["0.wav", "1.wav", "2.wav", "m.jsonl", "two.json", "two.tflite"]


@pytest.mark.slow
def test_a_file_is_transcribed_by_both_passes_whole_and_as_a_stream(speech, model, capsys):
    # a second pass that is not trained prefers to hear nothing: it does not count here
    write_description(dataclasses.replace(read_artifact(model), rescoring={"weight": 0.0}))
    files = [speech / f"{index}.wav" for index in range(3)]
    whole = result_of(capsys, "transcribe", model, *files, "--two-pass")["transcripts"]
    stream = result_of(capsys, "transcribe", model, *files, "--two-pass", "--stream", "--nbest", 4)["transcripts"]
    assert whole == stream and any(row["text"] for row in whole), whole


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, message",
    [
        (["--two-pass", "--nbest", 1], "--nbest: expected 2 to 4"),
        (["--two-pass", "--nbest", 0], "--nbest: expected 2 to 4"),
        (["--two-pass", "--nbest", 5], "--nbest: expected 2 to 4"),
        (["--nbest", 3], "expected --two-pass with it"),
        (["--two-pass", "--greedy"], "neither --greedy nor --exit"),
    ],
)
def test_rescoring_that_cannot_be(speech, model, capsys, options, message):
    assert message in refused(capsys, "transcribe", model, speech / "0.wav", *options)


@pytest.mark.parametrize("command", [["tune-rescoring"], ["evaluate", "--two-pass"]])
def test_a_decoder_has_no_nbest_to_rescore(speech, capsys, command):
    problem = refused(capsys, *command[:1], "english", *command[1:], "--manifest", speech / "m.jsonl", "--nbest", 2)
    assert "--nbest: expected none, got 2" in problem and "decodes by itself" in problem


def test_a_file_without_second_pass_is_not_tuned(speech, tiny_tflite, capsys):
    problem = refused(capsys, "tune-rescoring", tiny_tflite, "--manifest", speech / "m.jsonl")
    assert "has no second pass" in problem


@pytest.fixture
def teacher(speech, two_pass_model):
    weights = {name: weight.numpy() for name, weight in two_pass_model.named_weights().items()}
    config = two_pass_model.config
    save_model(speech / "teacher", config, weights)
    other = dataclasses.replace(config, features=dataclasses.replace(config.features, mean=-7.0))
    save_model(speech / "other", other, weights)
    return speech / "teacher"


@pytest.mark.slow
def test_models_are_compared_through_the_file_and_through_keras(speech, teacher, capsys):
    manifest = ["--development", speech / "m.jsonl", "--test", speech / "m.jsonl", "--test-where", "speaker=ann"]
    rows = result_of(
        capsys, "compare", f"float={teacher}", f"int8={teacher}:aware", *manifest, "--keras", "--out", speech / "t"
    )["rows"]
    for row in rows:
        artifact = read_artifact(row["model"])
        assert row["bytes"] == artifact.bytes and row["weight"] == artifact.rescoring["weight"]
        assert row["parameters"] == sum(group["parameters"] for group in artifact.groups)
        measured = result_of(
            capsys, "evaluate", row["model"], "--manifest", speech / "m.jsonl", "--two-pass", "--threads", 1
        )
        assert (row["rescored_wer"], row["rescored_cer"]) == (measured["wer"], measured["cer"])
        assert row["seconds_per_second"] > 0 and row["peak_private_mb"] > row["added_private_mb"] > 0
    exact, rounded = rows
    assert (exact["first_pass_wer"], exact["rescored_wer"]) == (
        exact["keras_first_pass_wer"],
        exact["keras_rescored_wer"],
    )
    # the graph, which weighs more than so few weights, is in both
    assert exact["bytes"] - rounded["bytes"] > exact["parameters"]
    assert main(["compare", f"a={speech}", *map(str, manifest), "--out", str(speech / "t")]) == 2
    assert "expected a folder that `tflite-asr train` wrote" in capsys.readouterr().err


def distil_line(speech, **options):
    options = {"teacher": "teacher", "student": "tiny_two_pass", "epochs": "1,1,1", "steps": 1, "batch": 2} | options
    options["teacher"] = speech / options["teacher"]
    line = ["distill", "--manifest", speech / "m.jsonl", "--out", speech / "student"]
    return [*line, *(part for name, value in options.items() for part in (f"--{name}", value))]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stages": "2,3", "epochs": "1,1"}, "stage 2 starts from stage 1, which is not in"),
        ({"stages": "1,3", "epochs": "1,1"}, "expected stages such as 1,2,3"),
        ({"stages": "2,3", "epochs": "1,1", "initial": "tiny"}, "--initial: expected stage 1 with it"),
        ({"stages": "one"}, "--stages one: expected whole numbers"),
        ({"epochs": "1,1"}, "--epochs 1,1: expected one number for each of the stages 1,2,3"),
        ({"student": "tiny"}, "student tiny: expected a two-pass model"),
        ({"teacher": "other"}, "expected a student with the teacher's features"),
        ({"alpha": 1.5}, "--alpha: expected 0 to 1"),
        ({"teacher": "nowhere"}, "nowhere: expected a folder"),
    ],
)
def test_distillation_that_cannot_be(speech, teacher, capsys, options, message):
    assert message in refused(capsys, *distil_line(speech, **options))
    assert not (speech / "student").exists()


def test_a_student_folder_of_another_model_is_left_alone(speech, teacher, capsys):
    path = speech / "student" / "stage_1" / "config.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(preset("commands").to_json()))
    assert "another model" in refused(capsys, *distil_line(speech))
    assert list(path.parent.iterdir()) == [path]


def test_quantisation_aware_training_of_what_it_cannot_start_from(speech, teacher, capsys):
    line = ["train", "tiny_two_pass", "--manifest", speech / "m.jsonl", "--out", speech / "aware"]
    assert "expected --initial with it" in refused(capsys, *line, "--quantize-aware")
    aware = [*line, "--quantize-aware", "--initial", teacher]
    assert "neither --freeze nor --ctc-weight" in refused(capsys, *aware, "--ctc-weight", 0.5)
    assert f"{teacher}: expected a model that differs from tiny_two_pass in its exits alone" in refused(capsys, *aware)
    assert not (speech / "aware").exists()


def test_evaluate_says_that_users_hear_both_passes_where_one_is_measured(speech, model, capsys):
    manifest = ["--manifest", str(speech / "m.jsonl"), "--threads", "1"]
    assert main(["evaluate", "english", *manifest]) == 0
    assert "This is the first pass alone. Transcription uses both passes" in capsys.readouterr().out
    assert main(["evaluate", str(model), *manifest]) == 0  # its second pass does not decode by itself
    assert "--two-pass" not in capsys.readouterr().out
