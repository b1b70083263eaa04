"""The encoder's layer groups that a configuration describes."""

import itertools

import tf_keras as keras

from tflite_asr.config import ConformerConfig, Encoder, ModelConfig, TransformerConfig
from tflite_asr.layers.adapter import AdapterGroup
from tflite_asr.layers.conformer import ConformerGroup
from tflite_asr.layers.encoder import LSTMGroup
from tflite_asr.layers.transformer import TransformerGroup


def encoder_groups(config: ModelConfig) -> list[keras.layers.Layer]:
    """The groups in order, `encoder_0`, `encoder_1`, ..., each with its adapter behind it where there are adapters;
    called as group(x, lengths, state=None, training=False).
    """
    groups = _layer_groups(config.encoder)
    if not config.adapters:
        return groups
    adapters = [AdapterGroup(config.adapters, name=f"adapter_{index}") for index in range(len(groups))]
    return list(itertools.chain.from_iterable(zip(groups, adapters)))


def decoder_encoder_groups(config: ModelConfig) -> list[keras.layers.Layer]:
    """The encoder layers that a decoder has in place of the first pass's last ones: `decoder_encoder_0`, ..."""
    return _transformer_groups(config.encoder, config.decoder.encoder_layers, "decoder_encoder", dropout=0.0)


def _transformer_groups(encoder: TransformerConfig, layers: int, name: str, dropout: float) -> list[TransformerGroup]:
    """So many layers, of which the last one normalises."""
    return [
        TransformerGroup(
            encoder.units,
            encoder.feed_forward,
            encoder.heads,
            encoder.rotary,
            last=index == layers - 1,
            dropout=dropout,
            name=f"{name}_{index}",
        )
        for index in range(layers)
    ]


def _layer_groups(encoder: Encoder) -> list[keras.layers.Layer]:
    if isinstance(encoder, TransformerConfig):
        return _transformer_groups(encoder, encoder.layers, "encoder", encoder.dropout)
    if isinstance(encoder, ConformerConfig):
        return [
            ConformerGroup(
                encoder.units,
                encoder.feed_forward,
                encoder.heads,
                encoder.kernel,
                left_context=encoder.left_context,
                dropout=encoder.dropout,
                name=f"encoder_{index}",
            )
            for index in range(encoder.layers)
        ]
    first_residual = encoder.layers if encoder.residual_from is None else encoder.residual_from
    return [
        LSTMGroup(
            encoder.units,
            reduction=encoder.reduction if index == encoder.reduce_after else 1,
            dropout=encoder.dropout if index else 0.0,
            cells=encoder.cells,
            residual=index >= first_residual,
            name=f"encoder_{index}",
        )
        for index in range(encoder.layers)
    ]
