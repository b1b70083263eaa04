import dataclasses
import json
import shutil

import numpy as np
import pytest

from signatures.chain import group_costs, trace_chain
from signatures.optimizers import OPTIMIZERS, State
from signatures.parts import make_parts
from signatures.split import SplitStep
from signatures.training import train_signature
from signatures.weights import weights_signatures
from tflite_asr.benchmark.equality import difference, equality, noise_step
from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.runtime.description import with_digest
from tflite_asr.runtime.interpreter import SignatureModel
from tflite_asr.runtime.plan import Call, run_step

STEPS = 10
WHOLE = (Call("train", {}, ()),)


def export_cuts(model, optimizer, cuts, path):
    """A file with `train` and the split step cut in several ways; the calls of each cut."""
    from tflite_asr.export import convert

    state = State(model.named_weights(), OPTIMIZERS[optimizer])
    specs = trace_chain(model)
    signatures = {s.name: s for s in (train_signature(model, state), *weights_signatures(model, state))}
    plans = {}
    for parts, keep in cuts:
        step = SplitStep(model, state, make_parts(group_costs(model, specs), parts=parts, keep=keep), specs)
        prefix = f"{keep}{parts}_"
        signatures |= {prefix + s.name: s for s in step.signatures()}
        plans[parts, keep] = tuple(
            Call(prefix + c["signature"], {k: prefix + v for k, v in c["takes"].items()}, tuple(c["updates"]))
            for c in step.plan()
        )
    path.write_bytes(convert({name: s.concrete() for name, s in signatures.items()}, state))
    return plans


def step_inputs(seed, clip_norm=0.0):
    """A full batch of noise of uneven lengths, and the rates of a step, of tiny."""
    return noise_step(preset("tiny"), 5, seed, 1e-2) | {"clip_norm": np.float32(clip_norm)}


def assert_same_training(path, plans, config, groups, learning_rate=1e-2):
    batches = [noise_step(config, groups, 50 + step, learning_rate) for step in range(STEPS)]

    def train(calls):
        model = SignatureModel(path)
        results = [run_step(model, calls, batch) for batch in batches]
        return results, model.run("get_weights")

    whole, expected = train(WHOLE)
    assert difference(SignatureModel(path).run("get_weights"), expected) > 1e-3
    for cut, calls in plans.items():
        results, state = train(calls)
        for one, other in zip(results, whole):
            # the same sums in graphs that were optimised apart
            np.testing.assert_allclose(one.loss, other.loss, rtol=1e-5, err_msg=str(cut))
            np.testing.assert_allclose(one.gradient_norm, other.gradient_norm, rtol=1e-4, err_msg=str(cut))
        assert state["step"] == STEPS
        assert difference(state, expected) <= 1e-5, cut


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ten_split_steps_of_tiny_are_ten_whole_ones(optimizer, new_tiny_model, tmp_path):
    # how a step is cut and how it is applied do not depend on each other: every cut with one optimizer, one with the
    # others
    cuts = {(1, "auto"): 1, (2, "recompute"): 3, (3, "stash"): 5}
    if optimizer != "adam":
        cuts = {(3, "stash"): 5}
    plans = export_cuts(new_tiny_model(), optimizer, list(cuts), tmp_path / "cuts.tflite")
    assert [len(calls) for calls in plans.values()] == list(cuts.values())
    assert_same_training(tmp_path / "cuts.tflite", plans, preset("tiny"), groups=5)


@pytest.mark.slow
def test_ten_split_steps_of_a_conformer_are_ten_whole_ones(tmp_path):
    import tf_keras as keras

    from tflite_asr.models.ctc import CTC

    keras.utils.set_random_seed(0)
    config = preset("tiny_conformer")
    config = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, layers=2))  # quicker to convert
    plans = export_cuts(CTC(config), "adam", [(2, "stash"), (2, "recompute")], tmp_path / "cuts.tflite")
    assert_same_training(tmp_path / "cuts.tflite", plans, config, groups=3, learning_rate=1e-3)


