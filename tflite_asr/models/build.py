"""The model that a configuration describes."""

import dataclasses
import math
from collections.abc import Sequence

from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
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
    return Transducer(config) if config.is_transducer else CTC(config)


def with_lengths(model: Transducer | CTC, seconds: Sequence[float]) -> Transducer | CTC:
    """The same model, its weights too, whose export holds signatures for utterances of each of these lengths.

    Args:
        model: whose sizes for the longest utterance are set by the longest of them, the number of labels in proportion.
        seconds: of the recordings that each length just holds, with the silence that recognition adds.
    """
    config, step = model.config, model.config.encoder.frames_per_step
    rate = config.features.sample_rate
    silence = 2 * config.edge_samples  # that recognition adds
    whole = [config.features.frames_of(round(s * rate) + silence) + config.tail_frames for s in seconds]
    frames = sorted({-(-count // step) * step if count > config.tail_frames else 0 for count in whole})
    if not frames or frames[0] < step:
        raise InputError(
            f"lengths: expected seconds, each of {config.features.samples_of(step) / rate:.2f} s or more, got "
            f"{', '.join(f'{s:g}' for s in seconds) or 'none'}"
        )
    tokens = math.ceil(config.sizes.max_tokens * frames[-1] / config.sizes.max_frames)
    sizes = dataclasses.replace(config.sizes, max_frames=frames[-1], max_tokens=tokens, lengths=tuple(frames[:-1]))
    return model.with_config(dataclasses.replace(config, sizes=sizes))


def with_adapters(model: Transducer | CTC, bottleneck: int) -> Transducer | CTC:
    """The same model with a residual adapter behind each encoder group, which changes nothing yet."""
    adapted = build_model(dataclasses.replace(model.config, adapters=bottleneck))
    weights = adapted.named_weights()
    for name, weight in model.named_weights().items():
        weights[name].assign(weight)
    adapted.grids = model.grids
    return adapted
