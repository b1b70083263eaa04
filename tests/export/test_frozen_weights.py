"""Weights on a grid of their own: int8 products that are exact to 16 bits, rows of an int8 matrix, and what else reads
it.
"""

import numpy as np
import pytest
import tensorflow as tf

from signatures.optimizers import OPTIMIZERS, State
from signatures.spec import Signature
from tflite_asr.export import convert
from tflite_asr.export.quantization import Quantization
from tflite_asr.models.grids import Grid
from tflite_asr.ops.product import product
from tflite_asr.runtime.flatbuffer import read_contents
from tflite_asr.runtime.interpreter import SignatureModel

ROWS, INPUTS, OUTPUTS = 5, 24, 96
GRID = Grid(scale=0.0123, minimum=-101)


@pytest.fixture(scope="module")
def weight():
    levels = np.random.default_rng(1).integers(0, 256, [INPUTS, OUTPUTS])
    return ((levels + GRID.minimum) * np.float32(GRID.scale)).astype(np.float32)


@pytest.fixture(scope="module")
def model(weight, tmp_path_factory):
    """Signatures that multiply with a frozen matrix, from the left and transposed, take its rows, and add it up."""
    variable = tf.Variable(weight, name="group/kernel")

    def run(x, back, rows):
        transposed = tf.raw_ops.BatchMatMulV2(x=back, y=variable, adj_x=False, adj_y=True)
        return {
            "product": product(x, variable),
            "transposed": transposed,
            "rows": tf.gather(variable, rows),
            "sum": tf.reduce_sum(variable, axis=0),
        }

    inputs = (
        tf.TensorSpec([1, ROWS, INPUTS], tf.float32, "x"),
        tf.TensorSpec([1, ROWS, OUTPUTS], tf.float32, "back"),
        tf.TensorSpec([3], tf.int32, "rows"),
    )
    path = tmp_path_factory.mktemp("grid") / "grid.tflite"
    functions = {"join": Signature("join", "for a test", run, inputs).concrete()}
    grids = {"group/kernel": GRID}
    state, frozen = State({}, OPTIMIZERS["sgd"]), {"group/kernel": variable}
    path.write_bytes(convert(functions, state, frozen=frozen, quantization=Quantization("grid"), grids=grids))
    return path


@pytest.fixture(scope="module")
def result(model):
    random = np.random.default_rng(2)
    inputs = {
        "x": (random.standard_normal([1, ROWS, INPUTS]) * [[[1.0], [100.0], [1e-3], [0.0], [1.0]]]).astype(np.float32),
        "back": random.standard_normal([1, ROWS, OUTPUTS]).astype(np.float32),
        "rows": np.array([0, 23, 7], np.int32),
    }
    return inputs, SignatureModel(model).run("join", inputs)


def test_products_are_exact_to_16_bits(weight, result):
    inputs, found = result
    for name, x, w in (("product", inputs["x"], weight), ("transposed", inputs["back"], weight.T)):
        expected = x.astype(np.float64) @ w.astype(np.float64)
        # a row's remainder is at most half an 8-bit step, and is rounded by half of a step of its own; weights of one
        # sign
        bound = np.abs(x).max(axis=-1, keepdims=True) * 2.0**-15 * np.abs(w).sum(axis=0)
        assert np.all(np.abs(found[name] - expected) <= bound + 1e-6), name
        # and a product rounded to 8 bits alone is far worse
        assert np.abs(found[name] - expected).max() < 0.02 * np.abs(x).max() * np.abs(w).sum(axis=0).max() / 255


def test_rows_and_sums_are_those_of_the_floats(weight, result):
    inputs, found = result
    np.testing.assert_allclose(found["rows"], weight[inputs["rows"]], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found["sum"], weight.sum(axis=0), rtol=1e-5, atol=1e-5)


def test_the_file_holds_the_matrix_as_int8_and_loads_on_old_runtimes(model, weight):
    assert weight.nbytes > 2 * weight.size  # floats would not fit
    contents = read_contents(model)
    assert contents.flex_ops == []
    assert tuple(map(int, contents.min_runtime.split(".")[:2])) <= (2, 14)


def test_a_weight_that_was_trained_has_left_its_grid(weight):
    assert GRID.holds(weight)
    assert not GRID.holds(weight + np.float32(0.3 * GRID.scale))
    assert not GRID.holds(weight - np.float32(200 * GRID.scale))


@pytest.mark.parametrize("low, high", [(-0.3, 0.7), (0.1, 0.2), (-5.0, -4.0), (0.0, 0.0)])
def test_the_grid_around_a_weight_holds_what_it_is_rounded_to(low, high):
    weight = np.random.default_rng(2).uniform(low, high, [30, 40]).astype(np.float32)
    grid = Grid.around(weight)
    rounded = grid.diffused(weight)
    assert grid.holds(rounded)
    assert np.abs(rounded - weight).max() <= 1.02 * grid.scale  # half a level of its own, half of the one before
    assert grid.scale <= max(high - low, 1e-30) / 250
    np.testing.assert_array_equal(grid.diffused(rounded), rounded)


