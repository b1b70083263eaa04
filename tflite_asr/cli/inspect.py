"""Say what an artifact holds: signatures, layer groups, ops, and the oldest runtime that has them.

    tflite-asr inspect commands
"""

import argparse

from tflite_asr.cli.arguments import add_model

SUMMARY = "say what a .tflite holds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)


def run(args: argparse.Namespace) -> dict:
    from tflite_asr.runtime.artifact import read_artifact
    from tflite_asr.runtime.flatbuffer import read_contents

    artifact = read_artifact(args.model)
    contents = read_contents(artifact.path)
    return {
        "name": artifact.name,
        "path": str(artifact.path),
        "bytes": artifact.bytes,
        "parameters": sum(group["parameters"] for group in artifact.groups),
        "groups": artifact.groups,
        "optimizer": artifact.optimizer,
        "signatures": {
            name: {"inputs": signature["inputs"], "outputs": signature["outputs"]}
            for name, signature in artifact.signatures.items()
        },
        "flex_ops": contents.flex_ops,
        "custom_ops": contents.custom_ops,
        "op_versions": contents.op_versions,
        "min_runtime": contents.min_runtime,
        "constant_bytes": contents.constant_bytes,
    }


def describe(result: dict) -> str:
    def tensors(values: list[dict]) -> str:
        names = [f"{value['name']}{value['shape']}" for value in values]
        return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:3])}, ... {len(names)} tensors"

    def outputs(names: list[str]) -> str:
        return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:3])}, ... {len(names)} tensors"

    lines = [
        f"{result['path']}: {result['bytes'] / 1e6:.1f} MB, {result['parameters']:,} parameters, {result['optimizer']}",
        f"runs on TFLite {result['min_runtime']} and later; needs Flex: {', '.join(result['flex_ops']) or 'no'}; "
        f"custom ops: {', '.join(result['custom_ops']) or 'none'}",
        "",
        "layer group        parameters    weights MB  activations MB",
    ]
    lines += [
        f"{g['name']:<16} {g['parameters']:>12,} {g['bytes'] / 1e6:>13.2f} {g['activation_bytes'] / 1e6:>15.2f}"
        for g in result["groups"]
    ]
    lines += ["", "signatures"]
    lines += [
        f"  {name}({tensors(signature['inputs'])}) -> {outputs(signature['outputs'])}"
        for name, signature in result["signatures"].items()
    ]
    return "\n".join(lines)
