"""Restores the matrices of the signature `features` to floats if the converter made them int8."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_asr.export.packing import packed


def restore_floats(content: bytes, signature: str, matrices: Sequence[np.ndarray]) -> bytes:
    """Store matrices of a signature's products as floats again.

    Args:
        content: a .tflite.
        signature: its name.
        matrices: [inputs, outputs] each.

    Returns:
        The changed .tflite.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    index = next(entry.subgraphIndex for entry in model.signatureDefs if entry.signatureKey == signature.encode())
    for tensor in model.subgraphs[index].tensors:
        for matrix in matrices:
            stored = matrix.T  # as FULLY_CONNECTED takes it
            if _rounded(model, tensor, stored):
                tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
                model.buffers[tensor.buffer].data = np.frombuffer(stored.tobytes(), np.uint8)
    return packed(model, content)


def _rounded(model, tensor, stored: np.ndarray) -> bool:
    """Whether a tensor of the model is this matrix as int8, a scale for all of it or for each row."""
    if tensor.type != schema.TensorType.INT8 or tuple(tensor.shape) != stored.shape:
        return False
    scales = np.reshape(tensor.quantization.scale, [-1, 1])
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int8).reshape(stored.shape) * scales
    return bool(np.all(np.abs(values - stored) <= scales))
