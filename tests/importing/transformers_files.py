"""Folders as transformers saves a Moonshine model."""

import json

import safetensors.numpy

CONFIG = {"model_type": "moonshine", "hidden_size": 288, "encoder_num_hidden_layers": 6, "partial_rotary_factor": 0.9}


def write_folder(folder, contents):
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def transformers_folder(folder, weights, pieces=(), **others):
    """The three files and others, of weights by name in transformers and pieces by id."""
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    contents = {
        "config.json": json.dumps(CONFIG).encode(),
        "model.safetensors": safetensors.numpy.save(weights),
        "tokenizer.json": json.dumps({"model": {"vocab": vocabulary}}).encode(),
    }
    return write_folder(folder, contents | others)
