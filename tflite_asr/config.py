"""What a recogniser is made of: frozen dataclasses, one per part, and the named presets."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tflite_asr.errors import InputError

MIN_SECONDS = 0.2  # of a recording: below it no word is whole
LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ'"


@dataclass(frozen=True)
class FeatureConfig:
    """Log-mel frames. The band ends at 3.8 kHz so that 8 kHz recordings sound like 16 kHz ones."""

    sample_rate: int = 16_000  # Hz
    window_samples: int = 400  # 25 ms
    hop_samples: int = 160  # 10 ms
    fft_size: int = 512
    mel_bands: int = 40
    min_hz: float = 60.0
    max_hz: float = 3_800.0
    log_floor: float = 1e-7  # mel power; a little above the rounding noise of 16 bits
    mean: float = -7.5  # of log-mel over speech, and
    deviation: float = 3.5  # its standard deviation: brings frames near zero mean and unit variance
    kind: str = "log_mel"

    @property
    def width(self) -> int:
        """Values in a frame."""
        return self.mel_bands

    def samples_of(self, frames: int) -> int:
        """How many samples make `frames` frames."""
        return self.window_samples + (frames - 1) * self.hop_samples

    def frames_of(self, samples: int) -> int:
        """How many whole frames are in `samples` samples (0 when shorter than a window)."""
        return max(0, (samples - self.window_samples) // self.hop_samples + 1)


@dataclass(frozen=True)
class StemConfig:
    """Waveform stem: three strided convolutions on the samples (Jeffries et al. 2024, arXiv 2410.15608, section 3).

    A kernel of 127 samples every 64, then of 7 steps every 3, then of 3 steps every 2, none padded: a frame covers 895
    samples (56 ms), the next starts 384 samples (24 ms) later.
    """

    units: int  # of the first and the last convolution; the middle one has twice as many
    sample_rate: int = 16_000  # Hz
    kind: str = "stem"

    window_samples = 895  # class attributes: they follow from the kernels
    hop_samples = 384

    @property
    def width(self) -> int:
        """Values in a frame."""
        return self.units

    samples_of = FeatureConfig.samples_of
    frames_of = FeatureConfig.frames_of


FRONT_ENDS = {"log_mel": FeatureConfig, "stem": StemConfig}


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
    kind: str = "lstm"

    @property
    def frames_per_step(self) -> int:
        """Feature frames in one step of the encoder's output."""
        return self.stack_frames * self.reduction


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
    kind: str = "conformer"

    @property
    def frames_per_step(self) -> int:
        """Feature frames in one step of the encoder's output."""
        return self.stack_frames


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
    kind: str = "transformer"

    stack_frames = 1  # class attributes: the front end has done this
    frames_per_step = 1


# sum: all alike (Wright et al. 2023); sandwich: the last, 0.3 of the first, 0.3 of one between (Yu and Huang 2019)
EXIT_WEIGHTINGS = ("sum", "sandwich")
ENCODERS = {"lstm": EncoderConfig, "conformer": ConformerConfig, "transformer": TransformerConfig}


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
    encoder_layers: int = (
        0  # of its own, in place of the last so many of the first pass, which then trains without changing it
    )
    start: int = 1  # token before the first
    end: int = 2  # token after the last
    tokens_per_second: float = 6.5  # bound on what is decoded; above it a decoder repeats itself
    weight: float = 0.5  # of its cross entropy beside the CTC loss, when both passes are trained
    subwords: SubwordConfig | None = None  # None: of a decoder whose tokens nobody can read
    trains: bool = False  # whether its cross entropy is what trains on the device, in place of the first pass's loss

    @property
    def head_size(self) -> int:
        return self.units // self.heads


@dataclass(frozen=True)
class SizeConfig:
    """Fixed sizes of an export: TFLite plans its memory for them."""

    batch: int
    max_frames: int  # of 10 ms
    max_tokens: int
    stream_frames: int  # frames in one call of `stream`; a multiple of the encoder's frames_per_step
    max_symbols_per_step: int = 10  # bound on labels at one encoder step, so that decoding ends; words may come whole
    beam: int = 8  # rows of one `predict` or `join` call
    lengths: tuple[int, ...] = ()  # below max_frames, rising: there are signatures for utterances of each as well
    suffix: str = ""  # of the names of the signatures of these sizes; see `ModelConfig.at_length`


