"""What the commands give for good input; with --json one object on standard output, everything else beside it."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from tflite_asr.cli.main import main
from tflite_asr.personalization import trainer
from tflite_asr.runtime import artifact
from tflite_asr.runtime.recognizer import Recognizer

RATE = 16000
WORDS = ("ONE", "TWO")


def tone(word, seed, seconds=0.4):
    random = np.random.default_rng([seed, len(word)])
    time = np.arange(int(seconds * RATE)) / RATE
    hertz = 300 if word == "ONE" else 1200
    return (0.3 * np.sin(2 * np.pi * hertz * time) + 0.01 * random.standard_normal(len(time))).astype(np.float32)


@pytest.fixture
def speech(tmp_path):
    """Twelve clips of one voice, eight to learn from."""
    rows = []
    for index in range(12):
        word = WORDS[index % 2]
        soundfile.write(tmp_path / f"{index}.wav", tone(word, index), RATE)
        rows.append(
            {"audio": f"{index}.wav", "text": word, "speaker": "ann", "split": "adapt" if index < 8 else "test"}
        )
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def result_of(capsys, *arguments):
    """What the command prints with --json."""
    assert main([*map(str, arguments), "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    result = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert isinstance(result, dict)
    return result


def personalize_line(model, speech, *options):
    manifest = speech / "m.jsonl"
    return (
        *("personalize", model, "--adapt", manifest, "--where", "split=adapt", "--test", manifest),
        *("--test-where", "split=test", "--out", speech / "out", *options),
    )


def test_evaluate(speech, tiny_tflite, capsys):
    result = result_of(capsys, "evaluate", tiny_tflite, "--manifest", speech / "m.jsonl")
    assert {"wer", "cer", "substitutions", "deletions", "insertions", "utterances"} <= result.keys()
    assert result["utterances"] == result["words"] == 12
    errors = result["substitutions"] + result["deletions"] + result["insertions"]
    assert result["wer"] == pytest.approx(errors / 12)


@pytest.mark.parametrize("option, normalized", [((), False), (("--no-normalize",), False), (("--normalize",), True)])
def test_evaluate_normalizes_texts_as_it_is_told(speech, tiny_tflite, capsys, monkeypatch, option, normalized):
    monkeypatch.setattr(Recognizer, "transcribe_frames", lambda self, frames, beam, hotwords: "One.")
    result = result_of(capsys, "evaluate", tiny_tflite, "--manifest", speech / "m.jsonl", *option)
    assert (result["normalized"], result["wer"]) == (normalized, 0.5 if normalized else 1.0)


def test_evaluate_keeps_the_rows_and_words_that_it_is_told_to(speech, tiny_tflite, capsys):
    line = ("evaluate", tiny_tflite, "--manifest", speech / "m.jsonl")
    assert result_of(capsys, *line, "--where", "split=test")["utterances"] == 4
    assert result_of(capsys, *line, "--words", "two, three")["utterances"] == 6
    connected = result_of(capsys, *line, "--connect", "2")
    assert connected["words"] == 12 and 6 <= connected["utterances"] < 12
    assert result_of(capsys, *line, "--greedy")["utterances"] == 12


def test_clips_without_a_duration_are_joined_only_as_far_as_they_fit(speech, tiny_tflite, capsys):
    """1.215 s hold two clips of 0.4 s and a gap, never three; 12 tokens hold three words."""
    line = ("evaluate", tiny_tflite, "--manifest", speech / "m.jsonl", "--connect", "5")
    for seed in range(4):
        result = result_of(capsys, *line, "--seed", seed)
        assert result["words"] == 12 and 6 <= result["utterances"] < 12


def test_strings_with_too_many_tokens_are_taken_apart(speech, tiny_tflite, capsys):
    rows = [json.loads(line) for line in (speech / "m.jsonl").read_text().splitlines()]
    (speech / "m.jsonl").write_text("".join(json.dumps({**row, "text": "ELEVENSES"}) + "\n" for row in rows))
    line = ("evaluate", tiny_tflite, "--manifest", speech / "m.jsonl", "--connect", "2")
    assert result_of(capsys, *line)["utterances"] == 12


def test_inspect(tiny_tflite, capsys):
    result = result_of(capsys, "inspect", tiny_tflite)
    assert {
        "signatures",
        "flex_ops",
        "custom_ops",
        "op_versions",
        "min_runtime",
        "parameters",
        "bytes",
    } <= result.keys()
    assert {"infer", "loss", "train", "get_weights", "set_weights", "parameters"} <= result["signatures"].keys()
    assert result["flex_ops"] == result["custom_ops"] == []
    assert result["bytes"] == tiny_tflite.stat().st_size
    assert result["parameters"] == sum(group["parameters"] for group in result["groups"]) > 20_000
    assert main(["inspect", str(tiny_tflite)]) == 0
    assert "signatures" in capsys.readouterr().out


def test_transcribe(speech, tiny_tflite, capsys):
    audio = [str(speech / "0.wav"), str(speech / "1.wav")]
    result = result_of(capsys, "transcribe", tiny_tflite, *audio)
    assert [row["audio"] for row in result["transcripts"]] == audio
    greedy = result_of(capsys, "transcribe", tiny_tflite, *audio, "--greedy")
    streamed = result_of(capsys, "transcribe", tiny_tflite, *audio, "--stream")
    for whole, chunks in zip(greedy["transcripts"], streamed["transcripts"], strict=True):
        # a model of random weights babbles on; the whole utterance ends at its most tokens, a stream does not
        assert whole["text"] and chunks["text"].startswith(whole["text"])


def test_personalize(speech, tiny_tflite, capsys):
    result = result_of(capsys, *personalize_line(tiny_tflite, speech, "--epochs", 3, "--learning-rate", 0.01))
    expected = {"wer_before", "wer_after", "relative_wer_reduction", "steps", "seconds", "peak_rss_mb"}
    expected |= {"report", "checkpoint"}
    assert expected <= result.keys()
    assert json.loads((speech / "out" / "result.json").read_text()) == result
    assert {path.name for path in (speech / "out").iterdir()} == {
        *("checkpoint.safetensors", "result.json", "report.html", "wer.png", "loss.png", "memory.png")
    }
    assert (speech / "out" / "report.html").read_text().startswith("<!doctype html>")
    for plot in ("wer", "loss", "memory"):
        assert (speech / "out" / f"{plot}.png").read_bytes().startswith(b"\x89PNG")
    # 8 clips, none held out, 2 a batch: 4 steps, seven times over to fill an epoch of 25 or more
    assert (result["steps"], result["epochs"], result["skipped_updates"]) == (84, 3, 0)
    assert (result["adapt_utterances"], result["validation_utterances"], result["test_utterances"]) == (8, 0, 4)
    losses = [row["validation_loss"] for row in result["history"]]
    assert min(losses) < losses[0] - 1, "nothing was learned"
    assert result["peak_rss_mb"] > 20 and result["seconds"] > 0
    line = ("evaluate", tiny_tflite, "--manifest", speech / "m.jsonl", "--where", "split=test")
    assert result_of(capsys, *line)["wer"] == result["wer_before"]
    assert result_of(capsys, *line, "--checkpoint", result["checkpoint"])["wer"] == result["wer_after"]


def test_personalize_in_a_window(speech, tiny_tflite, capsys):
    options = ("--window", 5, "--window-bytes", 15000, "--stride", 4, "--steps", 6, "--learning-rate", 0.01)
    result = result_of(capsys, *personalize_line(tiny_tflite, speech, *options))
    assert (result["steps"], result["epochs"]) == (12, 2)
    kept = sorted(path.name for path in (speech / "out" / "window").iterdir())
    assert kept == [f"{number:08d}.safetensors" for number in range(3, 8)]
    size = sum(path.stat().st_size for path in (speech / "out" / "window").iterdir())
    assert size <= result["disk_bytes_max"] <= 15000
    line = ("evaluate", tiny_tflite, "--manifest", speech / "m.jsonl", "--where", "split=test")
    assert result_of(capsys, *line, "--checkpoint", result["checkpoint"])["wer"] == result["wer_after"]


@pytest.fixture
def rounds_line(speech, tiny_tflite, tmp_path, monkeypatch):
    """A function (battery percent of a trace, more options) -> a command line of two rounds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def line(battery, *options):
        row = {
            "seconds": 0,
            "available_ram_mb": 900,
            "battery_percent": battery,
            "charging": False,
            "temperature_c": 30,
        }
        (speech / "trace.jsonl").write_text(json.dumps(row) + "\n")
        trace = ("--resource-trace", speech / "trace.jsonl", "--battery-floor", 25, "--ram-floor-mb", 50)
        return personalize_line(
            tiny_tflite, speech, "--rounds", 2, "--epochs", 2, "--learning-rate", 0.01, *trace, *options
        )

    return line


