"""The model that a configuration describes."""

import dataclasses

from tflite_asr.config import ModelConfig
from tflite_asr.models.attention import CTCAttention
from tflite_asr.models.ctc import CTC
from tflite_asr.models.transducer import Transducer
from tflite_asr.models.two_pass import TwoPass


def build_model(config: ModelConfig) -> Transducer | CTC:
    """With random weights, drawn from TensorFlow's seed."""
    if config.rescorer:
        return TwoPass(config)
    if config.decoder:
        return CTCAttention(config)
    return Transducer(config) if config.prediction else CTC(config)


def with_adapters(model: Transducer | CTC, bottleneck: int) -> Transducer | CTC:
    """The same model with a residual adapter behind each encoder group, which changes nothing yet."""
    adapted = build_model(dataclasses.replace(model.config, adapters=bottleneck))
    weights = adapted.named_weights()
    for name, weight in model.named_weights().items():
        weights[name].assign(weight)
    adapted.grids = model.grids
    return adapted
