"""Figures whatever the user's matplotlib is set to, and what C libraries print."""

import os
import subprocess
import sys
import threading

import pytest

from tflite_asr.quiet import muted_stderr

DRAW = """
from tflite_asr.figure import as_png, new_figure
from tflite_asr.report_plots import draw_loss, figure_element
history = [{"epoch": n, "train_loss": 1.0 / (n + 1), "validation_loss": 2.0 - n} for n in range(2)]
assert figure_element("loss", draw_loss, history)[0].startswith(b"\\x89PNG")
import sys; assert "matplotlib.pyplot" not in sys.modules
"""


@pytest.mark.parametrize(
    "backend", ["module://matplotlib_inline.backend_inline", "nonsense", "TkAgg", "module://nowhere", ""]
)
@pytest.mark.parametrize("where", ["MPLBACKEND", "matplotlibrc"])
def test_any_backend(tmp_path, backend, where):
    (tmp_path / "matplotlibrc").write_text(f"backend: {backend}\n" if where == "matplotlibrc" else "")
    environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path), "MPLBACKEND": backend}
    if where == "matplotlibrc":
        del environment["MPLBACKEND"]
    done = subprocess.run([sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_muting(capfd):
    """Blocks of two threads overlap; what is written outside of them is seen."""
    os.write(2, b"before ")
    inside, go_on = threading.Event(), threading.Event()

    def other():
        with muted_stderr():
            inside.set()
            go_on.wait()

    thread = threading.Thread(target=other)
    with muted_stderr():
        thread.start()
        inside.wait()
        os.write(2, b"muted ")
    os.write(2, b"still muted ")
    go_on.set()
    thread.join()
    os.write(2, b"after")
    with pytest.raises(ValueError), muted_stderr():
        os.write(2, b"failing ")
        raise ValueError
    print(" end", file=sys.stderr)
    assert capfd.readouterr().err == "before after end\n"
