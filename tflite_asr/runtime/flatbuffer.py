"""The content of a .tflite file: operator versions, custom operators, tensor bytes. It reads the flatbuffer only."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tflite_asr.errors import InputError
from tflite_asr.files import read_bytes


@dataclass(frozen=True)
class FileContents:
    """Counted over all subgraphs."""

    op_versions: dict[str, int]  # highest version of each builtin op
    flex_ops: list[str]  # ops that need the TensorFlow library
    custom_ops: list[str]  # ops that need code of the app's own
    min_runtime: str  # as the converter computed it from op versions; "" when it did not
    signatures: list[str]
    constants: list[tuple[str, int]]  # dtype and bytes of each

    @property
    def constant_bytes(self) -> dict[str, int]:
        """By dtype."""
        total: dict[str, int] = defaultdict(int)
        for dtype, size in self.constants:
            total[dtype] += size
        return dict(total)


def read_contents(path: Path) -> FileContents:
    """Parse a .tflite file."""
    from ai_edge_litert import schema_py_generated as schema

    builtin_names = _names(schema.BuiltinOperator)
    type_names = _names(schema.TensorType)
    content = read_bytes(path, "a .tflite file")
    if content[4:8] != b"TFL3":
        raise InputError(f"{path}: not a TFLite file; expected one that `tflite-asr export` wrote")
    model = schema.Model.GetRootAs(content, 0)
    versions: dict[str, int] = {}
    custom: set[str] = set()
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        if code.CustomCode():
            custom.add(code.CustomCode().decode())
            continue
        name = builtin_names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        versions[name] = max(versions.get(name, 0), code.Version())
    return FileContents(
        op_versions=dict(sorted(versions.items())),
        flex_ops=sorted(name.removeprefix("Flex") for name in custom if name.startswith("Flex")),
        custom_ops=sorted(name for name in custom if not name.startswith("Flex")),
        min_runtime=_min_runtime(model),
        signatures=sorted(
            model.SignatureDefs(index).SignatureKey().decode() for index in range(model.SignatureDefsLength())
        ),
        constants=_constants(model, type_names),
    )


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


def _min_runtime(model) -> str:
    for index in range(model.MetadataLength()):
        metadata = model.Metadata(index)
        if metadata.Name() == b"min_runtime_version":
            return model.Buffers(metadata.Buffer()).DataAsNumpy().tobytes().rstrip(b"\0").decode()
    return ""


def _constants(model, type_names: dict[int, str]) -> list[tuple[str, int]]:
    """The tensors' dtype and the bytes of all buffers that tensors use, each buffer once."""
    buffers: dict[int, str] = {}
    for graph_index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(graph_index)
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            buffers[tensor.Buffer()] = type_names[tensor.Type()].lower()
    # beyond 2 GB the data stands outside the flatbuffer
    sizes = {index: model.Buffers(index).DataLength() or model.Buffers(index).Size() for index in buffers}
    return [(dtype, sizes[index]) for index, dtype in buffers.items() if sizes[index]]
