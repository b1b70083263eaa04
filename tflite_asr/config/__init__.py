"""The configuration of a recogniser: frozen dataclasses, one for each part, and the named presets."""

from tflite_asr.config.encoders import ENCODERS, ConformerConfig, Encoder, EncoderConfig, TransformerConfig
from tflite_asr.config.front_ends import FRONT_ENDS, FeatureConfig, StemConfig
from tflite_asr.config.heads import DecoderConfig, PredictionConfig, RescorerConfig, SubwordConfig, required
from tflite_asr.config.model import EXIT_WEIGHTINGS, LETTERS, MIN_SECONDS, ModelConfig, SizeConfig
from tflite_asr.config.presets import PRESETS, preset

__all__ = [
    "ENCODERS",
    "EXIT_WEIGHTINGS",
    "FRONT_ENDS",
    "LETTERS",
    "MIN_SECONDS",
    "PRESETS",
    "ConformerConfig",
    "DecoderConfig",
    "Encoder",
    "EncoderConfig",
    "FeatureConfig",
    "ModelConfig",
    "PredictionConfig",
    "RescorerConfig",
    "SizeConfig",
    "StemConfig",
    "SubwordConfig",
    "TransformerConfig",
    "preset",
    "required",
]
