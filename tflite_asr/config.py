"""What a recogniser is made of: frozen dataclasses, one per part, and the named presets."""

import dataclasses
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

    def samples_of(self, frames: int) -> int:
        """How many samples make `frames` frames."""
        return self.window_samples + (frames - 1) * self.hop_samples

    def frames_of(self, samples: int) -> int:
        """How many whole frames are in `samples` samples (0 when shorter than a window)."""
        return max(0, (samples - self.window_samples) // self.hop_samples + 1)


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


# sum: all alike (Wright et al. 2023); sandwich: the last, 0.3 of the first, 0.3 of one between (Yu and Huang 2019)
EXIT_WEIGHTINGS = ("sum", "sandwich")
ENCODERS = {"lstm": EncoderConfig, "conformer": ConformerConfig}


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
class SizeConfig:
    """Fixed sizes of an export: TFLite plans its memory for them."""

    batch: int
    max_frames: int  # of 10 ms
    max_tokens: int
    stream_frames: int  # frames in one call of `stream`; a multiple of the encoder's frames_per_step
    max_symbols_per_step: int = 10  # bound on labels at one encoder step, so that decoding ends; words may come whole
    beam: int = 8  # rows of one `predict` or `join` call


@dataclass(frozen=True)
class ModelConfig:
    """A recogniser: everything needed to build it again. Its last head is a transducer's, or CTC's without `prediction`."""

    name: str
    encoder: EncoderConfig | ConformerConfig
    prediction: PredictionConfig | None
    joint_units: int  # 0 without prediction network
    sizes: SizeConfig
    characters: str = LETTERS
    exits: tuple[int, ...] = ()  # encoder groups after which a CTC head of their own may end the recognition early
    exit_weighting: str = "sum"  # of the exits' losses, the last included: see EXIT_WEIGHTINGS
    rescorer: RescorerConfig | None = None  # a second pass over the n-best of a transducer
    adapters: int = 0  # units of the bottleneck of a residual adapter behind each encoder group; 0 for none
    tail_frames: int = 20  # of silence, added to an utterance before it is recognised: a stream has no look-ahead
    features: FeatureConfig = field(default_factory=FeatureConfig)

    def __post_init__(self):
        early = range(self.encoder.layers - 1)
        if self.exits != tuple(sorted(set(self.exits) & set(early))):
            raise InputError(
                f"model configuration: expected exits in rising order from 0 to {len(early) - 1}, got {list(self.exits)}"
            )
        first_residual = getattr(self.encoder, "residual_from", None)
        if first_residual is not None and first_residual <= self.encoder.reduce_after:
            raise InputError(
                f"model configuration: residual_from: expected a layer after {self.encoder.reduce_after}, where steps are joined, "
                f"got {first_residual}"
            )
        if self.rescorer and not self.prediction:
            raise InputError("model configuration: a rescorer needs a transducer as first pass, got a CTC head")
        if self.rescorer and self.exits:
            raise InputError(f"model configuration: a rescorer needs the whole encoder, got early exits {list(self.exits)}")
        if self.rescorer and self.sizes.beam < 2:
            raise InputError(
                f"model configuration: a rescorer chooses among 2 or more hypotheses, got a beam of {self.sizes.beam}"
            )
        if self.adapters < 0:
            raise InputError(f"model configuration: adapters: expected 0 or more units, got {self.adapters}")
        if self.adapters and self.exits:
            raise InputError(f"model configuration: adapters need a model without early exits, got {list(self.exits)}")
        if self.exit_weighting not in EXIT_WEIGHTINGS:
            raise InputError(
                f"model configuration: no exit weighting {self.exit_weighting!r}; there are: {', '.join(EXIT_WEIGHTINGS)}"
            )

    @property
    def vocabulary_size(self) -> int:
        """Labels of the heads: blank (0) and the characters."""
        return 1 + len(self.characters)

    @property
    def max_seconds(self) -> float:
        """Longest utterance that the fixed sizes hold."""
        return self.features.samples_of(self.sizes.max_frames) / self.features.sample_rate

    @property
    def min_seconds(self) -> float:
        """Shortest recording to learn from: a word takes 0.2 s, and played faster it still has to fill an encoder step."""
        return max(MIN_SECONDS, 1.25 * self.features.samples_of(self.encoder.frames_per_step) / self.features.sample_rate)

    def to_json(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict) -> "ModelConfig":
        parts = {
            "encoder": _encoder,
            "prediction": PredictionConfig,
            "rescorer": RescorerConfig,
            "sizes": SizeConfig,
            "features": FeatureConfig,
        }
        try:
            made = {key: parts[key](**value) if key in parts and value is not None else value for key, value in values.items()}
            return cls(**made | {"exits": tuple(values.get("exits", ()))})
        except (TypeError, AttributeError) as error:
            raise InputError(f"model configuration: {error}; was it written by another version?") from None


def _encoder(kind: str = "lstm", **fields) -> EncoderConfig | ConformerConfig:
    """Files written before there were conformers do not say which kind."""
    if kind not in ENCODERS:
        raise InputError(f"model configuration: no encoder named {kind!r}; there are: {', '.join(ENCODERS)}")
    return ENCODERS[kind](**fields)


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
    # sentences of up to 20 seconds in two passes, to compress (Dawalatabad et al. 2021): 3.4 M parameters. The lower encoder
    # groups, the prediction and the joint network have the shapes of `commands`, to start from what it has learned
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
