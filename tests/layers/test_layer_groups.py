"""The contract of a layer group, for every kind there is."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from reference_groups import adapter_group, conformer_group, lstm_group, transformer_group

from tflite_asr.layers.adapter import AdapterGroup
from tflite_asr.layers.conformer import ConformerGroup
from tflite_asr.layers.encoder import LSTMGroup
from tflite_asr.layers.transformer import TransformerGroup

WIDTH, TIME, LENGTHS = 8, 14, np.array([14, 9, 0], np.int32)
CONFORMER = {"units": 8, "feed_forward": 12, "heads": 2, "kernel": 3}
KINDS = {
    "lstm": lambda: LSTMGroup(6, name="group"),
    "lstm, half the steps": lambda: LSTMGroup(6, reduction=2, name="group"),
    "lstm, residual": lambda: LSTMGroup(8, residual=True, name="group"),
    "conformer": lambda: ConformerGroup(**CONFORMER, name="group"),
    "conformer, projected": lambda: ConformerGroup(**CONFORMER | {"units": 12, "heads": 3}, name="group"),
    "conformer, half the steps": lambda: ConformerGroup(**CONFORMER, reduction=2, name="group"),
    "adapter": lambda: AdapterGroup(3, name="group"),
    "transformer": lambda: TransformerGroup(8, 12, heads=2, rotary=2, name="group"),
    "transformer, last": lambda: TransformerGroup(8, 12, heads=1, rotary=6, last=True, name="group"),
    "conformer, left context": lambda: ConformerGroup(**CONFORMER, left_context=4, name="group"),
}
REFERENCES = {
    "lstm": lstm_group,
    "adapter": adapter_group,
    "conformer": conformer_group,
    "transformer": transformer_group,
}
# float32 sums of some tens of terms of the order of 1, through a handful of normalisations
ROUNDING = {"rtol": 1e-4, "atol": 2e-5}


class Case:
    """A group with random weights, an input, and the weights of its outputs in the loss sum(outputs * w)."""

    def __init__(self, kind):
        keras.utils.set_random_seed(3)
        random = np.random.default_rng(3)
        self.group = KINDS[kind]()
        self.x = random.standard_normal([len(LENGTHS), TIME, WIDTH]).astype(np.float32)
        outputs, self.lengths, _ = self.group(tf.constant(self.x), tf.constant(LENGTHS))
        self.valid = np.arange(outputs.shape[1])[None, :, None] < self.lengths.numpy()[:, None, None]
        for weight in self.group.weights:
            weight.assign_add(0.3 * random.standard_normal(weight.shape))
        # what stands past a length reaches no loss
        self.w = (self.valid * random.standard_normal(outputs.shape)).astype(np.float32)
        self._run = tf.function(self.forward_and_backward)
        self.reference = REFERENCES[kind.partition(",")[0]]

    def named_weights(self):
        return {w.name.removeprefix("group/").removesuffix(":0"): w for w in self.group.weights}

    def forward_and_backward(self, x, lengths):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs, new_lengths, _ = self.group(x, lengths)
            loss = tf.reduce_sum(tf.where(self.valid, outputs, 0.0) * self.w)
        weights = self.named_weights()
        gradients = tape.gradient(loss, [x, *weights.values()])
        return {
            "outputs": tf.where(self.valid, outputs, 0.0),
            "lengths": new_lengths,
            **{f"gradient {name}": value for name, value in zip(("x", *weights), gradients)},
        }

    def run(self, x=None):
        results = self._run(tf.constant(self.x if x is None else x), tf.constant(LENGTHS))
        return {name: value.numpy() for name, value in results.items()}


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    case = Case(request.param)
    case.result = case.run()
    return case


def plain_outputs(case, x, weights):
    outputs = np.zeros(case.w.shape)
    for row, length in enumerate(LENGTHS):
        if length:
            found = case.reference(x[row, :length], weights, case.group)
            outputs[row, : len(found)] = found
    return outputs


def test_outputs_are_those_of_plain_loops(case):
    weights = {name: weight.numpy().astype(np.float64) for name, weight in case.named_weights().items()}
    expected = plain_outputs(case, case.x.astype(np.float64), weights)
    np.testing.assert_allclose(case.result["outputs"], expected, **ROUNDING)
    np.testing.assert_array_equal(case.result["lengths"], LENGTHS // case.group.reduction)


def test_gradients_are_differences_of_plain_loops(case):
    values = {"x": case.x, **{name: weight.numpy() for name, weight in case.named_weights().items()}}
    values = {name: value.astype(np.float64) for name, value in values.items()}
    random = np.random.default_rng(4)

    def loss(name, change):
        changed = values | {name: values[name] + change}
        return np.sum(plain_outputs(case, changed.pop("x"), changed) * case.w)

    for name, value in values.items():
        gradient = case.result[f"gradient {name}"]
        # key biases move all scores of a step alike: the softmax does not see them
        assert gradient.any() or name == "attention/key_bias", name
        for _ in range(3):
            direction = random.standard_normal(value.shape)
            expected = (loss(name, 1e-5 * direction) - loss(name, -1e-5 * direction)) / 2e-5
            # the sum of float32 gradients along a direction is as wrong as its terms are large
            terms = float(np.linalg.norm(gradient))
            assert np.sum(gradient * direction) == pytest.approx(expected, rel=1e-3, abs=1e-4 * (1 + terms)), name


def test_padding_of_nan_changes_nothing(case):
    spoiled = case.x.copy()
    spoiled[np.arange(TIME)[None] >= LENGTHS[:, None]] = np.nan
    for name, value in case.run(spoiled).items():
        np.testing.assert_array_equal(value, case.result[name], err_msg=name)


def test_tflite_does_the_same_without_flex(case, tmp_path):
    from signatures.optimizers import OPTIMIZERS, State
    from signatures.spec import Signature
    from tflite_asr.export import convert
    from tflite_asr.runtime.flatbuffer import read_contents
    from tflite_asr.runtime.interpreter import SignatureModel

    def key(name):
        return name.replace(" ", "_").replace("/", "_")

    def step(x, lengths):
        return {key(name): value for name, value in case.forward_and_backward(x, lengths).items()}

    inputs = (tf.TensorSpec(case.x.shape, tf.float32, "x"), tf.TensorSpec(LENGTHS.shape, tf.int32, "lengths"))
    weights = {f"group/{name}": weight for name, weight in case.named_weights().items()}
    state = State(weights, OPTIMIZERS["sgd"])
    path = tmp_path / "group.tflite"
    path.write_bytes(convert({"step": Signature("step", "for a test", step, inputs).concrete()}, state))
    assert read_contents(path).flex_ops == []
    found = SignatureModel(path).run("step", {"x": case.x, "lengths": LENGTHS})
    for name, value in case.result.items():
        np.testing.assert_allclose(found[key(name)], value, rtol=1e-3, atol=1e-4, err_msg=name)


def kept_for_backward(case):
    """The float tensors that the backward pass takes from the forward pass, inputs included: name -> shape."""
    kept = set()

    @tf.function(autograph=False)
    def trace(x, lengths):
        graph = tf.compat.v1.get_default_graph()
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs, _, _ = case.group(x, lengths)
        forward = set(graph.get_operations())
        tape.gradient(outputs, [x, *case.group.weights], output_gradients=tf.constant(case.w))
        for operation in set(graph.get_operations()) - forward:
            for tensor in operation.inputs:
                # the same numbers in another shape or order are kept once
                while tensor.op.type in ("Reshape", "Identity", "IdentityN", "Transpose", "ExpandDims"):
                    tensor = tensor.op.inputs[0]
                if tensor.op in forward and tensor.dtype == tf.float32 and not of_weights(tensor.op):
                    kept.add(tensor.ref())

    trace.get_concrete_function(tf.TensorSpec(case.x.shape), tf.TensorSpec(LENGTHS.shape, tf.int32))
    return {tensor.name: tuple(tensor.shape) for tensor in sorted((k.deref() for k in kept), key=lambda t: t.name)}


def of_weights(operation):
    """Whether it is computed from weights and constants alone."""
    if operation.type == "Placeholder":
        return operation.outputs[0].dtype == tf.resource
    return all(of_weights(tensor.op) for tensor in operation.inputs)


def test_activation_elements_are_what_backward_takes_from_forward(case):
    stated = len(LENGTHS) * case.group.activation_elements(TIME)
    kept = kept_for_backward(case)
    elements = sum(math.prod(shape) for shape in kept.values())
    # one value a step for each normalisation's scale and the mask of lengths: at most seven of some hundred
    assert stated <= elements <= 1.05 * stated, f"{elements} elements are kept: {kept}"
