"""Encoders: a chain of layers of one kind, each a layer group."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EncoderConfig:
    """Unidirectional LSTM layers, one layer group each (Sim et al. 2019, section 2)."""

    layers: int
    units: int
    stack_frames: int = 3  # three 10 ms frames make one 30 ms input: a third of the steps
    reduce_after: int = 2  # after this many layers, two steps become one of 60 ms
    reduction: int = 2
    dropout: float = 0.1  # between layers, while training the base model only
    cells: int | None = None  # of the LSTM, projected to `units`; None: as many as units, no projection
    residual_from: int | None = None  # layers from this one on add to what they hear; they begin as the identity
    kind: Literal["lstm"] = "lstm"

    streams = True  # class attributes: a layer keeps a state and looks at no later step,
    prenorm = False  # and normalises what it puts out

    @property
    def frames_per_step(self) -> int:
        """Feature frames in one step of the encoder's output."""
        return self.stack_frames * self.reduction

    def steps_after(self, group: int, frames: int) -> int:
        """Encoder steps of `frames` feature frames behind layer group `group`."""
        return frames // self.stack_frames // (self.reduction if group >= self.reduce_after else 1)


@dataclass(frozen=True)
class ConformerConfig:
    """Conformer layers, one layer group each (Gulati et al. 2020, with layer norm in place of batch norm)."""

    layers: int
    units: int
    feed_forward: int  # hidden units of the two half steps
    heads: int = 4
    kernel: int = 31  # taps of the causal depthwise convolution
    stack_frames: int = 4  # four 10 ms frames make one 40 ms input
    left_context: int = 0  # steps that attention looks back, and then no step ahead; 0: the whole utterance
    dropout: float = 0.1
    kind: Literal["conformer"] = "conformer"

    streams = False  # class attributes: attention needs the whole utterance,
    prenorm = False  # and each layer normalises what it puts out

    @property
    def frames_per_step(self) -> int:
        """Feature frames in one step of the encoder's output."""
        return self.stack_frames

    def steps_after(self, group: int, frames: int) -> int:
        """Encoder steps of `frames` feature frames behind layer group `group`."""
        return frames // self.stack_frames


@dataclass(frozen=True)
class TransformerConfig:
    """Transformer encoder layers with rotary positions, one layer group each (Jeffries et al. 2024, arXiv 2410.15608).

    A step of the encoder is a frame of the front end. Attention spans the whole utterance.
    """

    layers: int
    units: int
    feed_forward: int  # hidden units
    heads: int = 8
    rotary: int = 32  # dimensions of a head that are rotated by position; the rest are left alone
    dropout: float = 0.0
    kind: Literal["transformer"] = "transformer"

    streams = False  # class attributes: attention needs the whole utterance,
    prenorm = True  # each layer normalises its input, the last one also what it puts out,
    stack_frames = 1  # and the front end has stacked the frames
    frames_per_step = 1

    def steps_after(self, group: int, frames: int) -> int:
        """Encoder steps of `frames` feature frames behind layer group `group`."""
        return frames // self.stack_frames


Encoder = EncoderConfig | ConformerConfig | TransformerConfig
ENCODERS = {"lstm": EncoderConfig, "conformer": ConformerConfig, "transformer": TransformerConfig}  # by `kind`
