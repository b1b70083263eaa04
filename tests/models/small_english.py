"""A model of two passes that is small enough to be converted in a test."""

import dataclasses

import numpy as np
import tf_keras as keras

from tflite_asr.config import SubwordConfig, preset


def small_english(pieces: tuple[str, ...], **decoder):
    """`tiny_english` with two encoder layers and one decoder layer over these pieces, its random weights far from those
    of a beginning.

    Args:
        pieces: subwords of the decoder.
        decoder: what else its configuration has other.
    """
    from tflite_asr.models.build import build_model

    keras.utils.set_random_seed(6)
    config = preset("tiny_english")
    small = {"layers": 1, "vocabulary_size": len(pieces), "subwords": SubwordConfig(pieces)}
    model = build_model(
        dataclasses.replace(
            config,
            encoder=dataclasses.replace(config.encoder, layers=2),  # conversion takes seconds a layer
            decoder=dataclasses.replace(config.decoder, **small | decoder),
            edge_samples=800,
        )
    )
    random = np.random.default_rng(7)
    for name, weight in model.named_weights().items():
        weight.assign_add((1.0 if "embedding" in name else 0.2) * random.standard_normal(weight.shape))
    return model
