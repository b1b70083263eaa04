"""The model that a configuration describes."""

from tflite_asr.config import ModelConfig
from tflite_asr.models.ctc import CTC
from tflite_asr.models.transducer import Transducer
from tflite_asr.models.two_pass import TwoPass


def build_model(config: ModelConfig) -> Transducer | CTC:
    """With random weights, drawn from TensorFlow's seed."""
    if config.rescorer:
        return TwoPass(config)
    return Transducer(config) if config.prediction else CTC(config)
