"""Workers that share each batch train as one that has all of it; real processes, which meet on this machine."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from tflite_asr.errors import InputError
from tflite_asr.training.workers import workers_from_environment

TRAIN = """
import dataclasses, os, sys
from pathlib import Path

from tflite_asr.training.workers import workers_from_environment

workers = workers_from_environment() if "TF_CONFIG" in os.environ else None

from tflite_asr.config import preset
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.training.fit import fit
from tflite_asr.training.settings import FitSettings

folder, out = map(Path, sys.argv[1:])
tiny = preset("tiny")
encoder = dataclasses.replace(tiny.encoder, layers=1, dropout=0.0)  # each process would drop out other units
config = dataclasses.replace(tiny, encoder=encoder, prediction=None, joint_units=0)
corpus = Corpus(read_manifest(folder / "m.jsonl"), config)
settings = FitSettings(batch=4, epochs=2, steps_per_epoch=3, learning_rate=1e-2, seed=3)
fit(config, corpus, None, out, settings, workers=workers)
"""


def start(speech, out, **environment):
    command = [sys.executable, "-c", TRAIN, str(speech), str(out)]
    return subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True)


def finish(*processes):
    try:
        for process in processes:
            _, errors = process.communicate(timeout=400)
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in processes:  # they would wait for each other
            process.kill()


def free_port():
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def start_two(speech, out):
    addresses = [f"localhost:{free_port()}" for _ in range(2)]
    return [
        start(
            speech,
            out,
            TF_CONFIG=json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}}),
        )
        for i in range(2)
    ]


@pytest.mark.slow
def test_two_workers_train_as_one_with_the_joint_batch(tmp_path):
    random = np.random.default_rng(1)
    rows = []
    for number, text in enumerate(("AB", "CAB", "DAD A", "BE", "FAB", "ACE")):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * random.standard_normal(9_000), 16_000)
        rows.append({"audio": f"{number}.wav", "text": text, "speaker": "x"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    finish(start(tmp_path, tmp_path / "one"), *start_two(tmp_path, tmp_path / "two"))
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "history.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert [row["epoch"] for row in one] == [row["epoch"] for row in two] == [1, 2]
    # the same sums in another order, and Adam divides by small numbers
    np.testing.assert_allclose([r["loss_per_token"] for r in two], [r["loss_per_token"] for r in one], rtol=1e-4)
    ours, theirs = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert one[1]["loss_per_token"] < one[0]["loss_per_token"] and len(ours) > 5
    for name, value in ours.items():
        np.testing.assert_allclose(theirs[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "another index on each machine; got none"),
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"cluster": {"worker": ["a:1"]}}', "KeyError 'task'"),
        ('{"cluster": {"worker": ["a:1"], "ps": []}, "task": {"type": "worker", "index": 0}}', "with workers alone"),
        (
            '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
            "host:port of each worker, got \\['a'\\]",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "an index from 0 to 1, got 2",
        ),
    ],
)
def test_a_tf_config_that_says_nothing(monkeypatch, text, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=f"TF_CONFIG: expected such as .*{message}"):
        workers_from_environment()