def test_personalize_in_rounds(speech, tiny_tflite, capsys, rounds_line):
    stopped = result_of(capsys, *rounds_line(24))
    assert stopped["stopped_because"] == "before round 1: battery at 24%, under its floor of 25%"
    assert (stopped["steps"], stopped["rounds"], stopped["finished"]) == (0, [], False)
    assert stopped["wer_after"] == stopped["wer_before"]
    result = result_of(capsys, *rounds_line(80))
    assert result["finished"] and [row["utterances"] for row in result["rounds"]] == [4, 8]
    assert all(len(row["chosen"]["trainable_groups"]) == 5 for row in result["rounds"]), "everything fits"
    assert result["steps"] == 2 * (26 + 28) and result["wer_before"] == stopped["wer_before"]
    assert result["rounds"][1]["best_wer"] <= result["rounds"][0]["best_wer"]
    assert [reading["battery_percent"] for reading in result["resources"]][-1] == 80
    assert {"ram.png", "battery.png", "wer.png", "rounds.json"} <= {path.name for path in (speech / "out").iterdir()}
    page = (speech / "out" / "report.html").read_text()
    assert "<h2>Rounds</h2>" in page and page.count("<figure>") == 5
    line = ("evaluate", tiny_tflite, "--manifest", speech / "m.jsonl", "--where", "split=test")
    assert result_of(capsys, *line, "--checkpoint", result["checkpoint"])["wer"] == result["wer_after"]
    assert result["rounds"][-1]["test_wer"] == result["wer_after"]


