"""Tasks on processes of this machine and on Ray: same figures, lost workers, refusals."""

import importlib.util
import multiprocessing
import os
import signal
import socket
import threading
import time
from pathlib import Path

import psutil
import pytest

from tflite_asr.errors import InputError
from tflite_asr.study.engines import run_tasks
from tflite_asr.study.plan import Mobile, Speech, Study
from tflite_asr.study.run import _tasks
from tflite_asr.study.worker import run_task

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'tflite_asr[cluster]'"
)

RAY_SPEAKERS = int(os.environ.get("RAY_TEST_SPEAKERS", "6"))  # 200 shows more, and takes minutes


def double(task):
    if task == 5:
        raise FileNotFoundError(2, "No such file or directory", "gone.wav")
    if task == 3:
        raise InputError("three is not to be doubled")
    return {"pid": os.getpid(), "twice": 2 * task}


def killed(task):
    os.kill(os.getpid(), signal.SIGKILL)


def waiting(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def gathered(engine, tasks, function=double, workers=2):
    results = []
    run_tasks(engine, function, tasks, workers, lambda task, result: results.append((task, result)))
    return sorted(results, key=lambda pair: pair[0])


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s"
        time.sleep(0.05)


@pytest.mark.slow
def test_every_task_has_a_process_of_its_own():
    results = gathered("local", [0, 1, 2])
    assert [(task, result["twice"]) for task, result in results] == [(0, 0), (1, 2), (2, 4)]
    assert len({result["pid"] for _, result in results} | {os.getpid()}) == 4


@pytest.mark.slow
def test_a_refused_task_does_not_stop_the_others():
    results = []
    with pytest.raises(InputError, match="2 of 4 runs failed, the first: three is not to be doubled"):
        run_tasks("local", double, [2, 3, 5, 4], 1, lambda task, result: results.append(task))
    assert results == [2, 4]


@pytest.mark.slow
def test_a_killed_process_is_told_of():
    with pytest.raises(InputError, match="a worker process was killed"):
        gathered("local", [0], killed)


@pytest.mark.slow
def test_workers_end_with_a_study_that_is_killed(tmp_path):
    started = tmp_path / "started"
    study = multiprocessing.get_context("spawn").Process(target=gathered, args=("local", [str(started)], waiting))
    study.start()
    try:
        until(lambda: started.exists() and started.read_text())
        worker = psutil.Process(int(started.read_text()))
    finally:
        study.kill()
    worker.wait(30)  # raises when it goes on


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "nonsense", ":6379", "127.0.0.1:port"])
def test_an_address_without_ray(address, monkeypatch):
    address = address.format(free_port())
    monkeypatch.setenv("RAY_ADDRESS", address)
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        gathered("ray", [1])
    assert str(caught.value).startswith(f"RAY_ADDRESS {address}: no Ray there") and "\n" not in str(caught.value)
    assert time.monotonic() - started < 6


@needs_ray
@pytest.mark.slow
def test_ray_gives_the_same_figures_though_a_worker_is_killed(tiny_tflite, speakers, monkeypatch):
    """Two workers of one machine; the first one seen after a result has come is killed while it runs a task."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    mobile = Mobile(window=6, window_bytes=14_000, stride=4, steps=40, learning_rate=0.01)
    tasks = _tasks(Study((Speech(str(speakers(RAY_SPEAKERS))),), str(tiny_tflite), "mobile", mobile=mobile))
    kills, over, begun = [], threading.Event(), threading.Event()

    def kill_one():
        begun.wait()
        while not over.is_set() and not kills:
            for process in psutil.Process().children(recursive=True):
                try:
                    if process.cmdline()[:1] == ["ray::guarded"]:
                        process.kill()
                        kills.append(process.pid)
                        break
                except psutil.Error:  # ended meanwhile
                    continue
            time.sleep(0.01)

    results = []

    def done(task, result):
        results.append((task.speaker.name, result))
        begun.set()

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        run_tasks("ray", run_task, tasks, 2, done)
    finally:
        over.set()
        begun.set()
        killer.join()
    assert kills, "no worker was there to be killed"
    assert sorted(name for name, _ in results) == sorted(f"s{n}" for n in range(RAY_SPEAKERS)), "every speaker once"
    expected = {task.speaker.name: run_task(task) for task in tasks}
    for name, result in results:
        local = expected[name]
        for key in ("errors_before", "errors_after", "steps", "disk_bytes_max", "checkpoint_bytes"):
            assert result[key] == local[key]
        losses = [[row["validation_loss"] for row in rows["history"]] for rows in (result, local)]
        assert losses[0] == losses[1]
