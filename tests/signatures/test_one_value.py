"""Inputs of one value: [1] in new files, without dimensions in older ones, which must not be resized."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from signatures.spec import Signature
from tflite_asr.config import PRESETS
from tflite_asr.runtime.interpreter import SignatureModel


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_no_input_of_any_preset_is_without_dimensions(name):
    from signatures.optimizers import OPTIMIZERS, State
    from tflite_asr.export import SplitOptions, all_signatures, make_steps
    from tflite_asr.models.build import build_model

    model = build_model(PRESETS[name])
    state = State(model.named_weights(), OPTIMIZERS["sgd"], pull=False)
    parts = min(2, len(model.groups))
    signatures = all_signatures(model, state, make_steps(model, state, SplitOptions(parts=parts, keep="recompute")))
    ranks = {(one.name, spec.name): spec.shape.rank for one in signatures for spec in one.inputs}
    assert ("train", "learning_rate") in ranks and ("set_weights", "step") in ranks
    assert [place for place, rank in ranks.items() if rank == 0] == []


def test_a_signature_with_an_input_without_dimensions_is_refused():
    import tensorflow as tf

    with pytest.raises(ValueError, match="signature s: inputs without dimensions: .*pace"):
        Signature("s", "for a test", lambda pace: {"pace": pace}, (tf.TensorSpec([], tf.float32, "pace"),))


class _Fragile:
    """The runtime of 64-bit ARM."""

    def __init__(self, wrapper):
        self._wrapper = wrapper

    def __getattr__(self, name):
        return getattr(self._wrapper, name)

    def ResizeInputTensor(self, index, shape, *others):
        assert len(shape), "here the process ends"
        self._wrapper.ResizeInputTensor(index, shape, *others)


class FragileInterpreter(Interpreter):
    def get_signature_runner(self, signature_key=None):
        runner = super().get_signature_runner(signature_key)
        runner._interpreter_wrapper = _Fragile(runner._interpreter_wrapper)
        return runner


@pytest.fixture(scope="module")
def older_file(tmp_path_factory):
    """A signature that takes a scalar and one value, as files of format 1 do."""
    import tensorflow as tf

    @tf.function
    def scale(x, scalar, one):
        return {"y": x * scalar * one}

    inputs = [tf.TensorSpec(shape, tf.float32, name) for name, shape in (("x", [3]), ("scalar", []), ("one", [1]))]
    functions = {"scale": scale.get_concrete_function(*inputs)}
    module = tf.Module()
    module.scale = scale
    folder = tmp_path_factory.mktemp("older")
    tf.saved_model.save(module, str(folder / "saved"), signatures=functions)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"), signature_keys=["scale"])
    (folder / "older.tflite").write_bytes(converter.convert())
    return folder / "older.tflite"


@pytest.mark.parametrize("shapes", [((), ()), ((1,), (1,)), ((), (1,)), ((1,), ())])
def test_an_older_file_is_never_resized_and_takes_either_shape(shapes, older_file):
    x = np.float32([1, 2, 3])
    model = SignatureModel(older_file, FragileInterpreter)
    for factor in (2, 5):
        scalar, one = (np.full(shape, value, np.float32) for shape, value in zip(shapes, (factor, 10)))
        np.testing.assert_array_equal(model.run("scale", {"x": x, "scalar": scalar, "one": one})["y"], x * factor * 10)


def test_new_files_need_no_care(tiny_tflite):
    """As called by those who use the runtime alone."""
    runner = FragileInterpreter(str(tiny_tflite)).get_signature_runner("train")
    details = runner.get_input_details()
    result = runner(**{name: np.zeros(tensor["shape"], tensor["dtype"]) for name, tensor in details.items()})
    assert result["loss"] == 0 and result["skipped"] == 0
