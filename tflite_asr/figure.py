"""Figures as PNG, whatever backend the user's matplotlib is set to: drawn by Agg, without pyplot and its
global state.
"""

import functools
import importlib
import io
import os
import subprocess
from typing import TYPE_CHECKING, Any, cast

from tflite_asr.errors import InputError
from tflite_asr.libraries import give_caches
from tflite_asr.processes import SAFE_PATH, python_code

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure


def new_figure(**options: Any) -> "Figure":
    """A figure that draws itself by Agg; options as `matplotlib.figure.Figure` takes them."""
    give_caches()
    # matplotlib refuses to be imported under a backend that it does not know
    asked = os.environ.pop("MPLBACKEND", None)
    try:
        figure = importlib.import_module("matplotlib.figure").Figure(**options)
        importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    finally:
        if asked is not None:
            os.environ["MPLBACKEND"] = asked
    return figure


def as_png(figure: "Figure") -> bytes:
    """The figure as the content of a PNG file."""
    buffer = io.BytesIO()
    cast("FigureCanvasAgg", figure.canvas).print_png(buffer)  # the canvas of `new_figure`; matplotlib types its base
    return buffer.getvalue()


@functools.cache
def check_drawing() -> None:
    """InputError when figures cannot be drawn here. It is tried in a process of its own, so that this one, whose memory
    may be measured, does not load matplotlib before it is needed.
    """
    code = (
        "from tflite_asr.figure import as_png, new_figure; f = new_figure(); f.add_subplot().set_title('a'); as_png(f)"
    )
    environment = os.environ | SAFE_PATH
    done = subprocess.run(python_code(code), capture_output=True, text=True, errors="replace", env=environment)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word why"])[-1]
        raise InputError(f"cannot draw the report's figures: {reason}; repair or install matplotlib")
