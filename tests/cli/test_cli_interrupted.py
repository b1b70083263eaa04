"""Ctrl-C and SIGTERM at any moment: one line, code 130, no traceback, whole files."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.interruption import Interruption
from tflite_asr.cli.main import main
from tflite_asr.data.manifest import write_manifest
from tflite_asr.models.storage import read_model


@pytest.fixture
def speech(tmp_path):
    source = np.random.default_rng(0)
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * source.standard_normal(8000), 16000)
    write_manifest(tmp_path / "m.jsonl", [{"audio": f"{name}.wav", "text": "ONE"} for name in ("a", "b")])
    return tmp_path


def start(*arguments):
    """A Python process that signals interrupt, also where this one was started to ignore them."""

    def heed():
        for number in Interruption.SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen([sys.executable, *arguments], stdout=-1, stderr=-1, text=True, preexec_fn=heed)


def stopped(arguments, seconds, number):
    process = start("-m", "tflite_asr", *arguments)
    try:
        time.sleep(seconds)
        process.send_signal(number)
        out, problem = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, out, problem


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, 5.0, 9.0, 14.0])
def test_a_training_is_stopped_while_graphs_are_built(speech, seconds):
    number = random.Random(seconds).choice([signal.SIGINT, signal.SIGTERM])
    arguments = [
        "train",
        "commands",
        "--manifest",
        str(speech / "m.jsonl"),
        "--batch",
        "2",
        "--out",
        str(speech / "out"),
    ]
    code, out, problem = stopped(arguments, seconds, number)
    assert code == 130 and out == "" and "Traceback" not in problem, problem
    assert problem.splitlines()[-1] in ("tflite-asr train: stopped", "tflite-asr: stopped")
    if (speech / "out" / "weights.safetensors").exists():
        read_model(speech / "out")


@pytest.mark.parametrize(
    "raised", [RuntimeError("StagingError"), AssertionError(), ValueError("x"), OSError("y"), KeyboardInterrupt()]
)
def test_whatever_ends_a_run_after_a_signal_is_the_signal(monkeypatch, capsys, raised):
    """Libraries turn the KeyboardInterrupt into exceptions of their own."""
    import tflite_asr.cli.inspect as inspect

    def run(args):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise raised from None

    monkeypatch.setattr(inspect, "run", run)
    handlers = [signal.getsignal(number) for number in Interruption.SIGNALS]
    try:
        assert main(["inspect", "commands"]) == 130
    finally:
        [signal.signal(*each) for each in zip(Interruption.SIGNALS, handlers)]
    assert capsys.readouterr() == ("", "tflite-asr inspect: stopped\n")


def test_an_interrupt_in_a_destructor_is_not_lost(capsys):
    class Dropped:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    handlers = [signal.getsignal(number) for number in Interruption.SIGNALS]
    try:
        with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
            Dropped()
            time.sleep(1)
        assert interruption.came
    finally:
        [signal.signal(*each) for each in zip(Interruption.SIGNALS, handlers)]
    assert capsys.readouterr().err == ""


def test_signals_that_are_ignored_stay_ignored():
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGINT)
        assert not interruption.came
    finally:
        signal.signal(signal.SIGINT, former)


def test_handlers_are_put_back_and_other_threads_may_run_commands():
    before = [signal.getsignal(number) for number in Interruption.SIGNALS]
    with Interruption():
        assert [signal.getsignal(number) for number in Interruption.SIGNALS] != before
    assert [signal.getsignal(number) for number in Interruption.SIGNALS] == before
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["inspect", "none.tflite"])))
    thread.start(), thread.join()
    assert codes == [2]


STUCK = """
import sys, time
import tflite_asr.cli.inspect as inspect
from tflite_asr.cli import main
from tflite_asr.cli.interruption import Interruption
main.Interruption = lambda: Interruption(patience_seconds=0.5)
def run(args):  # C code that lets other threads run, and no handler of signals
    print("begun", flush=True)
    {work}
inspect.run = run
sys.exit(main.main(["inspect", "commands"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_in_c_code_is_stopped_too(number):
    """zlib works on a gigabyte without the interpreter's lock, and for longer than the test waits."""
    code = STUCK.format(work="import zlib; zlib.compress(bytes(1 << 30), 9); time.sleep(1000)")
    process = start("-c", code)
    try:
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.3)
        process.send_signal(number)
        begun = time.monotonic()
        _, problem = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, problem) == (130, "tflite-asr inspect: stopped\n")
    assert time.monotonic() - begun < 5


def test_a_run_that_ends_in_time_is_not_cut_short():
    code = STUCK.format(
        work="""
    try:
        time.sleep(100)
    except KeyboardInterrupt:
        for _ in range(30): time.sleep(0.01)  # tidies up, in less than the patience
        print("tidied", flush=True)
        raise"""
    )
    process = start("-c", code)
    try:
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, problem = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, problem) == (130, "tidied\n", "tflite-asr inspect: stopped\n")
