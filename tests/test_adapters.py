"""Residual adapters: an exported model gets them, says what it said, and learns nothing but them."""

import dataclasses
import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tflite_asr.benchmark.equality import equality
from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.export.graphs import code_of
from tflite_asr.personalization.replay import read_replay, write_replay
from tflite_asr.runtime.artifact import read_artifact, write_description
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.study.plan import Mobile, Speech, Study
from tflite_asr.study.run import run_study

PARTS = ("gain", "shift", "down_kernel", "down_bias", "up_kernel", "up_bias")
ADAPTERS = ["adapter_0", "adapter_1", "adapter_2"]


@pytest.fixture(scope="module")
def adapted(tiny_tflite, utterances, tmp_path_factory):
    """Of the tiny file, which has utterances to rehearse."""
    folder = tmp_path_factory.mktemp("adapted")
    for suffix in (".tflite", ".json"):
        (folder / f"tiny{suffix}").write_bytes(tiny_tflite.with_suffix(suffix).read_bytes())
    source = read_artifact(folder / "tiny.tflite")
    write_replay(source, utterances(2, 9))
    write_description(dataclasses.replace(source, owner_views=True))
    out = folder / "adapted.tflite"
    options = ["--adapters", "3", "--parts", "2", "--optimizer", "sgd", "--out", str(out)]
    assert main(["export", str(folder / "tiny.tflite"), *options]) == 0
    return out


@pytest.mark.slow
def test_only_adapters_learn_and_at_first_they_change_nothing(adapted, recognizer, utterances):
    own = Recognizer.load(adapted)
    assert own.artifact.owner_views and not recognizer.artifact.owner_views
    assert list(dict.fromkeys(row["group"] for row in own.artifact.trainable)) == ADAPTERS
    assert set(own.state()) == {f"{name}_{part}" for name in ADAPTERS for part in PARTS} | {"step"}
    examples = utterances(2, 1)
    losses = recognizer.loss(examples)
    np.testing.assert_allclose(own.loss(examples), losses, rtol=1e-5)
    before = own.state()
    for _ in range(20):
        own.train_step(examples, learning_rate=0.1, plan="split")
    assert own.loss(examples).sum() < losses.sum()
    assert all(np.any(value != before[name]) for name, value in own.state().items())
    assert equality(adapted, steps=3, learning_rate=1e-2)["weight_difference"] <= 1e-5
    for rehearsed, shipped in zip(read_replay(own.artifact), utterances(2, 9), strict=True):
        np.testing.assert_array_equal(rehearsed.tokens, shipped.tokens)


@pytest.mark.slow
def test_no_branch_returns_a_tensor_twice(adapted):
    """TFLite loses one of them: with the head frozen, whether a step goes on was what happened to stand in memory."""
    model = schema.ModelT.InitFromPackedBuf(adapted.read_bytes(), 0)
    branches = [
        model.subgraphs[operator.builtinOptions.thenSubgraphIndex]
        for graph in model.subgraphs
        for operator in graph.operators
        if code_of(model, operator) == schema.BuiltinOperator.IF
    ]
    assert branches
    for branch in branches:
        assert len(set(branch.outputs)) == len(branch.outputs)


@pytest.mark.slow
def test_a_stream_through_adapters_says_what_the_whole_says(adapted, utterances):
    recognizer = Recognizer.load(adapted)
    random = np.random.default_rng(2)
    recognizer.set_state(
        {
            name: v if name == "step" else v + 0.3 * random.standard_normal(v.shape).astype(v.dtype)
            for name, v in recognizer.state().items()
        }
    )
    frames, size = utterances(1, 4)[0].frames, recognizer.config.sizes.stream_frames
    *_, text = recognizer.stream([frames[first : first + size] for first in range(0, len(frames), size)])
    whole = recognizer.transcribe_frames(frames)  # which ends at the most labels
    assert text.startswith(whole) and len(whole) > 5


@pytest.mark.slow
def test_a_study_trains_adapters_as_well(adapted, tiny_tflite, speakers, tmp_path):
    study = Study(
        (Speech(str(speakers(1)), ""),), str(tiny_tflite), "mobile", adapters=str(adapted),
        mobile=Mobile(window=6, window_bytes=14_000, stride=4, steps=5, learning_rate=0.01),
    )  # fmt: skip
    summary = run_study(study, tmp_path / "out")
    whole, own = (
        json.loads(next((tmp_path / "out").glob(f"speakers/*/{run}.json")).read_text())
        for run in ("mobile", "mobile_adapters")
    )
    assert own["wer_before"] == whole["wer_before"] and own["steps"] == whole["steps"]
    assert 0 < own["checkpoint_bytes"] < whole["checkpoint_bytes"] / 5 and "mobile_adapters" in summary
    with pytest.raises(InputError, match="tiny.tflite: expected a model whose adapters or low-rank updates"):
        run_study(dataclasses.replace(study, adapters=str(tiny_tflite)), tmp_path / "other")


def test_adapters_that_cannot_be():
    with pytest.raises(InputError, match="adapters: expected 0 or more units, got -1"):
        dataclasses.replace(preset("tiny"), adapters=-1)
    with pytest.raises(InputError, match="adapters need a model without early exits"):
        dataclasses.replace(preset("tiny_exits"), adapters=2)