@pytest.mark.slow
def test_the_command_compares_weights(tiny_tflite, tmp_path, capsys):
    """What it says of a file in two parts, and that it tells a step that trains otherwise."""
    path = shutil.copy(tiny_tflite, tmp_path / "two.tflite")
    shutil.copy(tiny_tflite.with_suffix(".json"), tmp_path / "two.json")
    assert main(["benchmark", "equality", str(path), "--steps", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["parts"], result["calls"], result["steps"]) == (2, 3, 2)
    assert result["weight_difference"] <= 1e-5 < 1e-4 < result["weight_change"]
    description = json.loads((tmp_path / "two.json").read_text())
    description["plans"]["split"].pop()  # the lowest part is not trained
    del description["digest"]
    (tmp_path / "two.json").write_text(with_digest(description))
    assert equality(path, steps=2, learning_rate=1e-3)["weight_difference"] > 1e-4


@pytest.fixture(scope="module")
def cut(new_tiny_model, tmp_path_factory):
    """A file of tiny in three parts with SGD, and the plan's calls."""
    path = tmp_path_factory.mktemp("cut") / "cut.tflite"
    plans = export_cuts(new_tiny_model(), "sgd", [(3, "stash")], path)
    return path, plans[3, "stash"]


def state_bytes(model):
    return {name: value.tobytes() for name, value in model.run("get_weights").items()}


def test_a_loss_that_is_not_finite_touches_nothing(cut):
    path, calls = cut
    model = SignatureModel(path)
    before = state_bytes(model)
    for spoiled in ({"learning_rate": np.float32(np.nan)}, {"pull": np.float32(np.inf)}, {}):
        inputs = step_inputs(1) | spoiled
        if not spoiled:
            inputs["frames"][0, 5, 3] = np.nan
        assert run_step(model, calls, inputs).skipped
        assert state_bytes(model) == before
    assert not run_step(model, calls, step_inputs(1)).skipped
    assert model.run("get_weights")["step"] == 1


class Spoiled(SignatureModel):
    """Hands down a gradient with a NaN in it."""

    def run(self, name, inputs=None):
        result = super().run(name, inputs)
        if name.endswith("head"):
            result["gradient"] = result["gradient"].copy()
            result["gradient"][0, 0, 0] = np.nan
        return result


def test_a_gradient_that_is_not_finite_leaves_its_group_alone(cut):
    path, calls = cut
    model = Spoiled(path)
    before = model.run("get_weights")
    result = run_step(model, calls, step_inputs(2))
    assert result.skipped and np.isfinite(result.loss)
    for name, value in model.run("get_weights").items():
        same = np.array_equal(value, before[name])
        assert same == name.startswith(("encoder_0", "encoder_1")), name


def test_two_passes_clip_as_the_whole_step_does(cut):
    path, calls = cut
    states = []
    for run, options in ((WHOLE, {}), (calls, {"two_passes": True}), (calls, {})):
        model = SignatureModel(path)
        for step in range(3):
            result = run_step(model, run, step_inputs(step, clip_norm=5.0), **options)
            assert result.gradient_norm > 20  # it was clipped
        states.append(model.run("get_weights"))
    whole, two_passes, own_norms = states
    assert whole["step"] == two_passes["step"] == 3
    for name in whole:
        # three steps of 1e-2 of gradients that differ in their last digits
        np.testing.assert_allclose(two_passes[name], whole[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert np.abs(own_norms["joint_bias"] - whole["joint_bias"]).max() > 1e-3  # and clipping by group is another thing


def test_every_signature_runs_on_a_fresh_interpreter_in_any_order(tiny_tflite, recognizer):
    signatures = recognizer.artifact.signatures
    names = list(signatures)
    for seed in range(3):
        model = SignatureModel(tiny_tflite)
        for index in np.random.default_rng(seed).permutation(len(names)):
            inputs = {t["name"]: np.ones(t["shape"], t["dtype"]) for t in signatures[names[index]]["inputs"]}
            outputs = model.run(names[index], inputs)
            assert sorted(outputs) == signatures[names[index]]["outputs"]


def test_another_shape_is_refused(cut):
    path, calls = cut
    inputs = step_inputs(1)
    inputs["frames"] = inputs["frames"][:, :60]
    with pytest.raises(
        InputError, match=r"forward_0, input frames: expected float32 \[2, 120, 40\], got float32 \[2, 60, 40\]"
    ):
        run_step(SignatureModel(path), calls, inputs)


def test_the_update_of_a_groups_largest_weight_keeps_what_its_backward_pass_read(tmp_path, new_tiny_model, monkeypatch):
    from ai_edge_litert import schema_py_generated as schema

    # each weight in an arena of its own, as in a large model
    monkeypatch.setattr("signatures.update.LARGE_ELEMENTS", 1)
    path = tmp_path / "tiny.tflite"
    tiny = new_tiny_model()
    export_cuts(tiny, "sgd", [(1, "auto")], path)
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    ops = [{model.operatorCodes[op.opcodeIndex].builtinCode for op in graph.operators} for graph in model.subgraphs]
    operator = schema.BuiltinOperator
    updates = [graph for graph in ops if {operator.ASSIGN_VARIABLE, operator.SUB} <= graph and operator.IF not in graph]
    assert len(updates) == 2 * len(tiny.named_weights())  # `train` and the split step
    without_read = [graph for graph in updates if operator.READ_VARIABLE not in graph]
    assert len(without_read) == len(tiny.all_groups)