@dataclass(frozen=True)
class ModelConfig:
    """A recogniser: everything needed to build it again. Its last head is a transducer's, or CTC's without
    `prediction`.
    """

    name: str
    encoder: EncoderConfig | ConformerConfig | TransformerConfig
    prediction: PredictionConfig | None
    joint_units: int  # 0 without prediction network
    sizes: SizeConfig
    characters: str = LETTERS  # of the first pass, which it spells in these or in
    subwords: SubwordConfig | None = None
    exits: tuple[int, ...] = ()  # encoder groups after which a CTC head of their own may end the recognition early
    exit_weighting: str = "sum"  # of the exits' losses, the last included: see EXIT_WEIGHTINGS
    rescorer: RescorerConfig | None = None  # a second pass over the n-best of a transducer
    decoder: DecoderConfig | None = None  # a second pass over a CTC encoder
    adapters: int = 0  # units of the bottleneck of a residual adapter behind each encoder group; 0 for none
    tail_frames: int = 20  # of silence, added to an utterance before it is recognised: a stream has no look-ahead
    edge_samples: int = (
        0  # of silence, added before and after an utterance: a stem that normalises misses words at an edge
    )
    features: FeatureConfig | StemConfig = field(default_factory=FeatureConfig)
    learning_rate: float = 1e-3  # at which it is personalised unless told otherwise
    licences: tuple[dict, ...] = ()  # of weights that others trained: what, licence, holder, source

    def __post_init__(self):
        lengths = self.sizes.lengths
        if lengths != tuple(sorted(set(lengths))) or not all(0 < n < self.sizes.max_frames for n in lengths):
            raise InputError(
                f"model configuration: expected lengths in rising order from 1 to {self.sizes.max_frames - 1} frames, "
                f"got {list(lengths)}"
            )
        early = range(self.encoder.layers - 1)
        if self.exits != tuple(sorted(set(self.exits) & set(early))):
            raise InputError(
                f"model configuration: expected exits in rising order from 0 to {len(early) - 1}, got "
                f"{list(self.exits)}"
            )
        first_residual = getattr(self.encoder, "residual_from", None)
        if first_residual is not None and first_residual <= self.encoder.reduce_after:
            raise InputError(
                f"model configuration: residual_from: expected a layer after {self.encoder.reduce_after}, where steps "
                f"are joined, "
                f"got {first_residual}"
            )
        if self.rescorer and not self.prediction:
            raise InputError("model configuration: a rescorer needs a transducer as first pass, got a CTC head")
        if self.rescorer and self.exits:
            raise InputError(
                f"model configuration: a rescorer needs the whole encoder, got early exits {list(self.exits)}"
            )
        if self.rescorer and self.sizes.beam < 2:
            raise InputError(
                f"model configuration: a rescorer chooses among 2 or more hypotheses, got a beam of {self.sizes.beam}"
            )
        if self.decoder and (self.prediction or self.decoder.units != self.encoder.units):
            raise InputError(
                "model configuration: a decoder needs a CTC encoder of its own width as first pass, got "
                + ("a transducer" if self.prediction else f"{self.encoder.units} units for {self.decoder.units}")
            )
        if self.decoder and self.decoder.encoder_layers and not isinstance(self.encoder, TransformerConfig):
            raise InputError(
                "model configuration: a decoder's own encoder layers: expected a transformer encoder, got "
                f"{type(self.encoder).__name__}"
            )
        if self.decoder and not 0 <= self.decoder.encoder_layers < self.encoder.layers:
            raise InputError(
                f"model configuration: a decoder's own encoder layers: expected 0 to {self.encoder.layers - 1}, "
                f"got {self.decoder.encoder_layers}"
            )
        if self.adapters < 0:
            raise InputError(f"model configuration: adapters: expected 0 or more units, got {self.adapters}")
        if self.adapters and self.exits:
            raise InputError(f"model configuration: adapters need a model without early exits, got {list(self.exits)}")
        if self.exit_weighting not in EXIT_WEIGHTINGS:
            raise InputError(
                f"model configuration: no exit weighting {self.exit_weighting!r}; there are: "
                f"{', '.join(EXIT_WEIGHTINGS)}"
            )

    @property
    def vocabulary_size(self) -> int:
        """Labels of the heads: blank (0), then the characters or subwords."""
        return 1 + len(self.subwords.pieces if self.subwords else self.characters)

    @property
    def cased(self) -> bool:
        """Whether its texts have case and punctuation: error rates then leave them out of account."""
        return bool(self.subwords or self.decoder)

    @property
    def max_subwords(self) -> int:
        """Most subwords that a decoder puts out for the longest utterance."""
        return int(self.max_seconds * self.decoder.tokens_per_second)

    def at_length(self, frames: int) -> "ModelConfig":
        """The same with the sizes of utterances of at most so many frames, one of `sizes.lengths`: labels in
        proportion and half as many more, since short utterances may be fast, and signatures with a suffix."""
        share = min(1.0, 1.5 * frames / self.sizes.max_frames)
        sizes = dataclasses.replace(
            self.sizes,
            max_frames=frames,
            max_tokens=math.ceil(share * self.sizes.max_tokens),
            lengths=(),
            suffix=f"_{frames}f",
        )
        return dataclasses.replace(self, sizes=sizes)

    def shortest(self, frames: int, labels: int = 0) -> "ModelConfig":
        """The same with the smallest sizes that hold an utterance of so many frames and, to learn from, labels."""
        for length in self.sizes.lengths:
            sized = self.at_length(length)
            if frames <= length and labels <= sized.max_labels:
                return sized
        return self

    def most_subwords(self, frames: int) -> int:
        """Most subwords that a decoder puts out for so many frames: one that hears nothing repeats itself without
        end."""
        seconds = self.features.samples_of(max(frames, 1)) / self.features.sample_rate
        return max(1, min(self.max_subwords, round(seconds * self.decoder.tokens_per_second)))

    @property
    def trains_second_pass(self) -> bool:
        """Whether what trains on the device is the second pass: labels to learn from are then its subwords."""
        return bool(self.decoder and self.decoder.trains)

    @property
    def max_labels(self) -> int:
        """Most labels of an utterance to learn from."""
        return self.max_subwords if self.trains_second_pass else self.sizes.max_tokens

    @property
    def first_label(self) -> int:
        """The smallest label: behind the blank, or behind the decoder's start and end."""
        return 1 + max(self.decoder.start, self.decoder.end) if self.trains_second_pass else 1

    @property
    def label_bound(self) -> int:
        """Labels to learn from are below this."""
        return self.decoder.vocabulary_size if self.trains_second_pass else self.vocabulary_size

    @property
    def max_seconds(self) -> float:
        """Longest utterance that the fixed sizes hold."""
        return self.features.samples_of(self.sizes.max_frames) / self.features.sample_rate

    @property
    def min_seconds(self) -> float:
        """Shortest recording to learn from: a word takes 0.2 s, and played faster it still has to fill an
        encoder step.
        """
        return max(
            MIN_SECONDS, 1.25 * self.features.samples_of(self.encoder.frames_per_step) / self.features.sample_rate
        )

    def to_json(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict) -> "ModelConfig":
        parts = {
            "encoder": functools.partial(_of_kind, "encoder", ENCODERS, "lstm"),
            "prediction": PredictionConfig,
            "rescorer": RescorerConfig,
            "sizes": _sizes,
            "subwords": _subwords,
            "decoder": _decoder,
            "features": functools.partial(_of_kind, "front end", FRONT_ENDS, "log_mel"),
        }
        try:
            made = {
                key: parts[key](**value) if key in parts and value is not None else value
                for key, value in values.items()
            }
            licences = tuple(dict(**row) for row in values.get("licences", ()))
            return cls(**made | {"exits": tuple(values.get("exits", ())), "licences": licences})
        except (TypeError, AttributeError) as error:
            raise InputError(f"model configuration: {error}; was it written by another version?") from None


