"""The split step of a model of which some groups are constants: the whole step's update, and no call in vain."""

import numpy as np
import pytest

from signatures.chain import group_costs, trace_chain
from signatures.optimizers import OPTIMIZERS, State
from signatures.parts import make_parts
from signatures.split import SplitStep
from signatures.training import train_signature
from tflite_asr.benchmark.equality import noise_step
from tflite_asr.benchmark.traced import TracedSignatures
from tflite_asr.config import preset
from tflite_asr.runtime.plan import Call, run_step


@pytest.mark.slow
@pytest.mark.parametrize(
    "live, cut, calls",
    [
        ({"encoder_1"}, {"parts": 3, "keep": "stash"}, ["forward_0", "forward_1", "head", "backward_1"]),
        ({"encoder_1", "joint"}, {"sizes": (2, 1), "keep": "recompute"}, ["forward_0", "head", "backward_0"]),
        ({"encoder_1"}, {"sizes": (2, 1), "keep": "stash"}, ["forward_0", "head", "backward_0"]),
        ({"prediction"}, {"parts": 2, "keep": "stash"}, ["forward_0", "head"]),
    ],
)
def test_a_gradient_goes_down_to_the_lowest_group_that_trains(live, cut, calls, new_tiny_model):
    model = new_tiny_model()
    weights = {name: weight for name, weight in model.named_weights().items() if name.split("/")[0] in live}
    shipped = {name: weight.numpy() for name, weight in weights.items()}
    state = State(weights, OPTIMIZERS["sgd"])
    specs = trace_chain(model)
    step = SplitStep(model, state, make_parts(group_costs(model, specs), **cut), specs)
    plan = [Call(call["signature"], call["takes"], tuple(call["updates"])) for call in step.plan()]
    assert [call.signature for call in plan] == calls
    assert sorted(group for call in plan for group in call.updates) == sorted(live)
    traced = TracedSignatures([train_signature(model, state), *step.signatures()])
    inputs = noise_step(preset("tiny"), 5, seed=3, learning_rate=1e-2)
    results, learned = [], []
    for step_calls in ([Call("train", {}, tuple(live))], plan):
        for path, value in shipped.items():
            weights[path].assign(value)
        results.append(run_step(traced, step_calls, inputs))
        learned.append({path: weight.numpy() for path, weight in weights.items()})
    assert not results[0].skipped and not results[1].skipped
    assert results[1].loss == pytest.approx(results[0].loss, rel=1e-5)
    assert results[1].gradient_norm == pytest.approx(results[0].gradient_norm, rel=1e-4)
    for path in weights:
        moved = np.abs(learned[0][path] - shipped[path]).max()
        assert moved > 0, path
        np.testing.assert_allclose(learned[1][path], learned[0][path], rtol=1e-5, atol=1e-4 * moved, err_msg=path)