def test_what_training_moved_by_less_than_half_a_level_is_kept_in_sums(weight):
    # to the closest level: back where it came from
    shift = np.random.default_rng(5).uniform(0.1, 0.3, weight.shape)
    moved = weight + (shift * GRID.scale).astype(np.float32)
    rounded = GRID.diffused(moved)
    assert np.isclose(rounded, weight, atol=0.1 * GRID.scale).mean() < 0.9
    np.testing.assert_allclose(rounded.sum(axis=0), moved.sum(axis=0), atol=1.1 * GRID.scale)
    x = np.linspace(0.5, 1.5, len(moved), dtype=np.float32)  # inputs that change slowly
    kept = np.mean(x @ rounded - x @ weight) / np.mean(x @ moved - x @ weight)
    assert kept == pytest.approx(1, abs=0.05)


def test_a_trained_weight_is_exported_on_a_new_grid(weight, tmp_path):
    trained = weight + np.random.default_rng(3).normal(0, 0.01, weight.shape).astype(np.float32)
    variable = tf.Variable(trained, name="group/kernel")
    inputs = (tf.TensorSpec([1, ROWS, INPUTS], tf.float32, "x"),)
    signature = Signature("multiply", "for a test", lambda x: {"product": product(x, variable)}, inputs)
    state, frozen = State({}, OPTIMIZERS["sgd"]), {"group/kernel": variable}
    content = convert(
        {"multiply": signature.concrete()},
        state,
        frozen=frozen,
        quantization=Quantization("grid"),
        grids={"group/kernel": GRID},
    )
    path = tmp_path / "new.tflite"
    path.write_bytes(content)
    x = np.random.default_rng(4).normal(size=[1, ROWS, INPUTS]).astype(np.float32)
    stored = Grid.around(trained).diffused(trained)
    # x is exact to 16 bits
    np.testing.assert_allclose(SignatureModel(path).run("multiply", {"x": x})["product"], x @ stored, atol=1e-3)
    assert not np.array_equal(stored, trained)


@pytest.mark.parametrize("large", [1, 16_384])
def test_what_trains_makes_floats_of_the_matrix_that_is_stored_once(weight, tmp_path, monkeypatch, large):
    monkeypatch.setattr("tflite_asr.export.frozen_weights.LARGE_ELEMENTS", large)
    variable = tf.Variable(weight, name="group/kernel")
    inputs = (tf.TensorSpec([1, ROWS, INPUTS], tf.float32, "x"),)

    def multiply(x):
        return {"product": product(x, variable)}

    functions = {name: Signature(name, "for a test", multiply, inputs).concrete() for name in ("join", "loss_9f")}
    path = tmp_path / "both.tflite"
    state, frozen = State({}, OPTIMIZERS["sgd"]), {"group/kernel": variable}
    path.write_bytes(
        convert(functions, state, frozen=frozen, quantization=Quantization("grid"), grids={"group/kernel": GRID})
    )
    assert path.read_bytes().count(GRID.stored(weight.T)[0].tobytes()) == 1
    assert path.read_bytes().count(GRID.stored(weight)[0].tobytes()) == 0
    x = np.random.default_rng(3).standard_normal([1, ROWS, INPUTS]).astype(np.float32)
    model = SignatureModel(path)
    expected = x.astype(np.float64) @ weight
    largest = np.abs(expected).max()
    exact = np.abs(model.run("loss_9f", {"x": x})["product"] - expected).max()
    assert exact < 1e-6 * largest  # float32
    assert exact < np.abs(model.run("join", {"x": x})["product"] - expected).max() < 1e-3 * largest


@pytest.mark.parametrize(("far", "times"), [(4, 2), (1000, 1)])
def test_a_use_far_behind_another_makes_its_floats_again(weight, tmp_path, monkeypatch, far, times):
    """As the backward pass of a deep model uses a weight: floats that wait in between take memory."""
    from ai_edge_litert import schema_py_generated as schema

    monkeypatch.setattr("tflite_asr.export.frozen_weights.LARGE_ELEMENTS", 1)
    monkeypatch.setattr("tflite_asr.export.freezing.FAR_OPERATORS", far)
    variable = tf.Variable(weight, name="group/kernel")
    inputs = (tf.TensorSpec([1, ROWS, INPUTS], tf.float32, "x"),)

    def there_and_back(x):
        y = product(x, variable)
        for _ in range(12):
            y = tf.sin(y)
        return {"back": tf.raw_ops.BatchMatMulV2(x=y, y=variable, adj_x=False, adj_y=True)}

    functions = {"loss": Signature("loss", "for a test", there_and_back, inputs).concrete()}
    path = tmp_path / "far.tflite"
    state, frozen = State({}, OPTIMIZERS["sgd"]), {"group/kernel": variable}
    path.write_bytes(
        convert(functions, state, frozen=frozen, quantization=Quantization("grid"), grids={"group/kernel": GRID})
    )
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(index).BuiltinCode() for index in range(model.OperatorCodesLength())]
    used = [codes[graph.Operators(index).OpcodeIndex()] for index in range(graph.OperatorsLength())]
    gathers = used.count(schema.BuiltinOperator.GATHER)  # each makes a copy of the int8 matrix when it is needed
    assert gathers == times
    x = np.random.default_rng(3).standard_normal([1, ROWS, INPUTS]).astype(np.float32)
    y = x.astype(np.float64) @ weight
    for _ in range(12):
        y = np.sin(y)
    np.testing.assert_allclose(SignatureModel(path).run("loss", {"x": x})["back"], y @ weight.T, rtol=1e-3, atol=1e-3)
