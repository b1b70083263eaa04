"""Build the API reference of every public module from its docstrings: python docs/api.py FOLDER

A warning, such as a name of `__all__` that does not resolve or an annotation that cannot be evaluated, ends it.
"""

import importlib
import os
import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc

import tflite_asr
import tflite_asr.export
from tflite_asr.runtime.notices import LEVEL, QuietImport

LAZY = (tflite_asr, tflite_asr.export)  # packages that import the names of `__all__` when they are used
LEFT_OUT = ("tflite_asr.__main__", "tflite_asr.benchmark.peers")  # a command, and what needs PyTorch


def modules() -> list[str]:
    """Both packages and everything in them. pdoc looks into a package that has `__all__` for nothing else."""
    inside = [
        module.name for package in LAZY for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ]
    return [
        "tflite_asr",
        *(name for name in inside if name not in LEFT_OUT),
        "signatures",
        *(f"!{n}" for n in LEFT_OUT),
    ]


def main(folder: Path) -> None:
    os.environ[LEVEL] = "3"  # what TensorFlow says when it is imported is no warning of ours
    os.environ["PDOC_ALLOW_EXEC"] = "1"  # libraries ask `uname` for the processor
    sys.meta_path.insert(0, QuietImport("tensorflow"))
    importlib.import_module("tensorflow")
    for package in LAZY:
        for name in package.__all__:
            setattr(package, name, getattr(package, name))  # imported when first used, which pdoc does not wait for
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # in libraries
    pdoc.render.configure(docformat="google", footer_text=f"tflite_asr {tflite_asr.__version__}")
    pdoc.pdoc(*modules(), output_directory=folder)
    print(f"{folder / 'index.html'}: {len(list(folder.rglob('*.html')))} pages")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
