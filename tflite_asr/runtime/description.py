"""What NAME.json must look like: its digest, and the type of each of its fields.

From format 2 on the file begins

    {
     "format": 2,
     "digest": "64 hexadecimal digits",

and the digest is the sha256 over the file's bytes with those 64 digits replaced by zeros. A byte order mark at the
start and carriage returns before line feeds, which editors and git add, are taken away first and so change nothing;
every other byte counts.
"""

import hashlib
import json
import math
import re
from typing import Any

NO_DIGEST = "0" * 64
_BEGINNING = re.compile(r'\{\n "format": [0-9]+,\n "digest": "([0-9a-f]{64})",\n')

_TENSOR = {"name": str, "shape": [int], "dtype": str}
_MIXTURE = {
    "weights": [float],
    "means": [[float]],
    "variances": [[float]],
    "projection?": ({"center": [float], "matrix": [[float]]}, None),
}
_PLANS = {str: [{"signature": str, "takes?": {str: str}, "updates?": [str]}]}
_SCHEMA = {  # a list holds one kind of item; {str: x} any names; ? marks what may be absent
    "name": str,
    "tflite_sha256": str,
    "bytes": int,
    "min_runtime": str,
    "allow_flex": bool,
    "model": dict,
    "tokenizer": dict,
    "optimizer": str,
    "groups": [{"name": str, "parameters": int, "bytes": int, "activation_bytes": int}],
    "parameters": [{**_TENSOR, "tensor": str, "group": str, "trainable": bool}],
    "state": [{"tensor": str, "shape": [int], "dtype": str}],
    "exits": [{"name": str, "group": str}],
    "signatures": {str: {"does": str, "inputs": [_TENSOR], "outputs": [str], "reads": [str], "writes": [str]}},
    "plans": _PLANS,
    "shorter_plans?": _PLANS,
    "gains?": [{"groups": [str], "relative_wer_reduction": float, "speakers": int}],
    "plan_exits?": {str: int},
    "rescoring?": ({"weight?": float, "per_label?": bool, "nbest?": (int, None)}, None),
    "hotwords?": ({"weight": float}, None),
    "owner_views?": bool,
    "calibration?": (
        {
            "measure?": str,
            "over?": str,
            "temperature?": float,
            "start_delay_seconds?": float,
            "end_delay_seconds?": float,
        },
        None,
    ),
    "licences?": [{str: str}],
    "voices?": (_MIXTURE, None),
}


def with_digest(values: dict) -> str:
    """The text of NAME.json; values begin with `format`, 2 or more, and have no digest yet."""
    values = {"format": values["format"], "digest": NO_DIGEST, **values}
    text = json.dumps(values, indent=1) + "\n"
    return text.replace(NO_DIGEST, hashlib.sha256(text.encode()).hexdigest(), 1)


def digest_matches(text: str) -> bool:
    """Whether the digest of NAME.json is that of its text, which has no byte order mark and ends lines by
    line feeds.
    """
    beginning = _BEGINNING.match(text)
    if beginning is None:
        return False
    start, end = beginning.span(1)
    return hashlib.sha256((text[:start] + NO_DIGEST + text[end:]).encode()).hexdigest() == beginning[1]


def check_description(values: Any) -> None:
    """ValueError, naming the field, unless every field is there and of its type, and counts and shapes are not
    negative.
    """
    fields = {name: value for name, value in values.items() if name != "format"}
    _check(fields, _SCHEMA, "")


def _check(value: Any, kind: Any, place: str) -> None:
    if isinstance(kind, tuple):  # one of two
        if value is None:
            return
        kind = kind[0]
    if isinstance(kind, list):
        _expect(isinstance(value, list), place, "a list", value)
        for index, item in enumerate(value):
            _check(item, kind[0], f"{place}[{index}]")
    elif isinstance(kind, dict) and str in kind:
        _expect(isinstance(value, dict), place, "an object", value)
        for name, item in value.items():
            _check(item, kind[str], f"{place}.{name}")
    elif isinstance(kind, dict):
        _expect(isinstance(value, dict), place, "an object", value)
        known = {name.rstrip("?") for name in kind}
        for name in sorted(value.keys() - known):
            raise ValueError(f"unexpected field {f'{place}.{name}'.lstrip('.')}")
        for name, field in kind.items():
            if name.rstrip("?") in value:
                _check(value[name.rstrip("?")], field, f"{place}.{name.rstrip('?')}")
            else:
                _expect(name.endswith("?"), f"{place}.{name}", "a value", None)
    elif kind is float:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        _expect(good, place, "a finite number", value)
    elif kind is int:
        _expect(type(value) is int and value >= 0, place, "a whole number of 0 or more", value)
    else:
        _expect(type(value) is kind, place, {str: "a string", bool: "true or false", dict: "an object"}[kind], value)


def _expect(good: bool, place: str, expected: str, got: Any) -> None:
    if not good:
        shown = repr(got)
        raise ValueError(
            f"{place.lstrip('.')}: expected {expected}, got {shown if len(shown) <= 40 else shown[:37] + '...'}"
        )
