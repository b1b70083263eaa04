"""The tiny English Moonshine (Jeffries et al. 2024, arXiv 2410.15608) as a model of the preset `english`.

Two sources hold the same weights: ONNX Runtime files, whose kernels are 8-bit numbers, and a folder of Hugging Face's
transformers, whose names serve for both here.
"""

import dataclasses
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tflite_asr.config import ModelConfig, SubwordConfig, preset
from tflite_asr.config.heads import required
from tflite_asr.errors import InputError
from tflite_asr.importing import huggingface
from tflite_asr.importing.ort_file import Graph, read_ort
from tflite_asr.importing.pieces import read_binary, read_tokenizer_json
from tflite_asr.importing.sources import (
    DISTRIBUTION,
    INSTALLED,
    VERSION,
    OrtFiles,
    read_folder,
    read_installed,
    read_wheel,
)
from tflite_asr.models.grids import LEVELS, Grid, write_grids

LICENCE_FILE = "LICENSE.moonshine"
MIT_TEXT = Path(__file__).with_name(LICENCE_FILE)  # as in the wheel
SEED = 0  # of the weights that the source does not have
PROJECTIONS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "outer": "o_proj"}


@dataclasses.dataclass(frozen=True)
class Imported:
    """The content of a source."""

    weights: dict[str, np.ndarray]  # float32, by tree path
    grids: dict[str, Grid]  # of the weights that the source stores as 8-bit numbers
    pieces: tuple[str, ...]
    licence: dict[str, str]  # an entry of `ModelConfig.licences`
    licence_text: bytes | None

    @property
    def config(self) -> ModelConfig:
        """The preset with the source's subwords and licence."""
        config = preset("english")
        decoder = dataclasses.replace(required(config.decoder, "decoder"), subwords=SubwordConfig(self.pieces, None))
        return dataclasses.replace(config, decoder=decoder, licences=(self.licence,))


def read_moonshine(source: str) -> Imported:
    """Read a wheel, the installed package (`installed`), a folder of its three files or one of transformers."""
    path = Path(source)
    if source == INSTALLED:
        return _of_ort_files(read_installed())
    if path.is_file():
        return _of_ort_files(read_wheel(path))
    if not path.is_dir():
        expected = f"a wheel of {DISTRIBUTION}, a folder, or `{INSTALLED}`"
        raise InputError(f"{source}: no such file or folder; expected {expected}")
    if (path / "config.json").exists() or (path / "model.safetensors").exists():
        return _of_transformers(path)
    return _of_ort_files(read_folder(path))


