"""Functions are short, and public ones say what they do."""

import ast
from pathlib import Path

import pytest

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
