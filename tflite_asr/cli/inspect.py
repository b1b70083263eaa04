"""Say what an artifact holds: signatures, layer groups, ops, and the oldest runtime that has them.

    tflite-asr inspect commands
    tflite-asr inspect commands --markdown > docs/signatures.md

NAME.json holds a digest of itself. After a change by hand, `inspect NAME.tflite --accept` checks its fields and writes
it again with the digest of what it holds now.
"""

import argparse
import math
from collections import Counter
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_model

if TYPE_CHECKING:
    from tflite_asr.runtime.artifact import Artifact
    from tflite_asr.runtime.flatbuffer import FileContents

SUMMARY = "say what a .tflite holds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--markdown", action="store_true", help="print the signature reference as Markdown")
    parser.add_argument(
        "--accept", action="store_true", help="take NAME.json as it was changed by hand, and give it a new digest"
    )


def run(args: argparse.Namespace) -> dict:
    from tflite_asr.runtime.artifact import read_artifact, write_description
    from tflite_asr.runtime.flatbuffer import read_contents

    artifact = read_artifact(args.model, accept_changes=args.accept)
    if args.accept:
        write_description(artifact)
    contents = read_contents(artifact.path)
    return {
        "name": artifact.name,
        "path": str(artifact.path),
        "bytes": artifact.bytes,
        "parameters": sum(group["parameters"] for group in artifact.groups),
        "groups": artifact.groups,
        "optimizer": artifact.optimizer,
        "licences": list(artifact.licences),
        "signatures": {
            name: {key: signature[key] for key in ("does", "inputs", "outputs")}
            for name, signature in artifact.signatures.items()
        },
        "flex_ops": contents.flex_ops,
        "custom_ops": contents.custom_ops,
        "op_versions": contents.op_versions,
        "min_runtime": contents.min_runtime,
        "constant_bytes": contents.constant_bytes,
        "parameter_bytes_by_dtype": _parameter_bytes(artifact, contents),
        "markdown": args.markdown,
    }


def _parameter_bytes(artifact: "Artifact", contents: "FileContents") -> dict[str, int]:
    """What the model's weights take, by dtype. A frozen one is int8 if the file has an int8 constant of its size."""
    stored = Counter(size for dtype, size in contents.constants if dtype == "int8")
    total: Counter[str] = Counter(float32=0)
    for row in artifact.parameters:
        elements = math.prod(row["shape"])
        if not row["trainable"] and stored[elements]:
            stored[elements] -= 1
            total["int8"] += elements
        else:
            total["float32"] += 4 * elements
    return dict(total)


def describe(result: dict) -> str:
    if result["markdown"]:
        return _markdown(result)
    lines = [
        f"{result['path']}: {result['bytes'] / 1e6:.1f} MB, {result['parameters']:,} parameters, {result['optimizer']}",
        f"runs on TFLite {result['min_runtime']} and later; needs Flex: {', '.join(result['flex_ops']) or 'no'}; "
        f"custom ops: {', '.join(result['custom_ops']) or 'none'}",
        "weights: "
        + ", ".join(f"{size / 1e6:.2f} MB {dtype}" for dtype, size in result["parameter_bytes_by_dtype"].items()),
        *(f"licence: {', '.join(map(str, licence.values()))}" for licence in result["licences"]),
        "",
        "layer group        parameters    weights MB  activations MB",
    ]
    lines += [
        f"{g['name']:<16} {g['parameters']:>12,} {g['bytes'] / 1e6:>13.2f} {g['activation_bytes'] / 1e6:>15.2f}"
        for g in result["groups"]
    ]
    lines += ["", "signatures"]
    lines += [f"  {name:<12} {signature['does']}" for name, signature in result["signatures"].items()]
    return "\n".join(lines)


def _markdown(result: dict) -> str:
    """docs/signatures.md."""
    lines = [
        "# Signatures",
        "",
        f"Of `{result['name']}`, written by `tflite-asr inspect {result['name']} --markdown`. Other models have the "
        f"same "
        "signatures with other sizes.",
    ]
    for name, signature in result["signatures"].items():
        inputs = [f"`{t['name']}` {t['dtype']} {t['shape']}" for t in signature["inputs"]]
        outputs = [f"`{output}`" for output in signature["outputs"]]
        lines += [
            "",
            f"## {name}",
            "",
            f"{signature['does'][0].upper()}{signature['does'][1:]}.",
            "",
            f"- in: {_listed(inputs)}",
            f"- out: {_listed(outputs)}",
        ]
    return "\n".join(lines)


def _listed(items: list[str]) -> str:
    most = 14
    if len(items) > most:
        return f"{', '.join(items[:most])}, ... {len(items)} tensors in all"
    return ", ".join(items) or "nothing"