def test_personalize_and_evaluate_join_the_same_strings(speech, tiny_tflite, capsys):
    options = ("--connect", 2, "--seed", 5)
    result = result_of(capsys, *personalize_line(tiny_tflite, speech, "--epochs", 2, "--learning-rate", 0.01, *options))
    line = ("evaluate", tiny_tflite, "--manifest", speech / "m.jsonl", "--where", "split=test", *options)
    evaluated = result_of(capsys, *line, "--checkpoint", result["checkpoint"])
    assert (evaluated["wer"], evaluated["utterances"]) == (result["wer_after"], result["test_utterances"])


def test_personalize_goes_on_from_a_checkpoint(speech, tiny_tflite, capsys):
    options = ("--epochs", 2, "--learning-rate", 0.01, "--no-augment")
    first = result_of(capsys, *personalize_line(tiny_tflite, speech, *options))
    second = result_of(capsys, *personalize_line(tiny_tflite, speech, *options, "--checkpoint", first["checkpoint"]))
    kept = first["stretched"] or [row for row in first["history"] if row["best"]][-1]
    assert second["history"][0]["validation_loss"] == pytest.approx(kept["validation_loss"], rel=1e-5)
    assert second["wer_before"] == first["wer_after"]


def test_equal_arguments_give_equal_weights(speech, tiny_tflite, capsys):
    line = personalize_line(tiny_tflite, speech, "--epochs", 1, "--learning-rate", 0.01, "--threads", 1)
    weights = []
    for _ in range(2):
        result_of(capsys, *line)
        weights.append(load_file(speech / "out" / "checkpoint.safetensors"))
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_freeze_leaves_groups_alone(speech, tiny_tflite, capsys):
    options = ("--epochs", 1, "--learning-rate", 0.01, "--freeze", "joint, encoder_0")
    result = result_of(capsys, *personalize_line(tiny_tflite, speech, *options))
    recognizer = Recognizer.load(tiny_tflite)
    recognizer.restore(result["checkpoint"])
    distances = {name: group["distance"] for name, group in recognizer.parameters().items()}
    assert distances["joint"] == distances["encoder_0"] == 0
    assert distances["encoder_1"] > 0 and distances["prediction"] > 0


