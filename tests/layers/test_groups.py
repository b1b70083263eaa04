"""A configuration's groups follow the contract, or making the model says what is missing."""

import dataclasses

import pytest
import tf_keras as keras

from tflite_asr.config import preset
from tflite_asr.layers import groups
from tflite_asr.layers.encoder import LSTMGroup
from tflite_asr.models.build import build_model


class NoReduction(keras.layers.Layer):
    def activation_elements(self, steps):
        return steps


class NoState(NoReduction):
    reduction = 1


@pytest.mark.parametrize(
    ("kind", "missing"), [(NoReduction, "no reduction, no initial_state"), (NoState, "no initial_state")]
)
def test_a_group_without_a_part_of_the_contract_is_refused_before_anything_is_computed(monkeypatch, kind, missing):
    monkeypatch.setattr(
        groups, "_layer_groups", lambda encoder: [LSTMGroup(8, name="encoder_0"), kind(name="encoder_1")]
    )
    with pytest.raises(TypeError, match=f"encoder_1: expected reduction, .*{kind.__name__} has {missing};"):
        build_model(preset("tiny"))


def test_adapters_follow_the_contract_of_an_encoder_that_streams():
    config = dataclasses.replace(preset("tiny"), adapters=3)
    assert config.encoder.streams
    names = [group.name for group in groups.encoder_groups(config)]
    assert names[:3] == ["encoder_0", "adapter_0", "encoder_1"]
