"""docs/signatures.md, "The two files": what NAME.json says is what NAME.tflite has."""

import ast
import contextlib
import hashlib
import io
import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "signatures.md"


def rows_of(heading: str) -> set[str]:
    """The names in the first column of the table below a heading of the page."""
    text = PAGE.read_text(encoding="utf-8")
    section = text.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}


def test_the_digest_of_the_json(each):
    text = each.path.with_suffix(".json").read_bytes().replace(b"\r\n", b"\n")
    digest = re.match(rb'\{\n "format": 2,\n "digest": "([0-9a-f]{64})",\n', text)[1]
    assert hashlib.sha256(text.replace(digest, b"0" * 64, 1)).hexdigest() == digest.decode()
    assert each.description["digest"] == digest.decode()


def test_the_digest_of_the_tflite(each):
    content = each.path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == each.description["tflite_sha256"]
    assert len(content) == each.description["bytes"]


def test_every_field_is_on_the_page(each):
    fields = rows_of("### NAME.json")
    assert set(each.description) <= fields
    features = each.description["model"]["features"]
    model = rows_of("### The model's configuration")
    assert {f"sizes.{name}" for name in each.sizes} <= model
    assert {"features.window_samples", "features.hop_samples"} <= model and features.get("kind", "log_mel") in (
        "log_mel",
        "stem",
    )


def test_the_page_has_no_field_that_is_not_read(each):
    from tflite_asr.runtime.description import _SCHEMA

    known = {name.rstrip("?") for name in _SCHEMA} | {"format", "digest"}
    assert rows_of("### NAME.json") == known


def test_inputs_and_outputs_are_those_of_the_file(each):
    signatures = each.description["signatures"]
    assert set(each.interpreter.get_signature_list()) == set(signatures)
    for name, signature in signatures.items():
        runner = each.interpreter.get_signature_runner(name)
        found = {
            key: {"name": key, "shape": tensor["shape"].tolist(), "dtype": tensor["dtype"].__name__}
            for key, tensor in runner.get_input_details().items()
        }
        assert found == {row["name"]: row for row in signature["inputs"]}, name
        assert all(row["shape"] for row in signature["inputs"]), f"{name}: an input without dimensions"
        assert sorted(runner.get_output_details()) == signature["outputs"], name


def test_every_signature_is_on_the_page(each):
    named = {re.sub(r"<[ke]>", "0", name) for name in rows_of("## The signatures")}
    for name in each.description["signatures"]:
        longest = re.sub(r"_\d+f$", "", name)  # of a signature for shorter utterances
        assert re.sub(r"\d+", "0", longest) in named, name


def test_signatures_for_shorter_utterances(each):
    lengths, signatures = each.sizes.get("lengths", []), each.description["signatures"]
    assert {int(name.rsplit("_", 1)[1][:-1]) for name in signatures if re.search(r"_\d+f$", name)} == set(lengths)
    for length in lengths:
        inputs = {row["name"]: row["shape"] for row in signatures[f"loss_{length}f"]["inputs"]}
        assert inputs["frames"][1] == length
        assert {name for name in each.description["shorter_plans"] if name.endswith(f"_{length}f")}


def test_the_step_plans_update_each_trainable_group_once(each):
    trainable = {row["group"] for row in each.description["parameters"] if row["trainable"]}
    for name, plan in {**each.description["plans"], **each.description.get("shorter_plans", {})}.items():
        updated = [group for call in plan for group in call["updates"]]
        assert len(set(updated)) == len(updated)
        if name.startswith("cached"):  # the top part alone, from stored outputs of the calls below
            assert updated and set(updated) <= trainable
            assert all(not call["updates"] for call in plan[:-1])
            taken = {source.rpartition(".")[0] for source in plan[-1]["takes"].values()}
            assert taken and taken <= {call["signature"] for call in plan[:-1]}
        else:
            assert set(updated) == trainable


def test_the_state_is_the_trainable_weights_their_slots_and_the_step(each):
    slots = {"sgd": [], "momentum": ["velocity"], "adam": ["first_moment", "second_moment"]}
    expected = {"step": ([1], "int32")}
    for row in each.description["parameters"]:
        if row["trainable"]:
            for slot in ("", *(f"_{slot}" for slot in slots[each.description["optimizer"]])):
                expected[row["tensor"] + slot] = (row["shape"], row["dtype"])
    assert {row["tensor"]: (row["shape"], row["dtype"]) for row in each.description["state"]} == expected
    found = {name: (list(value.shape), value.dtype.name) for name, value in each.weights().items()}
    assert found == expected


def test_frozen_groups_have_no_trainable_parameter(each):
    assert each.description["parameters"][0]["name"].replace("/", "_") == each.description["parameters"][0]["tensor"]
    sizes = {group["name"]: 0 for group in each.description["groups"]}
    for row in each.description["parameters"]:
        size = 1
        for length in row["shape"]:
            size *= length
        if row["group"] in sizes:
            sizes[row["group"]] += size
    assert sizes == {group["name"]: group["parameters"] for group in each.description["groups"]}
    assert all(group["bytes"] == 4 * group["parameters"] for group in each.description["groups"])


def test_the_oldest_runtime_is_that_of_the_page(each):
    named = re.search(r"operator versions: (.*?)\.\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    oldest = {name: part.split()[0] for part in named.split(", ") for name in re.findall(r"`(\w+)`", part)}
    assert oldest[each.description["name"]] == each.description["min_runtime"]


def test_a_checkpoint_written_by_the_host_is_read_by_the_package(commands, tmp_path):
    from safetensors.numpy import save_file

    from tflite_asr import Recognizer

    commands.run("train", **commands.batch(rows=2), **commands.rates())
    weights = commands.weights()
    metadata = {"format": "1", "artifact_sha256": commands.description["tflite_sha256"], "step": "1"}
    digest = hashlib.sha256("".join(f"{value}\n" for value in metadata.values()).encode())
    for name in sorted(weights):
        shape = ",".join(map(str, weights[name].shape))
        digest.update(f"{name}\n{weights[name].dtype.name}\n{shape}\n".encode() + weights[name].tobytes())
    save_file(weights, tmp_path / "c.safetensors", metadata | {"digest": digest.hexdigest()})
    recognizer = Recognizer.load("commands")
    assert recognizer.restore(tmp_path / "c.safetensors") == 1
    for name, value in recognizer.state().items():
        np.testing.assert_array_equal(value, weights[name])


def test_the_host_imports_nothing_of_the_package():
    tree = ast.parse(Path(__file__).with_name("contract_host.py").read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert modules == {"json", "numpy", "pathlib", "ai_edge_litert.interpreter"}


def test_the_generated_reference_is_up_to_date():
    from tflite_asr.cli.main import main

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        main(["inspect", "commands", "--markdown"])
    assert output.getvalue() == PAGE.with_name("signatures.commands.md").read_text(encoding="utf-8")


def test_the_runtimes_that_were_tested_are_named_alike():
    from tflite_asr.cli.inspect import TESTED_FROM

    assert f"tflite-runtime {TESTED_FROM}" in PAGE.read_text(encoding="utf-8")
