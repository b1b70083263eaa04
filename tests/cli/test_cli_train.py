import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.runtime.artifact import read_artifact

RATE = 16000


@pytest.fixture
def speech(tmp_path):
    rows = []
    for index in range(4):
        word, hertz = (("ONE", 300), ("TWO", 1200))[index % 2]
        time = np.arange(int(0.4 * RATE)) / RATE
        soundfile.write(tmp_path / f"{index}.wav", 0.3 * np.sin(2 * np.pi * hertz * time), RATE)
        rows.append({"audio": f"{index}.wav", "text": word, "speaker": "ann"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def train_line(speech, *options):
    return ["train", "tiny", "--manifest", str(speech / "m.jsonl"), "--out", str(speech / "model"), *map(str, options)]


def refused(capsys, arguments):
    assert main(arguments) == 2
    out, problem = capsys.readouterr()
    assert out == "" and problem.count("\n") == 1
    return problem


@pytest.mark.parametrize(
    "content, message", [(None, "another model"), (b"{", "not the description"), (b"[]", "not the")]
)
def test_a_folder_of_another_model_is_left_alone(speech, capsys, content, message):
    path = speech / "model" / "config.json"
    path.parent.mkdir()
    path.write_bytes(json.dumps(preset("commands").to_json()).encode() if content is None else content)
    before = path.read_bytes()
    problem = refused(capsys, train_line(speech))
    assert message in problem and str(path) in problem
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_a_filter_of_development_speech_that_is_not_given(speech, capsys):
    assert "expected --development" in refused(capsys, train_line(speech, "--development-where", "speaker=ann"))


def test_bad_development_speech_is_refused_before_training(speech, capsys):
    (speech / "d.jsonl").write_text('{"audio": "none.wav", "text": "ONE"}\n')
    problem = refused(capsys, train_line(speech, "--development", speech / "d.jsonl"))
    assert f"{speech / 'd.jsonl'}:1: " in problem and not (speech / "model").exists()


def test_a_disk_that_fills_up_while_training(speech, capsys, monkeypatch):
    from tensorflow.errors import ResourceExhaustedError

    def full(*args, **options):
        raise ResourceExhaustedError(None, None, "model/resume/ckpt-1.index.tmp;\nNo space left on device")

    monkeypatch.setattr("tflite_asr.training.fit.fit", full)
    problem = refused(capsys, train_line(speech))
    assert str(speech / "model") in problem and "No space left on device" in problem


@pytest.mark.parametrize("how", ["no folder", "no weights", "torn weights", "torn config", "another's weights"])
def test_export_of_a_bad_folder(tmp_path, capsys, how):
    from safetensors.numpy import save

    folder = tmp_path / "model"
    if how != "no folder":
        folder.mkdir()
        (folder / "config.json").write_text(
            json.dumps(preset("tiny").to_json())[: 50 if how == "torn config" else None]
        )
        content = save({"a": np.zeros(3, np.float32)})
        if how != "no weights":
            (folder / "weights.safetensors").write_bytes(content[:-5] if how == "torn weights" else content)
    problem = refused(capsys, ["export", str(folder), "--out", str(tmp_path / "a.tflite")])
    assert str(folder) in problem and not list(tmp_path.glob("a.*"))


@pytest.fixture
def trained(speech, new_tiny_model):
    """A folder as `train` writes it, with random weights."""
    from tflite_asr.models.storage import save_model

    weights = {name: weight.numpy() for name, weight in new_tiny_model().named_weights().items()}
    save_model(speech / "model", preset("tiny"), weights)
    return speech / "model"


@pytest.mark.parametrize(
    "options, message",
    [
        (["--replay-limit", "0"], "--replay-limit: expected 1 or more"),
        (["--connect", "0"], "--connect: expected 1 or more"),
        (["--replay", "none.jsonl"], "none.jsonl"),
        (["--replay", "bad.jsonl"], "bad.jsonl:1: "),
    ],
)
def test_export_with_bad_options_leaves_the_former_file(trained, speech, capsys, monkeypatch, options, message):
    monkeypatch.chdir(speech)
    (speech / "bad.jsonl").write_text('{"audio": "none.wav", "text": "ONE"}\n')
    for name in ("a.tflite", "a.json"):
        (speech / name).write_text("former")
    assert message in refused(capsys, ["export", str(trained), "--out", "a.tflite", *options])
    assert (speech / "a.tflite").read_text() == (speech / "a.json").read_text() == "former"


def test_export_under_another_suffix(trained, capsys):
    assert "ends in .tflite" in refused(capsys, ["export", str(trained), "--out", str(trained / "a.bin")])


def test_export_of_an_unknown_preset(tmp_path, capsys):
    problem = refused(capsys, ["export", "--preset", "huge", "--out", str(tmp_path / "a.tflite")])
    assert "'huge'" in problem and "wright2023" in problem and not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", [[], ["folder", "--preset", "tiny"]])
def test_export_takes_a_folder_or_a_preset(what, capsys):
    with pytest.raises(SystemExit):
        main(["export", *what, "--out", "a.tflite"])
    problem = capsys.readouterr().err
    assert "--preset" in problem and "DIR" in problem.partition("error: ")[2].upper()


@pytest.mark.slow
def test_train_goes_on_and_its_export_learns(speech, capsys):
    import tensorflow as tf

    # compiled in half the time
    options = ("--layers", 2, "--development", speech / "m.jsonl", "--steps", 2, "--batch", 2, "--json")

    def result_of(arguments):
        assert main([str(part) for part in arguments]) == 0
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return json.loads(out)

    tf.config.run_functions_eagerly(True)  # two steps are quicker than their compilation
    try:
        first = result_of(train_line(speech, "--epochs", 1, *options))
        assert first["epoch"] == 1 and first["utterances"] == 4
        second = result_of(train_line(speech, "--epochs", 2, *options))
    finally:
        tf.config.run_functions_eagerly(False)
    assert second["epoch"] == 2 and np.isfinite(second["loss_per_token"]) and second["development_wer"] >= 0
    history = [json.loads(line) for line in (speech / "model" / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in history] == [1, 2], "the second run did not go on from the first"
    assert history[0]["loss_per_token"] == first["loss_per_token"]

    out = speech / "new.tflite"
    options = ["--out", out, "--replay", speech / "m.jsonl", "--owner-views"]
    exported = result_of(["export", speech / "model", *options, "--json"])
    assert read_artifact(out).owner_views
    assert exported["bytes"] == out.stat().st_size and exported["parameters"] > 20_000
    assert "train" in exported["signatures"] and exported["replay"] == str(speech / "new.replay.safetensors")
    result = result_of(
        [
            "personalize",
            out,
            "--adapt",
            speech / "m.jsonl",
            "--test",
            speech / "m.jsonl",
            "--out",
            speech / "ann",
            "--epochs",
            1,
        ]
        + ["--replay", 1, "--json"]
    )
    assert result["steps"] == 28  # four clips, one a batch beside a shipped one, seven times over: 25 or more


@pytest.fixture
def whole(tmp_path):
    """A folder as `train tiny_exits --exits none` writes it."""
    import tf_keras as keras

    from tflite_asr.models.build import build_model
    from tflite_asr.models.storage import save_model

    keras.utils.set_random_seed(7)
    config = dataclasses.replace(preset("tiny_exits"), exits=())
    weights = {name: weight.numpy() for name, weight in build_model(config).named_weights().items()}
    save_model(tmp_path / "whole", config, weights)
    return tmp_path / "whole", weights


@pytest.mark.parametrize(
    "preset_name, options, message",
    [
        ("tiny_exits", ["--exits", "0,2"], "expected exits in rising order from 0 to 1, got [0, 2]"),
        ("tiny_exits", ["--exits", "one"], "--exits one: expected numbers of encoder groups"),
        ("tiny_exits", ["--layers", "2"], "expected exits in rising order from 0 to 0, got [0, 1]"),
        ("tiny_exits", ["--layers", "0"], "--layers: expected 1 or more"),
        ("tiny_exits", ["--freeze"], "--freeze: expected --initial"),
        ("tiny", ["--initial-groups", "none"], "--initial-groups: expected --initial"),
        ("tiny_exits", ["--initial", "whole", "--freeze", "--exits", "none"], "--freeze: expected --exits"),
        (
            "tiny_exits",
            ["--initial", "none"],
            "none: no such .tflite file, nor a model shipped with the package (commands, english, sentences), nor a "
            "folder",
        ),
        (
            "tiny",
            ["--initial", "whole"],
            "whole: expected a model that differs from tiny in its exits, encoder groups,",
        ),
    ],
)
def test_train_with_bad_exits(whole, speech, capsys, monkeypatch, preset_name, options, message):
    monkeypatch.chdir(speech)
    arguments = train_line(speech, *options)
    arguments[1] = preset_name
    assert message in refused(capsys, arguments) and not (speech / "model").exists()


def test_exits_are_added_to_a_trained_model(whole, speech, capsys, monkeypatch):
    import tensorflow as tf
    from safetensors.numpy import load_file

    _, weights = whole
    folder, licence = (
        shutil.copytree(whole[0], speech / "licensed"),
        {"what": "weights", "licence": "MIT", "holder": "Ann", "source": "x"},
    )
    config = json.loads((folder / "config.json").read_text()) | {"licences": [licence]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "LICENSE.of_others").write_text("MIT")
    (folder / "grids.json").write_text("{}")
    monkeypatch.setattr("tflite_asr.training.voices.background_voices", lambda *_: None)
    tf.config.run_functions_eagerly(True)  # two steps are quicker than their compilation
    try:
        for options in ([], ["--freeze"]):
            out = speech / f"added{len(options)}"
            arguments = train_line(
                speech, "--initial", folder, "--exits", "1", "--epochs", 1, "--steps", 2, "--batch", 2
            )
            arguments[1], arguments[arguments.index("--out") + 1] = "tiny_exits", str(out)
            assert main([*arguments, *options]) == 0
            found = load_file(out / "weights.safetensors")
            assert set(found) == {*weights, "exit_1/kernel", "exit_1/bias"}
            same = {name for name in weights if np.array_equal(found[name], weights[name])}
            assert same == (set(weights) if options else set()), options
            assert np.any(found["exit_1/bias"])  # that starts as zeros
            # what the weights came with goes along
            assert (out / "LICENSE.of_others").read_text() == "MIT" and (out / "grids.json").read_text() == "{}"
            assert json.loads((out / "config.json").read_text())["licences"] == [licence]
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def cased_speech(speech):
    path = speech / "m.jsonl"
    path.write_text(path.read_text().replace('"ONE"', '"One,  please."').replace('"TWO"', '"Two\\t caf\\u00e9s!"'))
    return speech


@pytest.mark.slow
def test_training_over_subwords_keeps_case_and_punctuation(cased_speech, capsys):
    pytest.importorskip("sentencepiece", reason="sentencepiece of the train extra is not installed")
    from tflite_asr.models.storage import load_model
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.training.initial import initial_weights, read_source_config

    line = train_line(cased_speech, "--subwords", 285, "--epochs", 1, "--steps", 1, "--batch", 2)
    line += ["--development", str(cased_speech / "m.jsonl")]
    assert main(line) == 0
    model = load_model(cased_speech / "model")
    assert len(model.config.subwords.pieces) == 285 and model.config.vocabulary_size == 286
    assert main(line) == 0  # the same texts make the same vocabulary: the training is found finished
    file = cased_speech / "m.tflite"
    assert main(["export", str(cased_speech / "model"), "--out", str(file)]) == 0
    recognizer = Recognizer.load(file)
    example = recognizer.example(0.1 * np.random.default_rng(0).standard_normal(8000), " One,  please. ")
    assert example.text == "One, please." and example.tokens.min() > 3
    assert np.isfinite(recognizer.train_step([example]).loss)
    for source in (file, cased_speech / "model"):
        assert read_source_config(str(source)) == model.config
        assert initial_weights(str(source), model.config).keys() == model.named_weights().keys()
    capsys.readouterr()
    other = train_line(cased_speech, "--subwords", 286, "--initial", file, "--out", cased_speech / "other")
    assert "other subwords" in refused(capsys, other)


@pytest.mark.parametrize(
    "size, message", [(0, "expected 1 or more"), (270, "expected at least 2"), (5000, "expected at most ")]
)
def test_a_vocabulary_that_the_texts_do_not_make(cased_speech, capsys, size, message):
    pytest.importorskip("sentencepiece", reason="sentencepiece of the train extra is not installed")
    problem = refused(capsys, train_line(cased_speech, "--subwords", size))
    assert "--subwords" in problem and message in problem and not (cased_speech / "model").exists()
