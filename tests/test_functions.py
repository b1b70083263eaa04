"""Functions are short, and public ones have a docstring and annotations."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import tflite_asr
from tflite_asr.runtime.plan import StepResult

ROOT = Path(__file__).parents[1]
MOST_LINES = 60
FILES = sorted(path for name in ("tflite_asr", "signatures") for path in (ROOT / name).rglob("*.py"))


def functions_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT).as_posix()}: {node.name}", node


def test_there_is_something_to_check():
    assert len(FILES) > 150


@pytest.mark.parametrize("folder", ["tflite_asr", "signatures", "examples", "tests", "docs"])
def test_no_function_is_long(folder):
    long = [
        name
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name, node in functions_of(path)
        if node.end_lineno - node.lineno + 1 > MOST_LINES
    ]
    assert not long, f"over {MOST_LINES} lines: {long}"


def public_definitions(node, prefix=""):
    """(name, definition) of public functions, methods and classes; not of those within functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If | ast.Try | ast.With):
            yield from public_definitions(child, prefix)
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and is_public(child.name):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child, f"{prefix}{child.name}.")


def is_public(name):
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def not_annotated(function, in_class):
    """What of a function has no annotation; `self` and `cls` need none, nor does what `__init__` returns."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    static = any(isinstance(name, ast.Name) and name.id == "staticmethod" for name in function.decorator_list)
    if in_class and not static:
        positional = positional[1:]
    every = [*positional, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    missing = [argument.arg for argument in every if argument is not None and argument.annotation is None]
    return missing + (["return"] if function.returns is None and function.name not in NO_RETURN else [])


NO_RETURN = ("__init__", "__post_init__")  # they return None


@pytest.mark.parametrize("folder", ["tflite_asr", "signatures"])
def test_what_is_public_has_a_docstring(folder):
    missing = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name, node in public_definitions(ast.parse(path.read_text(encoding="utf-8")))
        if not node.name.startswith("__") and not ast.get_docstring(node)
    ]
    assert not missing, f"without a docstring: {missing}"


@pytest.mark.parametrize("folder", ["tflite_asr", "signatures"])
def test_what_is_public_has_annotations(folder):
    missing = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {name}: {names}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name, node in public_definitions(ast.parse(path.read_text(encoding="utf-8")))
        if not isinstance(node, ast.ClassDef) and (names := not_annotated(node, "." in name))
    ]
    assert not missing, f"without annotations: {missing}"


def dataclasses_of_the_package():
    exported = [getattr(tflite_asr, name) for name in tflite_asr.__all__]
    return [kind for kind in (*exported, StepResult) if dataclasses.is_dataclass(kind)]


@pytest.mark.parametrize("kind", dataclasses_of_the_package(), ids=lambda kind: kind.__name__)
def test_help_explains_the_fields_of_what_the_package_exports(kind):
    explained = re.findall(r"^ {4}(\w+):", inspect.getdoc(kind).partition("Attributes:")[2], re.MULTILINE)
    assert explained == [field.name for field in dataclasses.fields(kind)]
