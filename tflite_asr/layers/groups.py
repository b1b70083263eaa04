"""The encoder's layer groups that a configuration describes."""

import itertools

import tf_keras as keras

from tflite_asr.config import Encoder, ModelConfig, TransformerConfig
from tflite_asr.config.heads import required
from tflite_asr.layers.adapter import AdapterGroup
from tflite_asr.layers.conformer import ConformerGroup
from tflite_asr.layers.encoder import LSTMGroup
from tflite_asr.layers.transformer import TransformerGroup


def encoder_groups(config: ModelConfig) -> list[keras.layers.Layer]:
    """The groups in order, `encoder_0`, `encoder_1`, ..., each followed by its adapter if there are adapters. They are
    called as group(x, lengths, state=None, training=False).

    Raises:
        TypeError: a group lacks a part of the contract, `signatures.spec.EncoderGroup`.
    """
    groups = _layer_groups(config.encoder)
    if config.adapters:
        adapters = [AdapterGroup(config.adapters, name=f"adapter_{index}") for index in range(len(groups))]
        groups = list(itertools.chain.from_iterable(zip(groups, adapters)))
    for group in groups:
        _check_contract(group, streams=config.encoder.streams)
    return groups


def _check_contract(group: keras.layers.Layer, streams: bool) -> None:
    """Raise where a group lacks what `SpeechModel` and the export read, which would fail much later."""
    parts = ("reduction", "activation_elements", *(["initial_state"] if streams else []))
    missing = [part for part in parts if not hasattr(group, part)]
    if missing:
        raise TypeError(
            f"{group.name}: expected {', '.join(parts)} of an encoder's layer group, {type(group).__name__} has no "
            f"{', no '.join(missing)}; CONTRIBUTING.md has the contract"
        )


def decoder_encoder_groups(config: ModelConfig) -> list[keras.layers.Layer]:
    """The encoder layers of the decoder, which replace the first pass's last ones: `decoder_encoder_0`, ..."""
    decoder = required(config.decoder, "decoder")
    if not decoder.encoder_layers:
        return []
    if config.encoder.kind != "transformer":  # the configuration refuses it
        raise ValueError(f"expected a transformer encoder, got {config.encoder.kind}")
    return _transformer_groups(config.encoder, decoder.encoder_layers, "decoder_encoder", dropout=0.0)


def _transformer_groups(encoder: TransformerConfig, layers: int, name: str, dropout: float) -> list[keras.layers.Layer]:
    """A chain of `layers` layers; the last one normalises its output."""
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
    if encoder.kind == "transformer":
        return _transformer_groups(encoder, encoder.layers, "encoder", encoder.dropout)
    if encoder.kind == "conformer":
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
    if encoder.kind != "lstm":
        raise ValueError(f"expected the layer groups of an encoder of kind {encoder.kind!r} here, there are none")
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