def test_personalize_for_people(speech, tiny_tflite, capsys):
    assert main([str(part) for part in personalize_line(tiny_tflite, speech, "--epochs", 1)]) == 0
    out, message = capsys.readouterr()
    assert "word error rate" in out and str(speech / "out" / "report.html") in out
    assert "before: WER" in message and "epoch 1/1" in message


@pytest.mark.parametrize("learning_rate", ["0.01", "0.9"])
def test_an_interrupted_personalisation_leaves_a_whole_checkpoint(
    speech, tiny_tflite, capsys, monkeypatch, learning_rate
):
    """Also when the first epoch made everything worse, as a rate of 0.9 does."""
    train_step, steps = Recognizer.train_step, []

    def interrupted(self, *args, **options):
        steps.append(1)
        if len(steps) == 40:  # in the second epoch
            raise KeyboardInterrupt
        return train_step(self, *args, **options)

    monkeypatch.setattr(Recognizer, "train_step", interrupted)
    line = personalize_line(tiny_tflite, speech, "--epochs", 3, "--learning-rate", learning_rate)
    assert main([str(part) for part in line]) == 130
    out, message = capsys.readouterr()
    assert out == "" and message.endswith("tflite-asr personalize: stopped\n") and "epoch 1/3" in message
    assert [path.name for path in (speech / "out").iterdir()] == ["checkpoint.safetensors"]
    step = Recognizer.load(tiny_tflite).restore(speech / "out" / "checkpoint.safetensors")
    assert step in (0, 28)


def test_a_broken_example_is_skipped_and_counted(speech, tiny_tflite, capsys, monkeypatch):
    example = Recognizer.example

    def broken(self, samples, text, where=""):
        made = example(self, samples, text, where)
        if where.endswith("m.jsonl:1"):
            made.frames[3, 5] = np.nan
        return made

    monkeypatch.setattr(Recognizer, "example", broken)
    # another utterance validates
    monkeypatch.setattr(trainer, "training_and_validation", lambda u, s: trainer.split(u, s.validation_share, s.seed))
    options = ("--epochs", 2, "--learning-rate", 0.01, "--seed", 1)
    result = result_of(capsys, *personalize_line(tiny_tflite, speech, *options))
    assert np.isfinite(result["history"][0]["validation_loss"])
    # in each of two epochs the utterance comes six times in 25 batches
    assert (result["skipped_updates"], result["steps"]) == (12, 38)
    assert all(row["train_loss"] is not None for row in result["history"][1:])
    recognizer = Recognizer.load(tiny_tflite)
    recognizer.restore(result["checkpoint"])
    assert all(np.isfinite(tensor).all() for tensor in recognizer.state().values())


def test_demo_with_ones_own_speech(speech, tiny_tflite, capsys, monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("assets")
    for suffix in (".tflite", ".json"):
        shutil.copy(tiny_tflite.with_suffix(suffix), folder / f"commands{suffix}")
    monkeypatch.setattr(artifact, "ASSETS", folder)
    monkeypatch.setattr("tflite_asr.cli.demo.EPOCHS", 1)
    result = result_of(capsys, "demo", "--adapt", speech / "m.jsonl", "--out", speech / "out")
    assert [result[f"{part}_utterances"] for part in ("adapt", "validation", "test")] == [8, 0, 4]
    assert result["report"] == str(speech / "out" / "report.html")


def test_manifest(tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "x.flac", tone("ONE", 0), RATE)
    rows = "client_id\tpath\tsentence\nann\tx.flac\tYes, please!\nann\tx.flac\t...\n"
    (tmp_path / "train.tsv").write_text(rows)
    result = result_of(capsys, "manifest", "commonvoice", tmp_path)
    assert (result["utterances"], result["skipped"], result["speakers"]) == (1, 1, 1)
    assert json.loads((tmp_path / "train.jsonl").read_text())["text"] == "YES PLEASE"


def test_synthesize(tmp_path, capsys, tiny_tflite):
    pytest.importorskip("espeakng_loader")
    result = result_of(capsys, "synthesize", "--words", "YES", "--speakers", 1, "--out", tmp_path / "s")
    assert result["utterances"] == result["speakers"] == 1
    assert result_of(capsys, "evaluate", tiny_tflite, "--manifest", result["manifest"])["utterances"] == 1
