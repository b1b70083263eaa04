"""The weights that `import moonshine` writes: each where it belongs, exactly, from both kinds of sources."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from transformers_files import transformers_folder

import tflite_asr.importing
from tflite_asr.cli.main import main
from tflite_asr.config import ModelConfig, preset
from tflite_asr.errors import InputError
from tflite_asr.importing.moonshine import read_moonshine, tree_names
from tflite_asr.importing.ort_file import read_ort
from tflite_asr.importing.pieces import START
from tflite_asr.models.grids import Grid, read_grids

TWICE = 2 * 997_344 + 288  # the last two encoder layers, which the decoder has as its own as well
CARD = b"---\nlanguage: en\nlicense: mit\n---\n# Moonshine\n"


def pieces_of(count):
    return (*START, *(f"\u2581{index}" for index in range(count - len(START))))


def to_transformers(weights):
    """Weights by tree path under the names and in the shapes of transformers: `Linear` is [outputs, inputs], `Conv1d`
    is [outputs, inputs, taps].
    """
    taps = {"stem/conv_1_kernel": 127, "stem/conv_2_kernel": 7, "stem/conv_3_kernel": 3}
    found = {}
    for ours, theirs in tree_names(preset("english")):
        weight = weights[ours]
        if ours in taps:
            weight = np.stack([tap.T for tap in np.split(weight, taps[ours])], axis=2)
        elif weight.ndim == 2 and ours != "decoder/embedding":
            weight = weight.T
        found[theirs] = np.ascontiguousarray(weight)
    return found


@pytest.fixture(scope="module")
def from_transformers(invented, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hf") / "moonshine-tiny"
    return transformers_folder(folder, invented, pieces_of(32_768), **{"README.md": CARD})


def test_every_weight_of_transformers_has_its_place(invented, from_transformers):
    found = read_moonshine(str(from_transformers))
    ours = found.weights
    assert sum(weight.size for name, weight in ours.items() if not name.startswith("decoder")) == 7_681_248
    assert sum(weight.size for name, weight in ours.items() if name.startswith("decoder")) == 19_411_488 + TWICE
    layer = "model.decoder.layers.4"
    np.testing.assert_array_equal(
        ours["decoder/layer_4/cross_attention/gain"], invented[f"{layer}.post_attention_layernorm.weight"]
    )
    np.testing.assert_array_equal(
        ours["decoder/layer_4/feed_forward/gain"], invented[f"{layer}.final_layernorm.weight"]
    )
    key = ours["decoder/layer_4/cross_attention/key_kernel"]
    assert key[5, 7] == invented[f"{layer}.encoder_attn.k_proj.weight"][7, 5]
    assert ours["decoder/embedding"][30_000, 7] == invented["model.decoder.embed_tokens.weight"][30_000, 7]
    assert ours["stem/conv_2_kernel"][4 * 288 + 3, 10] == invented["model.encoder.conv2.weight"][10, 3, 4]
    assert ours["encoder_5/gain"][3] == invented["model.encoder.layer_norm.weight"][3]
    for name, weight in to_transformers(ours).items():
        np.testing.assert_array_equal(weight, invented[name], err_msg=name)
    assert found.grids == {} and found.licence["licence"] == "MIT" and found.licence_text == CARD


@pytest.mark.parametrize(
    "files, licence, text",
    [
        ({}, "not stated", None),
        ({"README.md": b"# A model\nlicense: mit\n"}, "not stated", b"# A model\nlicense: mit\n"),
        ({"README.md": b"---\nlicense: other\n---\n"}, "other", b"---\nlicense: other\n---\n"),
        ({"README.md": CARD, "LICENSE": b"MIT ..."}, "MIT", b"MIT ..."),
        ({"LICENSE": b"Some"}, "see LICENSE", b"Some"),
    ],
)
def test_the_licence_is_the_one_that_the_folder_states(files, licence, text, tmp_path):
    from tflite_asr.importing.huggingface import read_licence

    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert read_licence(tmp_path) == (licence, text)


def test_weights_of_half_precision_are_taken(invented, tmp_path):
    half = {name: weight.astype(np.float16) for name, weight in invented.items()}
    ours = read_moonshine(str(transformers_folder(tmp_path / "hf", half, pieces_of(300)))).weights
    assert ours["stem/gain"].dtype == np.float32
    np.testing.assert_array_equal(ours["stem/gain"], half["model.encoder.groupnorm.weight"].astype(np.float32))


@pytest.mark.slow
def test_the_command_writes_a_model_folder(from_transformers, invented, tmp_path, capsys):
    out = tmp_path / "new" / "moonshine"
    assert main(["import", "moonshine", str(from_transformers), "--out", str(out)]) == 0
    message = capsys.readouterr().out
    assert "7,681,248 parameters of the encoder, 21,406,464 of the decoder" in message and "licence: MIT" in message
    assert "drawn at random (seed 0): ctc/bias, ctc/kernel" in message and f"train english --initial {out}" in message
    assert sorted(path.name for path in out.parent.iterdir()) == ["moonshine"]
    assert sorted(path.name for path in out.iterdir()) == ["LICENSE.moonshine", "config.json", "weights.safetensors"]
    config = ModelConfig.from_json(json.loads((out / "config.json").read_text()))
    assert config.decoder.subwords.pieces == pieces_of(32_768) and config.decoder.subwords.scores is None
    assert config.licences[0]["licence"] == "MIT" and config.licences[0]["source"] == "moonshine-tiny"
    weights = safetensors.numpy.load_file(out / "weights.safetensors")
    assert weights["ctc/kernel"].shape == (288, 29) and weights["ctc/kernel"].std() > 0
    for name, weight in to_transformers(weights).items():
        np.testing.assert_array_equal(weight, invented[name], err_msg=name)

    # what is wrong in the shapes alone is found before anything is written
    wrong = invented | {"model.encoder.conv3.bias": np.zeros(17, np.float32)}
    folder = transformers_folder(tmp_path / "wrong", wrong, pieces_of(32_768))
    assert main(["import", "moonshine", str(folder), "--out", str(tmp_path / "other" / "m")]) == 2
    assert "model.encoder.conv3.bias: expected shape (288,), got (17,)" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_tokenizer_of_another_size_is_refused(invented, tmp_path, capsys):
    folder = transformers_folder(tmp_path / "hf", invented, pieces_of(300))
    assert main(["import", "moonshine", str(folder), "--out", str(tmp_path / "m")]) == 2
    assert "expected 32768 subwords, got 300" in capsys.readouterr().err and not (tmp_path / "m").exists()


# with the real weights


def test_the_pinned_weights_are_read_exactly(moonshine, ort_files):
    weights = moonshine.weights
    assert sum(weight.size for name, weight in weights.items() if not name.startswith("decoder")) == 7_681_248
    assert sum(weight.size for name, weight in weights.items() if name.startswith("decoder")) == 19_411_488 + TWICE
    # the embedding stands in the file twice: by rows, and transposed as the output projection, from which it is read
    stored = read_ort(ort_files.decoder, "decoder").initializers
    name = "model.decoder.embed_tokens.weight_merged_0"
    levels = stored[f"{name}_quantized"].astype(np.float32) - np.float32(stored[f"{name}_zero_point"])
    np.testing.assert_array_equal(weights["decoder/embedding"], levels * stored[f"{name}_scale"])
    # of the initialisers' numbers as they were found by hand
    stored = read_ort(ort_files.encoder, "encoder").initializers
    for layer, number in ((0, 2168), (3, 2170 + 69 * 2 + 67)):
        base = f"onnx::MatMul_{number}"
        levels = stored[f"{base}_quantized"].astype(np.float32) - np.float32(stored[f"{base}_zero_point"])
        np.testing.assert_array_equal(
            weights[f"encoder_{layer}/feed_forward/inner_kernel"], levels * stored[f"{base}_scale"]
        )


def test_the_grids_hold_all_weights_that_were_stored_in_8_bits(moonshine):
    assert len(moonshine.grids) == 3 + (6 + 2) * 6 + 1 + 6 * 10
    for name, grid in moonshine.grids.items():
        assert grid.holds(moonshine.weights[name]), name
        stored, zero = grid.stored(moonshine.weights[name])
        again = (stored.astype(np.float32) - np.float32(zero)) * np.float32(grid.scale)
        assert np.abs(again - moonshine.weights[name]).max() <= 1e-6 * np.abs(again).max(), name
    kernel = moonshine.weights["encoder_0/attention/query_kernel"]
    assert not Grid(moonshine.grids["encoder_0/attention/query_kernel"].scale * 1.01, -141).holds(kernel)


def test_the_pieces_are_those_of_the_tokenizer(moonshine):
    assert len(moonshine.pieces) == len(set(moonshine.pieces)) == 32_768
    assert moonshine.pieces[259:265] == ("\u2581\u2581", "\u2581t", "er", "in", "\u2581a", "en")
    assert moonshine.pieces[-1] == "<<ST_767>>"


def test_the_licence_is_the_wheels(moonshine, moonshine_source):
    text = (Path(tflite_asr.importing.__file__).parent / "LICENSE.moonshine").read_bytes()
    assert moonshine.licence_text == text and b"Copyright (c) 2025 Moonshine AI" in text
    if moonshine_source != "installed":
        with zipfile.ZipFile(moonshine_source) as wheel:
            assert wheel.read("moonshine_voice-0.0.64.dist-info/licenses/LICENSE") == text


def test_both_kinds_of_sources_give_the_same_weights(moonshine, tmp_path):
    folder = transformers_folder(tmp_path / "hf", to_transformers(moonshine.weights), moonshine.pieces)
    again = read_moonshine(str(folder))
    assert again.weights.keys() == moonshine.weights.keys() and again.pieces == moonshine.pieces
    for name, weight in again.weights.items():
        np.testing.assert_array_equal(weight, moonshine.weights[name], err_msg=name)


def test_damaged_real_files_are_read_or_refused(ort_files):
    random = np.random.default_rng(1)
    for content in (ort_files.encoder, ort_files.decoder):
        for part in (0.001, 0.2, 0.6, 0.95):
            with pytest.raises(InputError):
                read_ort(content[: int(part * len(content))], "x")
    refused = 0
    for _ in range(20):
        content = bytearray(ort_files.encoder)
        start = int(random.integers(0, len(content) - 50_000))
        content[start : start + 50_000] = random.bytes(50_000)
        try:
            read_ort(bytes(content), "x")
        except InputError:
            refused += 1
    assert 0 < refused


@pytest.mark.slow
def test_the_imported_model_hears(moonshine_source, tmp_path):
    """A recording that comes with the weights, recognised by the folder that the command writes: stem, encoder, decoder
    and pieces in one.
    """
    import importlib.metadata
    import io

    import soundfile
    import tensorflow as tf

    from tflite_asr.models.storage import load_model

    out = tmp_path / "m"
    assert main(["import", "moonshine", moonshine_source, "--out", str(out)]) == 0
    model = load_model(out)
    assert model.grids == read_grids(out) and len(model.grids) == 112
    name = "moonshine_voice/assets/beckett.wav"
    if moonshine_source == "installed":
        content = Path(str(importlib.metadata.distribution("moonshine-voice").locate_file(name))).read_bytes()
    else:
        with zipfile.ZipFile(moonshine_source) as wheel:
            content = wheel.read(name)
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate == 16_000
    frames = model.front_end(tf.constant(samples[None]), tf.constant([len(samples)]))
    _, shared, lengths = model.encode_for_both(frames, tf.constant([frames.shape[1]]))
    encoded = model.decoder_input(shared, lengths)
    tokens = []
    while len(tokens) < 60:
        logits = model.decoder(
            encoded, lengths, tf.constant([tokens], tf.int32, [1, len(tokens)]), tf.constant([len(tokens)])
        )
        token = int(tf.argmax(logits[0, -1]))
        if token == model.config.decoder.end:
            break
        tokens.append(token)
    pieces = model.config.decoder.subwords.pieces
    text = "".join(pieces[token] for token in tokens).replace("\u2581", " ").strip()
    print(text)
    assert "try again" in text.lower() and "fail better" in text.lower()
