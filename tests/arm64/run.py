"""`make arm64`: the device side on 64-bit ARM Linux under emulation, held to what it computes on this machine.

    python tests/arm64/run.py .arm64

Prints a table, and exits with 1 when something differs by more than it may.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from compare import OTHER_RELEASE_FEATURES, as_table, compare_measured, compare_restored
from emulator import PROCESSOR, PROJECT, Emulator

from tflite_asr.errors import InputError

CHECK = PROJECT / "tests/arm64/check.py"
SPEECH = PROJECT / "android_demo/vectors/speech/manifest.jsonl"
SHIPPED = PROJECT / "tflite_asr/assets/commands.tflite"
EXITS = PROJECT / "android_demo/vectors/early.tflite"  # a transducer: its `stream` takes the exit too
PRESETS = ("tiny", "tiny_exits")
OLDEST = "ai-edge-litert==1.4.0"  # the first whose aarch64 wheels are for Python 3.11 and NumPy 2


def main() -> int:
    emulator = Emulator(Path(sys.argv[1]).resolve())
    emulator.add_runtime(OLDEST)
    with tempfile.TemporaryDirectory() as folder:
        host, arm, oldest = (Path(folder) / name for name in ("host", "arm", "oldest"))
        small = [EXITS, *(_export(preset, Path(folder)) for preset in PRESETS)]
        models = [SHIPPED, *small]
        _run([sys.executable, CHECK, "measure", host, SPEECH, *models])
        emulator.run(CHECK, "measure", arm, SPEECH, *models)
        emulator.run(CHECK, "measure", oldest, SPEECH, *small, runtime=OLDEST)
        emulator.run(CHECK, "restore", arm, SPEECH, *models, "--from", host)
        _run([sys.executable, CHECK, "restore", host, SPEECH, *models, "--from", arm])
        rows = compare_measured(host, arm)
        rows += compare_restored(host, arm, "from x86 on ARM") + compare_restored(arm, host, "from ARM on x86")
        older = compare_measured(host, oldest, OTHER_RELEASE_FEATURES)
    print(f"\nARM ({PROCESSOR}, emulated) against this machine, the same runtime:\n\n{as_table(rows)}")
    print(f"\nARM with {OLDEST} against this machine with its own:\n\n{as_table(older)}")
    different = [row for row in rows + older if not row.ok]
    for row in different:
        print(f"differs: {row.model}, {row.what}: {row.difference:.3g}, at most {row.limit:g}", file=sys.stderr)
    print(f"\n{len(rows + older) - len(different)} passed, {len(different)} failed")
    return 1 if different else 0


def _export(preset: str, folder: Path) -> Path:
    """Random weights in a file whose split step has two parts."""
    path = folder / f"{preset}.tflite"
    _run([sys.executable, "-m", "tflite_asr", "export", "--preset", preset, "--parts", "2", "--out", path])
    return path


def _run(command: list[str | Path]) -> None:
    code = subprocess.run(command, cwd=PROJECT).returncode
    if code:
        raise InputError(f"{' '.join(map(str, command))} ended with {code}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        print(f"make arm64: {error}", file=sys.stderr)
        sys.exit(2)
