"""NAME.json proves itself whole: no mutation of it is accepted, and what is accepted by hand gets a new digest."""

import dataclasses
import json
import random
import shutil

import pytest

from tflite_asr.cli.main import main
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import read_artifact, write_description
from tflite_asr.runtime.description import check_description, digest_matches, with_digest


@pytest.fixture
def model(tiny_tflite, tmp_path):
    for suffix in (".tflite", ".json"):
        shutil.copy(tiny_tflite.with_suffix(suffix), tmp_path / f"m{suffix}")
    path = tmp_path / "m.tflite"
    write_description(dataclasses.replace(read_artifact(path), format=2))
    return path


def mutated_bytes(content, source):
    at, how = source.randrange(len(content)), source.randrange(4)
    if how == 0:
        return content[:at] + bytes([content[at] ^ 1 << source.randrange(8)]) + content[at + 1 :]
    if how == 1:
        return content[:at] + content[at + 1 :]
    if how == 2:
        return content[:at] + bytes([source.randrange(32, 127)]) + content[at:]
    return content[:at]


def places(value):
    """Every container of a JSON value with a key or index of it."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def mutated_json(text, source):
    values = json.loads(text)
    holder, key = source.choice(list(places(values)))
    how = source.randrange(3)
    if how == 0:
        del holder[key]
    elif how == 1:
        holder[key] = source.choice([None, -1, 1.5, "x", [], {}, True, 10**12])
    elif isinstance(holder, dict):
        holder[f"{key}_"] = holder.pop(key)
    else:
        holder.append(holder[key])
    return (json.dumps(values, indent=1) + "\n").encode()


@pytest.mark.parametrize("level", ["bytes", "json"])
def test_no_mutation_is_accepted(model, level):
    path, source = model.with_suffix(".json"), random.Random(7)
    whole = path.read_bytes()
    for number in range(400):
        content = mutated_bytes(whole, source) if level == "bytes" else mutated_json(whole.decode(), source)
        if content == whole:
            continue
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_artifact(model)
        assert "\n" not in str(caught.value), number
    path.write_bytes(whole)
    read_artifact(model)


def test_what_editors_and_git_add_does_not_matter(model):
    path = model.with_suffix(".json")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_artifact(model).format == 2


def test_every_digit_of_the_digest_counts():
    text = with_digest({"format": 2, "name": "m"})
    assert digest_matches(text)
    for index in range(len(text)):
        assert not digest_matches(text[:index] + ("1" if text[index] != "1" else "2") + text[index + 1 :])


def test_a_change_by_hand_is_refused_until_it_is_accepted(model, capsys):
    path = model.with_suffix(".json")
    path.write_text(path.read_text().replace('"name": "', '"name": "my ', 1))
    assert main(["inspect", str(model)]) == 2
    assert f"`tflite-asr inspect {model} --accept`" in capsys.readouterr().err
    assert main(["inspect", str(model), "--accept"]) == 0
    assert read_artifact(model).name.startswith("my ")
    path.write_text(path.read_text().replace('"bytes": ', '"bytes": "x", "b": ', 1))
    assert main(["inspect", str(model), "--accept"]) == 2, "a description that is wrong is not accepted"


def test_format_1_has_no_digest_and_keeps_its_number(model):
    write_description(dataclasses.replace(read_artifact(model), format=1))
    assert "digest" not in json.loads(model.with_suffix(".json").read_text())
    write_description(dataclasses.replace(read_artifact(model), name="other"))
    assert read_artifact(model).format == 1
    text = model.with_suffix(".json").read_text()
    model.with_suffix(".json").write_text(text.replace('"format": 1,', '"format": 1,\n "digest": "00",'))
    with pytest.raises(InputError, match="unexpected field digest"):
        read_artifact(model)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("groups", 0, "parameters"), "7", r"groups\[0\].parameters: expected a whole number of 0 or more, got '7'"),
        (("groups", 0, "bytes"), True, r"groups\[0\].bytes"),
        (("state", 0, "shape"), [3, -1], r"state\[0\].shape\[1\]"),
        (("signatures", "loss", "outputs"), None, "signatures.loss.outputs: expected a list, got None"),
        (("plans", "train", 0, "updates"), "all", r"plans.train\[0\].updates"),
        (("allow_flex",), 0, "allow_flex: expected true or false"),
        (("exits", 0), ["final"], r"exits\[0\]: expected an object"),
        (("plan_exits",), {"train": 0.5}, "plan_exits.train"),
    ],
)
def test_fields_have_their_types(model, place, value, message):
    values = json.loads(model.with_suffix(".json").read_text())
    values.pop("digest")
    holder = values
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    with pytest.raises(ValueError, match=message):
        check_description(values)
    values["format"] = 1
    model.with_suffix(".json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="not the description of an exported model"):
        read_artifact(model)
