"""A user without a home folder, or with one that cannot be written to: nothing ends in a traceback."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tflite_asr

STRANGER = 54321  # a user without an entry in the system's list


@pytest.fixture
def open_folder():
    """A folder that everybody may write to, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def run_as_stranger(code, open_folder, home):
    """A Python of a user who may read everything and write to the temporary folder alone."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        pytest.skip("needs setpriv and root to become another user")
    who = [f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    may_read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    caches = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR")
    environment = {name: value for name, value in os.environ.items() if name not in caches}
    environment |= {
        "PYTHONPATH": str(Path(tflite_asr.__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(open_folder),
    }
    if home is not None:
        environment["HOME"] = home
    command = [setpriv, *who, *may_read, sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
    if "setpriv" in result.stderr:
        pytest.skip(f"cannot become another user: {result.stderr.strip()}")
    return result


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_a_recording_of_another_rate_is_read(open_folder, home):
    samples = np.random.default_rng(0).normal(0, 0.1, 48000)
    soundfile.write(open_folder / "a.wav", samples, 48000)
    wav = str(open_folder / "a.wav")
    code = f"from tflite_asr.audio.reading import read_audio; print(len(read_audio({wav!r}, 16000)))"
    result = run_as_stranger(code, open_folder, home)
    assert (result.stdout, result.stderr) == ("16000\n", "")


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_what_matplotlib_keeps_goes_to_the_temporary_folder(open_folder, home):
    code = """
from tflite_asr.libraries import give_caches
give_caches()
from matplotlib.figure import Figure
print(len(Figure().get_axes()))
"""
    result = run_as_stranger(code, open_folder, home)
    assert (result.stdout, result.stderr) == ("0\n", "")
    assert (open_folder / f"tflite_asr-{STRANGER}").is_dir()


@pytest.mark.slow  # numba compiles
def test_what_numba_keeps_goes_to_the_temporary_folder(open_folder):
    code = "from tflite_asr.libraries import load_librosa; print(load_librosa().fft_frequencies(sr=4, n_fft=4))"
    result = run_as_stranger(code, open_folder, None)
    assert (result.stdout, result.stderr) == ("[0. 1. 2.]\n", "")
    assert (open_folder / f"tflite_asr-{STRANGER}").is_dir()


def test_a_calibration_that_cannot_be_kept(open_folder):
    code = """
from tflite_asr.personalization import calibration
from tflite_asr.runtime.artifact import read_artifact
calibration.calibrate = lambda artifact, threads: "measured"
artifact = read_artifact("commands")
print(calibration.calibrated(artifact, calibration.default_path(artifact, 1), 1, print))
"""
    result = run_as_stranger(code, open_folder, None)
    assert result.stderr == ""
    assert result.stdout.splitlines()[0].startswith("calibration: there is no home folder to keep it in")
    assert result.stdout.splitlines()[1] == "measured"


def test_a_numba_that_does_not_fit_is_told_in_one_line():
    code = """
import sys
sys.modules["numba"] = None
from tflite_asr.errors import InputError
from tflite_asr.libraries import load_librosa
try:
    load_librosa()
except InputError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.startswith("cannot load librosa: ") and result.stdout.count("\n") == 1, result.stderr


def test_resampling_is_as_librosas():
    import librosa

    from tflite_asr.audio.resampling import resample

    samples = np.random.default_rng(0).normal(0, 0.1, 22051).astype(np.float32)
    for rate in (48000, 44100, 22050, 8000, 17999.5):
        expected = librosa.resample(samples, orig_sr=rate, target_sr=16000)
        np.testing.assert_array_equal(resample(samples, rate, 16000), expected)