def _sizes(lengths: Sequence[int] = (), **fields) -> SizeConfig:
    """Sizes, whose lengths JSON has as a list."""
    return SizeConfig(**fields, lengths=tuple(lengths))


def _decoder(subwords: dict | None = None, **fields) -> DecoderConfig:
    """A decoder, whose subwords JSON has as lists."""
    return DecoderConfig(**fields, subwords=None if subwords is None else _subwords(**subwords))


def _subwords(pieces: Sequence[str], scores: Sequence[float] | None = None) -> SubwordConfig:
    """A vocabulary of JSON's lists."""
    return SubwordConfig(tuple(pieces), None if scores is None else tuple(scores))


def _of_kind(what: str, kinds: dict[str, type], default: str, kind: str | None = None, **fields):
    """A part of the configuration, of one of several classes; older files do not say which, and mean the first."""
    kind = kind or default
    if kind not in kinds:
        raise InputError(f"model configuration: no {what} named {kind!r}; there are: {', '.join(kinds)}")
    return kinds[kind](**fields)


PRESETS = {
    # for tests: every part is there, a step takes milliseconds
    "tiny": ModelConfig(
        name="tiny",
        encoder=EncoderConfig(layers=3, units=24, reduce_after=1),
        prediction=PredictionConfig(embedding=8, units=16),
        joint_units=16,
        sizes=SizeConfig(batch=2, max_frames=120, max_tokens=12, stream_frames=24, max_symbols_per_step=4),
    ),
    # words and strings of words: 1.4 M parameters, up to six seconds
    "commands": ModelConfig(
        name="commands",
        encoder=EncoderConfig(layers=4, units=192, dropout=0.2),
        prediction=PredictionConfig(embedding=64, units=128),
        joint_units=128,
        sizes=SizeConfig(batch=4, max_frames=600, max_tokens=48, stream_frames=24),
    ),
    # words and pairs of words, that can be left after two and four of six groups: 0.5 M parameters, up to three seconds
    "commands_exits": ModelConfig(
        name="commands_exits",
        encoder=ConformerConfig(layers=6, units=64, feed_forward=192, kernel=15),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=4, max_frames=300, max_tokens=32, stream_frames=40),
        exits=(1, 3),
    ),
    # the model of Sim et al. 2019, section 5.1: 124 M parameters, to measure memory and time at the paper's scale
    "sim2019": ModelConfig(
        name="sim2019",
        encoder=EncoderConfig(layers=8, units=640, cells=2048),
        prediction=PredictionConfig(embedding=128, units=640, cells=2048, layers=2),
        joint_units=640,
        sizes=SizeConfig(batch=1, max_frames=600, max_tokens=30, stream_frames=24),
    ),
    # for tests: every part of a conformer with CTC
    "tiny_conformer": ModelConfig(
        name="tiny_conformer",
        encoder=ConformerConfig(layers=3, units=24, feed_forward=40, heads=2, kernel=5),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=2, max_frames=120, max_tokens=12, stream_frames=24),
    ),
    # the same with two early exits
    "tiny_exits": ModelConfig(
        name="tiny_exits",
        encoder=ConformerConfig(layers=3, units=24, feed_forward=40, heads=2, kernel=5),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=2, max_frames=120, max_tokens=12, stream_frames=24),
        exits=(0, 1),
    ),
    # for tests: both passes
    "tiny_two_pass": ModelConfig(
        name="tiny_two_pass",
        encoder=EncoderConfig(layers=3, units=24, reduce_after=1),
        prediction=PredictionConfig(embedding=8, units=16),
        joint_units=16,
        sizes=SizeConfig(batch=2, max_frames=120, max_tokens=12, stream_frames=24, max_symbols_per_step=4, beam=4),
        rescorer=RescorerConfig(embedding=8, units=16, heads=2),
    ),
    # sentences of up to 20 seconds in two passes, to compress (Dawalatabad et al. 2021): 3.4 M parameters. The lower
    # encoder groups, the prediction and the joint network have the shapes of `commands`, to start from what it has
    # learned
    "sentences_teacher": ModelConfig(
        name="sentences_teacher",
        encoder=EncoderConfig(layers=7, units=192, dropout=0.15, residual_from=4),
        prediction=PredictionConfig(embedding=64, units=128),
        joint_units=128,
        sizes=SizeConfig(batch=4, max_frames=2_082, max_tokens=64, stream_frames=36),
        rescorer=RescorerConfig(embedding=64, units=208),
    ),
    # what it is compressed to
    "sentences_student": ModelConfig(
        name="sentences_student",
        encoder=EncoderConfig(layers=3, units=192, dropout=0.1),
        prediction=PredictionConfig(embedding=64, units=128),
        joint_units=128,
        sizes=SizeConfig(batch=4, max_frames=2_082, max_tokens=64, stream_frames=36),
        rescorer=RescorerConfig(embedding=48, units=96),
    ),
    # for tests: a waveform stem, transformer layers, a CTC head and a decoder
    "tiny_english": ModelConfig(
        name="tiny_english",
        features=StemConfig(units=16),
        encoder=TransformerConfig(layers=3, units=16, feed_forward=24, heads=2, rotary=6),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=2, max_frames=50, max_tokens=12, stream_frames=24, beam=4),
        decoder=DecoderConfig(
            layers=2, units=16, feed_forward=24, vocabulary_size=40, heads=2, rotary=6, encoder_layers=1
        ),
        tail_frames=0,
    ),
    # the sizes of Moonshine tiny (Jeffries et al. 2024), what `import moonshine` makes: 7.7 M parameters and 19.4 M of
    # the decoder, on up to twelve seconds
    "english": ModelConfig(
        name="english",
        features=StemConfig(units=288),
        encoder=TransformerConfig(layers=6, units=288, feed_forward=1152, dropout=0.1),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=1, max_frames=498, max_tokens=240, stream_frames=24, beam=4),
        decoder=DecoderConfig(layers=6, units=288, feed_forward=1152, vocabulary_size=32_768, encoder_layers=2),
        tail_frames=0,
        edge_samples=1_600,
        learning_rate=1e-4,
    ),
    # the sizes of Wright et al. 2023: 31 M parameters; here with characters, on up to four seconds
    "wright2023": ModelConfig(
        name="wright2023",
        encoder=ConformerConfig(layers=12, units=256, feed_forward=2048, heads=8),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=2, max_frames=400, max_tokens=40, stream_frames=40),
        features=FeatureConfig(mel_bands=80, max_hz=7_600.0),
    ),
}


def preset(name: str) -> ModelConfig:
    """The named preset; InputError lists the names there are."""
    if name not in PRESETS:
        raise InputError(f"no preset named {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]
