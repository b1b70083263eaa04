"""What a model starts from that another one has learned."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.models.build import build_model
from tflite_asr.models.storage import save_model
from tflite_asr.training.initial import initial_weights


def with_layers(name, layers):
    config = preset(name)
    return dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, layers=layers, dropout=0.3))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A transducer's folder, and its weights."""
    folder = tmp_path_factory.mktemp("trained")
    weights = {name: weight.numpy() for name, weight in build_model(preset("tiny")).named_weights().items()}
    save_model(folder, preset("tiny"), weights)
    return folder, weights


@pytest.mark.parametrize(("layers", "gone"), [(4, None), (3, None), (2, "encoder_2")])
def test_a_two_pass_model_starts_from_the_groups_that_a_transducer_has_too(trained, layers, gone):
    folder, weights = trained
    config = with_layers("tiny_two_pass", layers)
    found = initial_weights(str(folder), config)
    assert set(found) == {name for name in weights if name.split("/")[0] != gone}
    for name, variable in build_model(config).named_weights().items():
        if name in found:
            variable.assign(found[name])  # the shapes fit
            np.testing.assert_array_equal(found[name], weights[name])
        else:
            assert name.split("/")[0] in ("rescorer", "encoder_3")


def test_residual_layers_on_top_change_nothing_at_first(trained):
    folder, weights = trained
    deeper = with_layers("tiny_two_pass", 5)
    deeper = dataclasses.replace(deeper, encoder=dataclasses.replace(deeper.encoder, residual_from=3))
    model, shallow = build_model(deeper), build_model(preset("tiny"))
    for name, value in initial_weights(str(folder), deeper).items():
        model.named_weights()[name].assign(value)
        shallow.named_weights()[name].assign(value)
    frames, lengths = (
        np.random.default_rng(1).standard_normal([2, 60, 40]).astype(np.float32),
        np.array([60, 31], np.int32),
    )
    found, expected = model.encode(frames, lengths), shallow.encode(frames, lengths)
    np.testing.assert_array_equal(found[0], expected[0])


def test_residual_layers_among_those_in_common_are_refused(trained):
    config = preset("tiny_two_pass")
    config = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, residual_from=2))
    with pytest.raises(InputError, match="got other encoder"):
        initial_weights(str(trained[0]), config)


def test_a_residual_layer_where_steps_are_joined_is_refused():
    config = preset("tiny")
    with pytest.raises(InputError, match="residual_from: expected a layer after 1"):
        dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, residual_from=1))


def test_a_model_starts_from_an_exported_one(tiny_tflite, new_tiny_model):
    found = initial_weights(str(tiny_tflite), preset("tiny_two_pass"))
    shipped = new_tiny_model().named_weights()
    assert set(found) == set(shipped)
    for name, variable in shipped.items():
        np.testing.assert_array_equal(found[name], variable.numpy())


def test_a_rescorer_that_is_not_there_is_left_out(tmp_path):
    config = preset("tiny_two_pass")
    save_model(tmp_path, config, {name: weight.numpy() for name, weight in build_model(config).named_weights().items()})
    assert {name.split("/")[0] for name in initial_weights(str(tmp_path), preset("tiny"))} == {
        *("encoder_0", "encoder_1", "encoder_2", "prediction", "joint")
    }


def test_a_rescorer_of_another_width_is_left_out(tmp_path):
    config = preset("tiny_two_pass")
    save_model(tmp_path, config, {name: weight.numpy() for name, weight in build_model(config).named_weights().items()})
    assert any(name.startswith("rescorer/") for name in initial_weights(str(tmp_path), config))
    smaller = dataclasses.replace(config, rescorer=dataclasses.replace(config.rescorer, units=8))
    assert not any(name.startswith("rescorer/") for name in initial_weights(str(tmp_path), smaller))


def test_other_widths_are_refused_and_as_a_whole_other_depths(trained):
    folder, _ = trained
    wider = dataclasses.replace(preset("tiny"), joint_units=32)
    with pytest.raises(InputError, match="encoder groups, rescorer and sizes alone, got other joint_units"):
        initial_weights(str(folder), wider)
    assert initial_weights(str(folder), preset("tiny"), whole=True)
    with pytest.raises(InputError, match="differs from tiny in its exits alone, got other encoder"):
        initial_weights(str(folder), with_layers("tiny", 4), whole=True)


def test_weights_that_are_views_are_stored_as_they_are(tmp_path):
    """safetensors would write the buffer of a transposed array in its own order."""
    from tflite_asr.models.storage import read_model

    weight = np.arange(12, dtype=np.float32).reshape(3, 4).T
    save_model(tmp_path, preset("tiny"), {"group/kernel": weight})
    np.testing.assert_array_equal(read_model(tmp_path)[1]["group/kernel"], weight)


def imported_like(folder):
    """A folder of stem, transformer layers and a decoder, as `import moonshine` writes it, and its weights."""
    weights = {name: weight.numpy() for name, weight in build_model(preset("tiny_english")).named_weights().items()}
    save_model(folder, preset("tiny_english"), weights)
    return weights


def without_decoder(layers, exits=()):
    config = with_layers("tiny_english", layers)
    return dataclasses.replace(config, decoder=None, exits=exits)


@pytest.mark.parametrize(("layers", "exits"), [(3, ()), (3, (0,)), (2, ())])
def test_an_encoder_starts_without_the_decoder_of_its_source(tmp_path, layers, exits):
    weights, config = imported_like(tmp_path), without_decoder(layers, exits)
    found, wanted = initial_weights(str(tmp_path), config), build_model(config).named_weights()
    kept = {*("stem", "ctc"), *(f"encoder_{layer}" for layer in range(layers))}
    assert set(found) == {name for name in weights if name.split("/")[0] in kept}
    assert all(wanted[name].shape == value.shape for name, value in found.items())


def test_a_deeper_transformer_does_not_take_the_normalisation_of_a_shallower_ones_last_layer(tmp_path):
    imported_like(tmp_path)
    config = without_decoder(4)
    found = initial_weights(str(tmp_path), config)
    assert set(found) <= set(build_model(config).named_weights())
    assert "encoder_2/gain" not in found and "encoder_2/attention/gain" in found


def test_the_front_end_alone_can_be_taken(tmp_path):
    weights, config = imported_like(tmp_path), without_decoder(3)
    found = initial_weights(str(tmp_path), config, groups="none")
    assert set(found) == {name for name in weights if name.startswith("stem/")}
    found = initial_weights(str(tmp_path), config, groups="encoder_0, ctc")
    assert {name.split("/")[0] for name in found} == {"stem", "encoder_0", "ctc"}


def test_a_group_that_the_source_lacks_is_refused(trained):
    with pytest.raises(InputError, match="--initial-groups encoder_9: no layer group 'encoder_9'"):
        initial_weights(str(trained[0]), preset("tiny"), groups="encoder_9")