def tree_names(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Tree path and name in transformers of each weight that a source has."""
    for index in (1, 2, 3):
        yield f"stem/conv_{index}_kernel", f"model.encoder.conv{index}.weight"
        if index > 1:
            yield f"stem/conv_{index}_bias", f"model.encoder.conv{index}.bias"
    yield "stem/gain", "model.encoder.groupnorm.weight"
    yield "stem/shift", "model.encoder.groupnorm.bias"
    decoder = required(config.decoder, "decoder")
    layers, own = config.encoder.layers, decoder.encoder_layers
    yield from _encoder_names("encoder", range(layers))
    yield from _encoder_names("decoder_encoder", range(layers - own, layers))  # the same weights again
    yield "decoder/embedding", "model.decoder.embed_tokens.weight"
    for index in range(decoder.layers):
        ours, theirs = f"decoder/layer_{index}", f"model.decoder.layers.{index}"
        yield from _attention_names(f"{ours}/self_attention", f"{theirs}.input_layernorm", f"{theirs}.self_attn")
        cross = f"{ours}/cross_attention"
        yield from _attention_names(cross, f"{theirs}.post_attention_layernorm", f"{theirs}.encoder_attn")
        yield from _feed_forward_names(f"{ours}/feed_forward", f"{theirs}.final_layernorm", f"{theirs}.mlp")
    yield "decoder/gain", "model.decoder.norm.weight"


def _encoder_names(prefix: str, theirs: range) -> Iterator[tuple[str, str]]:
    """The last layers of the encoder, by their numbers in the source."""
    for index, number in enumerate(theirs):
        ours, layer = f"{prefix}_{index}", f"model.encoder.layers.{number}"
        yield from _attention_names(f"{ours}/attention", f"{layer}.input_layernorm", f"{layer}.self_attn")
        yield from _feed_forward_names(f"{ours}/feed_forward", f"{layer}.post_attention_layernorm", f"{layer}.mlp")
    if theirs:
        yield f"{prefix}_{len(theirs) - 1}/gain", "model.encoder.layer_norm.weight"


def _attention_names(ours: str, norm: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}/gain", f"{norm}.weight"
    for name, projection in PROJECTIONS.items():
        yield f"{ours}/{name}_kernel", f"{theirs}.{projection}.weight"


def _feed_forward_names(ours: str, norm: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}/gain", f"{norm}.weight"
    for name, dense in (("inner", "fc1"), ("outer", "fc2")):
        yield f"{ours}/{name}_kernel", f"{theirs}.{dense}.weight"
        yield f"{ours}/{name}_bias", f"{theirs}.{dense}.bias"


def _convolution(weight: np.ndarray) -> np.ndarray:
    """[outputs, inputs, taps] -> [taps * inputs, outputs]."""
    return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, len(weight)))


def _of_ort_files(files: OrtFiles) -> Imported:
    weights, grids = {}, {}
    for graph in (
        _named(read_ort(files.encoder, f"{files.where}: encoder_model.ort"), "model.encoder."),
        _decoder_with_cross(read_ort(files.decoder, f"{files.where}: decoder_model_merged.ort"), files.where),
    ):
        for name, value in _floats(graph).items():
            weights[name] = _convolution(value) if value.ndim == 3 else value
        for name, (levels, scale, zero) in _kernels(graph).items():
            weights[name] = (levels.astype(np.float32) - np.float32(zero)) * scale
            grids[name] = Grid(float(scale), -int(zero))
    # the embedding is the output projection transposed, on one grid
    weights["model.decoder.embed_tokens.weight"] = np.ascontiguousarray(weights.pop("proj_out.weight").T)
    grids["model.decoder.embed_tokens.weight"] = grids.pop("proj_out.weight")
    for index in (1, 2, 3):  # stored as floats, of 256 levels
        name = f"model.encoder.conv{index}.weight"
        low, high = float(weights[name].min()), float(weights[name].max())
        scale = np.float32((high - low) / (LEVELS - 1))
        grids[name] = Grid(float(scale), int(np.round(np.float32(low) / scale)))
    config = preset("english")
    names = dict(tree_names(config))
    return Imported(
        _take(weights, names, files.where),
        {ours: grids[theirs] for ours, theirs in names.items() if theirs in grids},
        read_binary(files.tokenizer, f"{files.where}: tokenizer.bin"),
        _licence("MIT", f"{DISTRIBUTION} {VERSION}"),
        MIT_TEXT.read_bytes(),
    )


def _licence(licence: str, source: str) -> dict[str, str]:
    holder = "Moonshine AI" if licence == "MIT" else "see the source"
    return {"what": "encoder and decoder weights", "licence": licence, "holder": holder, "source": source}


def _decoder_with_cross(graph: Graph, where: str) -> Graph:
    """The decoder's branch that computes the keys and values of cross-attention, with the constants of both graphs."""
    for node in graph.nodes:
        if node.op == "If" and "else_branch" in node.graphs:
            branch = node.graphs["else_branch"]
            return Graph(graph.initializers | branch.initializers, branch.nodes)
    raise InputError(f"{where}: decoder_model_merged.ort: expected an If with an else_branch, got none")


def _named(graph: Graph, prefix: str) -> Graph:
    """The encoder's graph with the names that transformers gives to its parts."""
    norms = {"onnx::Mul_2080": "groupnorm.weight", "onnx::Add_2081": "groupnorm.bias"}  # [units, 1]

    def renamed(name: str) -> str:
        if name in norms:
            return prefix + norms[name]
        return prefix + name if re.match(r"layers\.|conv\d|layer_norm", name) else name

    values = {renamed(name): value[:, 0] if name in norms else value for name, value in graph.initializers.items()}
    nodes = tuple(dataclasses.replace(node, name=prefix + node.name.strip("/")) for node in graph.nodes)
    return Graph(values, nodes)


def _floats(graph: Graph) -> dict[str, np.ndarray]:
    """Weights that are stored as they are."""
    floats = {name: value for name, value in graph.initializers.items() if value.dtype == np.float32}
    names = {name: re.sub(r"_(add_tensor|merged_\d+)$", "", name) for name in floats if name.startswith("model.")}
    return {new: floats[name] for name, new in names.items()}


def _kernels(graph: Graph) -> dict[str, tuple[np.ndarray, np.float32, np.uint8]]:
    """Levels [inputs, outputs] uint8, scale and zero point of each product; the kernel is scale (levels -
    zero point).
    """
    found = {}
    for node in graph.nodes:
        if node.op in ("MatMulIntegerToFloat", "DynamicQuantizeMatMul"):
            for name in node.inputs:
                base = name.removesuffix("_quantized")
                if base != name and name in graph.initializers:
                    scale = graph.initializers[f"{base}_scale"].reshape(-1)[0]
                    zero = graph.initializers[f"{base}_zero_point"].reshape(-1)[0]
                    layer = re.sub(r"/MatMul_quant.*$", "", node.name).strip("/").replace("/", ".")
                    found[f"{layer}.weight"] = (graph.initializers[name], scale, zero)
    return found


def _of_transformers(folder: Path) -> Imported:
    stored = huggingface.read_weights(folder)
    names = dict(tree_names(preset("english")))
    where = folder / "model.safetensors"
    embedding = stored.get("model.decoder.embed_tokens.weight")
    tied = stored.pop("proj_out.weight", embedding)
    if embedding is not None and (tied is None or not np.array_equal(tied, embedding)):
        raise InputError(f"{where}: expected proj_out.weight to be the embedding, got another weight")
    strange = sorted(set(stored) - set(names.values()))
    if strange:
        raise InputError(f"{where}: {strange[0]} is not of Moonshine tiny; {len(strange)} such weights")
    weights = {}
    for name, value in stored.items():
        linear = value.ndim == 2 and name != "model.decoder.embed_tokens.weight"
        weights[name] = _convolution(value) if value.ndim == 3 else np.ascontiguousarray(value.T) if linear else value
    taken = _take(weights, names, str(where))
    licence, text = huggingface.read_licence(folder)
    pieces = read_tokenizer_json(folder / "tokenizer.json")
    return Imported(taken, {}, pieces, _licence(licence, folder.resolve().name), text)


def _take(weights: dict[str, np.ndarray], names: dict[str, str], where: str) -> dict[str, np.ndarray]:
    """The weights by tree path; InputError when one is missing."""
    missing = [name for name in names.values() if name not in weights]
    if missing:
        raise InputError(f"{where}: expected {missing[0]}, which is missing; {len(missing)} such weights")
    return {ours: weights[theirs] for ours, theirs in names.items()}


def write_model(imported: Imported, out: Path) -> list[str]:
    """Write the folder of a model, whole or not at all; the tree paths of the weights that are drawn at random.

    Args:
        imported: from `read_moonshine`.
        out: a folder that does not exist, or an empty one.
    """
    import tf_keras as keras

    from tflite_asr.models.build import build_model
    from tflite_asr.models.storage import save_model

    config = imported.config
    expected = required(config.decoder, "decoder").vocabulary_size
    if len(imported.pieces) != expected:
        raise InputError(f"tokenizer: expected {expected} subwords, got {len(imported.pieces)}")
    keras.utils.set_random_seed(SEED)
    weights, names = {}, dict(tree_names(config))
    for name, variable in build_model(config).named_weights().items():
        weights[name] = imported.weights.get(name, variable.numpy())
        if weights[name].shape != tuple(variable.shape):
            raise InputError(f"{names[name]}: expected shape {tuple(variable.shape)}, got {weights[name].shape}")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        temporary.chmod(0o755)  # mkdtemp makes it for the owner alone
        save_model(temporary, config, weights)
        if imported.grids:
            write_grids(temporary, imported.grids)
        if imported.licence_text is not None:
            (temporary / LICENCE_FILE).write_bytes(imported.licence_text)
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(weights.keys() - imported.weights.keys())


def check_out(out: Path) -> None:
    """InputError when something stands where the folder is to be written."""
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise InputError(f"{out}: expected a folder that does not exist yet; give another --out or remove it")
