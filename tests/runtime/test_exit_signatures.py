"""docs/signatures.md on early exits, through the bare interpreter."""

import json

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter


@pytest.fixture
def host(exits_tflite):
    """A call by signature and inputs, the sizes and the exits of the file."""
    interpreter = Interpreter(str(exits_tflite))
    description = json.loads(exits_tflite.with_suffix(".json").read_text(encoding="utf-8"))
    return (
        lambda name, **inputs: interpreter.get_signature_runner(name)(**inputs),
        description["model"]["sizes"],
        [exit["name"] for exit in description["exits"]],
    )


def utterance(sizes, frames=90):
    values = np.random.default_rng(0).standard_normal([1, sizes["max_frames"], 40]).astype(np.float32)
    return {"frames": values, "frame_lengths": np.int32([frames])}


def best_path(log_probabilities):
    path = np.argmax(log_probabilities, axis=1).tolist()
    return [label for label, before in zip(path, [0, *path]) if label not in (before, 0)]


def test_stages_from_exit_to_exit_say_what_infer_does(host):
    run, sizes, exits = host
    inputs = utterance(sizes)
    assert len(exits) > 1
    for exit in range(len(exits)):
        stage = run(f"stage_{exit}", **inputs)
        expected = run("infer", **utterance(sizes), exit=np.int32([exit]))
        labels = expected["tokens"][0, : expected["token_lengths"][0]].tolist()
        if "log_probabilities" in stage:
            found = best_path(stage["log_probabilities"][0, : stage["encoded_lengths"][0]])
        else:
            found = stage["tokens"][0, : stage["token_lengths"][0]].tolist()
        assert found[: sizes["max_tokens"]] == labels
        inputs = {name: np.array(stage[name]) for name in ("encoded", "encoded_lengths")}


def test_exits_that_are_not_there(host):
    run, sizes, exits = host
    for exit in (-1, len(exits)):
        assert run("infer", **utterance(sizes), exit=np.int32([exit]))["token_lengths"] == -1


def test_losses_of_exits(host):
    run, sizes, exits = host
    batch, frames = sizes["batch"], utterance(sizes)["frames"]
    message = run(
        "loss",
        frames=np.repeat(frames, batch, axis=0),
        frame_lengths=np.full([batch], 90, np.int32),
        tokens=np.full([batch, sizes["max_tokens"]], 5, np.int32),
        token_lengths=np.full([batch], 3, np.int32),
    )
    assert message["exit_losses"].shape == (len(exits), batch)
    first, between, last = message["exit_losses"]
    np.testing.assert_allclose(message["losses"], last + 0.3 * first + 0.3 * between, rtol=1e-5)  # sandwich
