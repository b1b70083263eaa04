"""Heads on an encoder: the prediction network of a transducer, and second passes."""

from dataclasses import dataclass
from typing import TypeVar

Part = TypeVar("Part")


def required(part: Part | None, name: str) -> Part:
    """A part that the caller's model has; ValueError if its configuration is without it."""
    if part is None:
        raise ValueError(f"model configuration: expected a {name}, got none")
    return part


@dataclass(frozen=True)
class PredictionConfig:
    """Prediction network: the label history, by LSTM layers."""

    embedding: int
    units: int
    dropout: float = 0.2  # a small vocabulary of words is soon learnt by heart
    layers: int = 1
    cells: int | None = None  # as in the encoder

    @property
    def hidden_size(self) -> int:
        """Width of the hidden state that `predict` takes and gives: all layers' side by side."""
        return self.layers * self.units

    @property
    def cell_size(self) -> int:
        """The same of the cells."""
        return self.layers * (self.cells or self.units)


@dataclass(frozen=True)
class RescorerConfig:
    """Second pass: an attention decoder over the encoder's output (Sainath et al. 2019, arXiv 1908.10992)."""

    embedding: int
    units: int
    heads: int = 4
    dropout: float = 0.2
    weight: float = 0.5  # of its cross entropy beside the transducer's loss, when both passes are trained


@dataclass(frozen=True)
class SubwordConfig:
    """Pieces of a subword vocabulary in the order of their ids, U+2581 for a space and "<0x41>" for a byte; the best
    score is merged first, without scores the lowest id.
    """

    pieces: tuple[str, ...]
    scores: tuple[float, ...] | None = None


@dataclass(frozen=True)
class DecoderConfig:
    """Second pass over a CTC encoder: a transformer decoder over subwords, which rescores hypotheses and decodes by
    itself (hybrid CTC/attention, Watanabe et al. 2017, doi 10.1109/JSTSP.2017.2763455).
    """

    layers: int
    units: int  # of the encoder too
    feed_forward: int  # hidden units behind the gate
    vocabulary_size: int  # subwords
    heads: int = 8
    rotary: int = 32
    # of its own, in place of as many upper ones of the first pass; training one pass then does not change the other
    encoder_layers: int = 0
    start: int = 1  # token before the first
    end: int = 2  # token after the last
    tokens_per_second: float = 6.5  # bound on what is decoded; above it a decoder repeats itself
    weight: float = 0.5  # of its cross entropy beside the CTC loss, when both passes are trained
    subwords: SubwordConfig | None = None  # None: of a decoder whose tokens nobody can read
    trains: bool = False  # whether its cross entropy is what trains on the device, in place of the first pass's loss

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.units // self.heads
