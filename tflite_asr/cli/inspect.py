"""Show the content of an artifact: signatures, layer groups, operators, and the oldest runtime that supports it.

    tflite-asr inspect commands
    tflite-asr inspect commands --markdown > docs/signatures.commands.md

NAME.json holds a digest of itself. After editing it, `inspect NAME.tflite --accept` checks its fields and updates the
digest.
"""

import argparse
import math
from collections import Counter
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_model

if TYPE_CHECKING:
    from tflite_asr.runtime.artifact import Artifact
    from tflite_asr.runtime.flatbuffer import FileContents

TESTED_FROM = "2.14.0"  # the oldest TFLite release on which exported files were trained, see docs/signatures.md
SUMMARY = "say what a .tflite holds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    parser.add_argument("--markdown", action="store_true", help="print the signature reference as Markdown")
    parser.add_argument(
        "--accept", action="store_true", help="accept a NAME.json that was edited, and update its digest"
    )


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
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
        "output_tensors": _output_tensors(artifact) if args.markdown else {},
        "flex_ops": contents.flex_ops,
        "custom_ops": contents.custom_ops,
        "op_versions": contents.op_versions,
        "min_runtime": contents.min_runtime,
        "constant_bytes": contents.constant_bytes,
        "parameter_bytes_by_dtype": _parameter_bytes(artifact, contents),
        "markdown": args.markdown,
    }


def _parameter_bytes(artifact: "Artifact", contents: "FileContents") -> dict[str, int]:
    """Bytes of the model's weights by dtype. A frozen weight is int8 if the file has an int8 constant of its size."""
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
    """The result as text for people."""
    if result["markdown"]:
        return _markdown(result)
    lines = [
        f"{result['path']}: {result['bytes'] / 1e6:.1f} MB, {result['parameters']:,} parameters, {result['optimizer']}",
        f"operator versions of TFLite {result['min_runtime']}, training tested from {TESTED_FROM} on; "
        f"needs Flex: {', '.join(result['flex_ops']) or 'no'}; "
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


def _output_tensors(artifact: "Artifact") -> dict[str, list[dict]]:
    """Name, shape and dtype of each output, by signature; NAME.json has the names alone."""
    from ai_edge_litert.interpreter import Interpreter

    from tflite_asr.names import for_library

    interpreter = Interpreter(for_library(artifact.path))
    details = {name: interpreter.get_signature_runner(name).get_output_details() for name in artifact.signatures}
    return {
        name: [
            {"name": output, "shape": tensor["shape"].tolist(), "dtype": tensor["dtype"].__name__}
            for output, tensor in sorted(outputs.items())
        ]
        for name, outputs in details.items()
    }


def _markdown(result: dict) -> str:
    """docs/signatures.NAME.md: every tensor of every signature."""
    lines = [
        f"# Signatures of `{result['name']}`",
        "",
        f"Written by `tflite-asr inspect {result['name']} --markdown`; do not edit.",
        "[signatures.md](signatures.md) explains how to call them. Other models have the same signatures with other "
        "sizes.",
    ]
    for name, signature in result["signatures"].items():
        lines += ["", f"## {name}", "", f"{signature['does'][0].upper()}{signature['does'][1:]}."]
        for title, tensors in (("Inputs", signature["inputs"]), ("Outputs", result["output_tensors"][name])):
            lines += ["", f"{title}: {'' if tensors else 'none'}".rstrip()]
            lines += ["", *(f"- `{t['name']}` {t['dtype']} {t['shape']}" for t in tensors)] if tensors else []
    return "\n".join(lines)
