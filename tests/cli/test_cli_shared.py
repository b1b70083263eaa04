"""What all commands have in common: one run an --out, seeds, and where they are started."""

import importlib
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tflite_asr
from tflite_asr.cli.arguments import limited
from tflite_asr.cli.main import main
from tflite_asr.data.manifest import Utterance
from tflite_asr.processes import SAFE_PATH, python_module, safe_path

OUT = {
    "personalize": ["commands", "--adapt", "m", "--test", "m"],
    "simulate": ["--manifest", "m"],
    "train": ["commands", "--manifest", "m"],
    "distill": ["--teacher", "t", "--student", "sentences_student", "--manifest", "m"],
    "export": ["t"],
    "synthesize": ["--digits"],
    "record": ["--prompts", "p"],
    "exits": ["commands", "--manifest", "m"],
    "compare": ["a=b", "--development", "m", "--test", "m"],
    "demo": [],
}
HOLD = "import sys; from pathlib import Path; from tflite_asr.files import only_writer\n"
HOLD += "with only_writer(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    out = tmp_path_factory.mktemp("held") / "out.tflite"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdin=-1, stdout=-1, text=True)
    assert holder.stdout.readline() == "held\n"
    yield out, holder.pid
    holder.communicate("")


@pytest.mark.parametrize("command", OUT)
def test_the_second_run_into_a_folder_is_refused(held, capsys, command):
    out, pid = held
    assert main([command, *OUT[command], "--out", str(out)]) == 2
    message = f"{out}: another run is writing here (pid {pid}); wait for it or choose another --out"
    assert capsys.readouterr() == ("", f"tflite-asr {command}: {message}\n")


SEEDS = {**OUT, "evaluate": ["commands", "--manifest", "m"], "tune-rescoring": ["commands", "--manifest", "m"]}


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30])
@pytest.mark.parametrize("command", [command for command in SEEDS if command not in ("record", "compare")])
def test_seeds_that_generators_do_not_take(tmp_path, capsys, command, seed):
    out = ["--out", str(tmp_path / "out.tflite")] if command in OUT else []
    assert main([command, *SEEDS[command], *out, "--seed", str(seed)]) == 2
    assert capsys.readouterr() == ("", f"tflite-asr {command}: --seed: expected 0 to 4294967295, got {seed}\n")


def test_the_highest_seed_makes_a_corpus(tmp_path):
    assert (
        main(
            ["synthesize", "--words", "ONE", "--speakers", "1", "--seed", str(2**32 - 1), "--out", str(tmp_path / "s")]
        )
        == 0
    )


@pytest.mark.parametrize("module", ["random", "json", "numpy", "socket", "tflite_asr"])
def test_a_file_in_the_current_folder_is_not_a_module(tmp_path, module):
    """`select` and the benchmarks measure in processes of their own."""
    (tmp_path / f"{module}.py").write_text("raise SystemExit('imported')")
    command = python_module("tflite_asr.benchmark.measure", "--help")
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | SAFE_PATH, capture_output=True, text=True)
    assert done.returncode == 0 and "--keep-memory" in done.stdout, done.stderr


def test_every_process_of_the_package_is_started_so():
    for path in Path(tflite_asr.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert 'sys.executable, "-m"' not in text, path
        if "subprocess.run(" in text:
            assert "SAFE_PATH" in text, path
        if 'get_context("spawn")' in text:
            assert "safe_path()" in text, path


def loaded_file(module):
    return importlib.import_module(module).__file__


@pytest.mark.parametrize("module", ["socket", "pickle", "random"])
def test_workers_do_not_import_from_the_current_folder(tmp_path, monkeypatch, module):
    (tmp_path / f"{module}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    with safe_path(), multiprocessing.get_context("spawn").Pool(1) as pool:
        assert not pool.apply_async(loaded_file, (module,)).get(60).startswith(str(tmp_path))


# --- --limit ---


def test_a_limit_takes_different_texts_first():
    texts = ["ONE"] * 30 + ["TWO"] * 3 + ["THREE"]
    rows = [
        Utterance(Path("a.wav"), text, None, "ann", {}, f"m.jsonl:{number}") for number, text in enumerate(texts, 1)
    ]
    for seed in range(5):
        assert sorted(row.text for row in limited(rows, 3, seed)) == ["ONE", "THREE", "TWO"]
        chosen = limited(rows, 8, seed)
        assert chosen == sorted(chosen, key=rows.index)
        assert [row.text for row in chosen].count("TWO") == 3 and [row.text for row in chosen].count("ONE") == 4
    assert len({tuple(row.where for row in limited(rows, 3, seed)) for seed in range(5)}) > 1
    assert limited(rows, 99, 0) == rows == limited(rows, None, 0)
