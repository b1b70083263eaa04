"""Converts traced functions to a .tflite. The only file that uses TFLiteConverter."""

import re
import tempfile
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from signatures.optimizers import State
from tflite_asr.errors import InputError
from tflite_asr.export.compaction import compact
from tflite_asr.export.freezing import HOLD, freeze
from tflite_asr.export.quantization import INT8_CONSTANTS, Quantization
from tflite_asr.models.grids import Grid

# what to write instead of the ops that are met most; the message sends others here
INSTEAD = {
    "StridedSliceGrad": "tf.split, tf.unstack or tf.slice in place of indexing",
    "Conv2DBackpropFilter": "shifted slices times unstacked taps",
    "DepthwiseConv2dNativeBackpropFilter": "shifted slices times unstacked taps",
    "ReluGrad": "tflite_asr.ops.elementary.relu",
    "TanhGrad": "tflite_asr.ops.elementary.tanh",
    "SigmoidGrad": "tflite_asr.ops.elementary.sigmoid",
    "LogSoftmax": "tflite_asr.ops.elementary.log_softmax",
    "UnsortedSegmentSum": "a product with tf.one_hot in place of tf.gather",
    "TensorListReserve": "a custom gradient with tflite_asr.ops.rows in place of a loop's own gradient",
}
# signatures that run once a token or a chunk begin with these: computing the floats of weights would take longer than
# their products
CALLED_OFTEN = ("decode_step", "predict", "join", "stream")
Functions = Mapping[str, tf.types.experimental.ConcreteFunction]  # by signature name


def convert(
    functions: Functions,
    state: State,
    *,
    allow_flex: bool = False,
    frozen: Mapping[str, tf.Variable] = MappingProxyType({}),
    quantization: Quantization = Quantization(),
    grids: Mapping[str, Grid] = MappingProxyType({}),
) -> bytes:
    """Convert traced functions to a .tflite.

    Args:
        functions: by signature name.
        state: the variables that train, and the optimizer's.
        allow_flex: whether ops may need the TensorFlow library on the device.
        frozen: the variables that do not train, by tree path.
        quantization: how the frozen variables are stored.
        grids: the grids of weights that were imported as 8-bit numbers, by tree path.

    Returns:
        The file's bytes.

    Raises:
        InputError: TFLite lacks ops; the message lists them by signature.
    """

    def attempt(some: Functions) -> bytes:
        return _convert(some, state, allow_flex, frozen, quantization, grids)

    try:
        return attempt(functions)
    except Exception as error:
        if "some ops" not in str(error).lower() and "not supported" not in str(error).lower():
            raise
        whole = error
    lines = []
    for name, function in functions.items():  # one by one: the converter does not say which signature has which ops
        try:
            attempt({name: function})
        except Exception as error:
            lines.append(f"signature {name}: {_lacking_ops(str(error))}")
    if not lines:
        raise whole
    raise InputError(
        "ops that TFLite has no builtin for: "
        + " | ".join(lines)
        + "; write them from builtins"
        + ("" if allow_flex else " or pass --allow-flex")
    )


def _lacking_ops(message: str) -> str:
    """The unsupported ops of a converter message, and what to write instead."""
    ops = sorted(set(re.findall(r"\btf\.([A-Z]\w*)", message)))
    advice = "; ".join(f"for {op} use {INSTEAD[op]}" for op in ops if op in INSTEAD)
    return ", ".join(ops) + (f" ({advice})" if advice else "")


def _convert(
    functions: Functions,
    state: State,
    allow_flex: bool,
    frozen: Mapping[str, tf.Variable],
    quantization: Quantization,
    grids: Mapping[str, Grid],
) -> bytes:
    int8 = frozen if quantization.mode in INT8_CONSTANTS else {}
    if int8:
        functions = {**functions, HOLD: _assigning(int8)}
    module = tf.Module()
    module.variables_of_model = [*state.variables().values(), *frozen.values()]
    module.functions = list(functions.values())
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=dict(functions))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.experimental_enable_resource_variables = True
        ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.target_spec.supported_ops = [*ops, tf.lite.OpsSet.SELECT_TF_OPS] if allow_flex else ops
        if quantization.mode == "dynamic":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter._experimental_disable_per_channel_quantization_for_dense_layers = (
                not quantization.per_channel_dense
            )
        content = converter.convert()
    if int8:
        weights = {name: weight.numpy() for name, weight in int8.items()}
        used = _fit_to_grids(weights, grids) if quantization.mode == "grid" else {}
        content = freeze(content, weights, used, [name for name in functions if name.startswith(CALLED_OFTEN)])
    return compact(content)


def _fit_to_grids(weights: dict[str, np.ndarray], grids: Mapping[str, Grid]) -> dict[str, Grid]:
    """The grid of each weight that was imported on one, by tree path. A weight that was trained since is changed in
    `weights` to lie on a new grid.
    """
    used = {}
    for name in grids.keys() & weights.keys():
        if grids[name].holds(weights[name]):
            used[name] = grids[name]
        else:
            used[name] = Grid.around(weights[name])
            weights[name] = used[name].diffused(weights[name])
    return used


def _assigning(variables: Mapping[str, tf.Variable]) -> tf.types.experimental.ConcreteFunction:
    """A function that assigns variables, so that the converter keeps them as variables; see `freezing`."""

    @tf.function(autograph=False)
    def hold():
        for variable in variables.values():
            variable.assign(-variable)
        return {"held": tf.constant(len(variables))}

    return hold.get_concrete_function()
