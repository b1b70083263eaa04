"""A Moonshine model as Hugging Face's transformers saves it: config.json, model.safetensors, tokenizer.json."""

import json
import re
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from tflite_asr.errors import InputError

FILES = ("config.json", "model.safetensors", "tokenizer.json")
# what the configuration must say where it says anything: the sizes of tiny, which are also the defaults of transformers
TINY = {
    "model_type": "moonshine",
    "hidden_size": 288,
    "intermediate_size": 1152,
    "vocab_size": 32_768,
    "encoder_num_hidden_layers": 6,
    "decoder_num_hidden_layers": 6,
    "encoder_num_attention_heads": 8,
    "decoder_num_attention_heads": 8,
    "encoder_hidden_act": "gelu",
    "decoder_hidden_act": "silu",
    "partial_rotary_factor": 0.9,
    "rope_theta": 10_000.0,
}
DTYPES = ("float32", "float16", "bfloat16")


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """The weights by their names in transformers and in its shapes, float32; InputError for another model."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder}: expected {', '.join(FILES)} in it; missing: {', '.join(missing)}")
    _check_config(folder / "config.json")
    path = folder / "model.safetensors"
    try:
        stored = safetensors.numpy.load_file(path)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: not a whole safetensors file: {error}; copy or download it again") from None
    weights = {}
    for name, weight in stored.items():
        if weight.dtype.name not in DTYPES:
            raise InputError(f"{path}: {name}: expected {', '.join(DTYPES)}, got {weight.dtype.name}")
        weights[name] = weight.astype(np.float32)
        if not np.isfinite(weights[name]).all():
            raise InputError(f"{path}: {name}: expected finite numbers, got NaN or infinity")
    return weights


def _check_config(path: Path) -> None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values = values | (values.get("rope_parameters") or {})  # where transformers 5 has them
        kind = values["model_type"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: expected the configuration of a Moonshine model: {error!r}") from None
    for name, expected in TINY.items():
        if name in values and values[name] != expected:
            got = f"{values[name]!r} of a {kind!r} model"
            raise InputError(f"{path}: {name}: expected {expected!r} (Moonshine tiny), got {got}")


def read_licence(folder: Path) -> tuple[str, bytes | None]:
    """The licence that the model card README.md names, and the text of LICENSE, or of the card where there is none."""
    licence, text = "not stated", None
    card = folder / "README.md"
    if card.is_file():
        text = card.read_bytes()
        head = re.match(r"---\n(.*?)\n---", text.decode("utf-8", "replace").replace("\r\n", "\n"), re.DOTALL)
        stated = re.search(r"^license:[ \t]*(\S.*)$", head[1], re.MULTILINE) if head else None
        if stated:
            licence = stated[1].strip().strip("'\"")
            licence = "MIT" if licence == "mit" else licence
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md"):
        if (folder / name).is_file():
            text = (folder / name).read_bytes()
            licence = f"see {name}" if licence == "not stated" else licence
            break
    return licence, text
