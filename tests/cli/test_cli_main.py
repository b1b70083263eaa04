import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import tflite_asr.cli.inspect as inspect_command
from tflite_asr.cli.main import COMMANDS, main
from tflite_asr.errors import InputError


def failing(monkeypatch, error):
    def run(args):
        raise error

    monkeypatch.setattr(inspect_command, "run", run)


def help_of(capsys, *arguments):
    with pytest.raises(SystemExit) as exit:
        main([*arguments, "--help"])
    assert exit.value.code == 0
    return capsys.readouterr().out


def test_help_has_each_command_and_its_summary_in_one_line(capsys):
    lines = help_of(capsys).splitlines()
    column = 0
    for command in COMMANDS:
        [line] = [line for line in lines if line.split()[:1] == [command]]
        assert len(line.split()) > 3, f"the summary of {command} is on another line"
        start = line.index(line.split()[1], line.index(command) + len(command))
        column = column or start
        assert start == column, "the summaries do not stand in one column"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command, capsys):
    text = help_of(capsys, command)
    assert f"tflite-asr {command}" in text and "--json" in text


def test_bad_input_is_one_line_and_code_2(monkeypatch, capsys):
    failing(monkeypatch, InputError("a.wav: expected speech"))
    assert main(["inspect", "m", "--json"]) == 2
    assert capsys.readouterr() == ("", "tflite-asr inspect: a.wav: expected speech\n")


@pytest.mark.parametrize(
    "error, message",
    [
        (OSError(28, "No space left on device", "runs/a.png"), "runs/a.png: No space left on device"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError("odd\nerror"), "odd"),
    ],
)
def test_what_the_system_refuses_is_one_line_and_code_2(monkeypatch, capsys, error, message):
    failing(monkeypatch, error)
    assert main(["inspect", "m"]) == 2
    out, problem = capsys.readouterr()
    assert out == "" and problem.count("\n") == 1 and problem.startswith(f"tflite-asr inspect: {message}")


def test_an_error_of_the_program_is_not_hidden(monkeypatch):
    failing(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["inspect", "m"])


def test_interrupted_is_130(monkeypatch, capsys):
    failing(monkeypatch, KeyboardInterrupt())
    assert main(["inspect", "m"]) == 130
    assert capsys.readouterr() == ("", "tflite-asr inspect: stopped\n")


@pytest.mark.parametrize("arguments", [[], ["sing"], ["inspect"], ["inspect", "m", "--loud"], ["evaluate", "m"]])
def test_wrong_arguments_are_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    out, problem = capsys.readouterr()
    assert out == "" and "error:" in problem


def test_figures_that_are_not_finite_are_null_in_json(monkeypatch, capsys):
    monkeypatch.setattr(
        inspect_command, "run", lambda args: {"loss": float("nan"), "rows": [{"wer": float("inf")}, 1.5]}
    )
    assert main(["inspect", "m", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"loss": None, "rows": [{"wer": None}, 1.5]}


def run(code, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True, **options)


def test_the_package_runs_as_the_command():
    done = subprocess.run([sys.executable, "-m", "tflite_asr", "--version"], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0 and done.stdout.startswith("tflite-asr ")


def test_help_loads_no_heavy_library():
    code = """
import sys
from tflite_asr.cli.main import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = ("tensorflow", "ai_edge_litert", "librosa", "matplotlib", "soundfile")
print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""
    assert run(code, stdout=subprocess.DEVNULL).stderr == "[]\n"


@pytest.mark.parametrize("command", ["train", "export"])
def test_without_tensorflow_it_says_what_to_install(command, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 16000)
    (tmp_path / "m.jsonl").write_text('{"audio": "a.wav", "text": "ONE"}\n')
    arguments = {
        "train": ["tiny", "--manifest", str(tmp_path / "m.jsonl"), "--out", str(tmp_path / "model")],
        "export": [str(tmp_path), "--out", str(tmp_path / "a.tflite")],
    }[command]
    code = f"""
import sys
sys.modules["tensorflow"] = None
from tflite_asr.cli.main import main
sys.exit(main([{command!r}, *{arguments!r}]))
"""
    done = run(code, stdout=subprocess.PIPE)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "pip install" in done.stderr and "tflite_asr[train]" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_under_standard_output(tiny_tflite):
    code = f"import sys; from tflite_asr.cli.main import main; sys.exit(main(['inspect', {str(tiny_tflite)!r}]))"
    with open("/dev/full", "w") as full:
        done = run(code, stdout=full)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "No space left" in done.stderr


def test_a_reader_that_went_away_is_no_error(tiny_tflite):
    code = f"import sys; from tflite_asr.cli.main import main; sys.exit(main(['inspect', {str(tiny_tflite)!r}]))"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(code, stdout=writing)
    finally:
        os.close(writing)
    assert done.stderr == ""


NOTICE = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."


def stderr_of(*arguments):
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "tflite_asr", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_runtimes_notice_is_shown_when_asked_for(tiny_tflite, tmp_path):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 8000)
    soundfile.write(tmp_path / "a.wav", noise, 16000)
    assert stderr_of("transcribe", tiny_tflite, tmp_path / "a.wav") == ""
    assert NOTICE in stderr_of("transcribe", tiny_tflite, tmp_path / "a.wav", "--verbose")


@pytest.mark.slow
def test_an_export_says_nothing_on_standard_error(tmp_path):
    assert stderr_of("export", "--preset", "tiny", "--out", tmp_path / "t.tflite") == ""


def test_only_notices_are_dropped():
    code = f"""
import os, sys
from tflite_asr.runtime.notices import without_notices
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
with without_notices():
    print("mine", file=sys.stderr)
    os.write(2, b"{NOTICE}\\nERROR: no memory\\nI0000 00:00:1795911860.867550 1 port.cc:153] oneDNN\\n")
os.write(2, b"{NOTICE}\\n")
"""
    assert run(code).stderr == f"mine\nERROR: no memory\n{NOTICE}\n"
