"""The configuration of a whole recogniser."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tflite_asr.config.encoders import ENCODERS, Encoder
from tflite_asr.config.front_ends import FRONT_ENDS, FeatureConfig, StemConfig
from tflite_asr.config.heads import DecoderConfig, PredictionConfig, RescorerConfig, SubwordConfig, required
from tflite_asr.errors import InputError

MIN_SECONDS = 0.2  # shorter recordings hold no whole word
LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ'"
# sum: equal weights (Wright et al. 2023); sandwich: the last, 0.3 of the first, 0.3 of one between (Yu and Huang 2019)
EXIT_WEIGHTINGS = ("sum", "sandwich")


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
    """Everything needed to build a recogniser. Its last head is a transducer, or CTC without `prediction`."""

    name: str
    encoder: Encoder
    prediction: PredictionConfig | None  # None: the last head is CTC
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
    edge_samples: int = 0  # of silence, added before and after: a stem that normalises misses words at an edge
    features: FeatureConfig | StemConfig = field(default_factory=FeatureConfig)
    learning_rate: float = 1e-3  # for personalisation, unless another is given
    licences: tuple[dict, ...] = ()  # of weights that others trained: what, licence, holder, source

    def __post_init__(self):
        self._check_lengths()
        self._check_encoder()
        self._check_rescorer()
        self._check_decoder()
        self._check_adapters()

    def _check_lengths(self) -> None:
        lengths = self.sizes.lengths
        if lengths != tuple(sorted(set(lengths))) or not all(0 < n < self.sizes.max_frames for n in lengths):
            raise InputError(
                f"model configuration: expected lengths in rising order from 1 to {self.sizes.max_frames - 1} frames, "
                f"got {list(lengths)}"
            )

    def _check_encoder(self) -> None:
        if self.encoder.kind not in ENCODERS:  # a file with it could not be read
            raise InputError(
                f"model configuration: no encoder named {self.encoder.kind!r}; there are: {', '.join(ENCODERS)}"
            )
        early = range(self.encoder.layers - 1)
        if self.exits != tuple(sorted(set(self.exits) & set(early))):
            raise InputError(
                f"model configuration: expected exits in rising order from 0 to {len(early) - 1}, got "
                f"{list(self.exits)}"
            )
        if self.exit_weighting not in EXIT_WEIGHTINGS:
            raise InputError(
                f"model configuration: no exit weighting {self.exit_weighting!r}; there are: "
                f"{', '.join(EXIT_WEIGHTINGS)}"
            )
        if self.encoder.kind != "lstm" or self.encoder.residual_from is None:
            return
        if self.encoder.residual_from <= self.encoder.reduce_after:
            raise InputError(
                f"model configuration: residual_from: expected a layer after {self.encoder.reduce_after}, where steps "
                f"are joined, got {self.encoder.residual_from}"
            )

    def _check_rescorer(self) -> None:
        if not self.rescorer:
            return
        if not self.is_transducer:
            raise InputError("model configuration: a rescorer needs a transducer as first pass, got a CTC head")
        if self.exits:
            raise InputError(
                f"model configuration: a rescorer needs the whole encoder, got early exits {list(self.exits)}"
            )
        if self.sizes.beam < 2:
            raise InputError(
                f"model configuration: a rescorer chooses among 2 or more hypotheses, got a beam of {self.sizes.beam}"
            )

    def _check_decoder(self) -> None:
        if not self.decoder:
            return
        if self.is_transducer or self.decoder.units != self.encoder.units:
            raise InputError(
                "model configuration: a decoder needs a CTC encoder of its own width as first pass, got "
                + ("a transducer" if self.is_transducer else f"{self.encoder.units} units for {self.decoder.units}")
            )
        if self.decoder.encoder_layers and self.encoder.kind != "transformer":
            raise InputError(
                "model configuration: a decoder's own encoder layers: expected a transformer encoder, got "
                f"{type(self.encoder).__name__}"
            )
        if not 0 <= self.decoder.encoder_layers < self.encoder.layers:
            raise InputError(
                f"model configuration: a decoder's own encoder layers: expected 0 to {self.encoder.layers - 1}, "
                f"got {self.decoder.encoder_layers}"
            )

    def _check_adapters(self) -> None:
        if self.adapters < 0:
            raise InputError(f"model configuration: adapters: expected 0 or more units, got {self.adapters}")
        if self.adapters and self.exits:
            raise InputError(f"model configuration: adapters need a model without early exits, got {list(self.exits)}")

    @property
    def is_transducer(self) -> bool:
        """Whether the last head is a transducer; otherwise it is CTC."""
        return self.prediction is not None

    @property
    def vocabulary_size(self) -> int:
        """The number of labels of the first pass's heads: blank (0), then the characters or subwords."""
        return 1 + len(self.subwords.pieces if self.subwords else self.characters)

    @property
    def cased(self) -> bool:
        """Whether its texts have case and punctuation, which error rates then ignore."""
        return bool(self.subwords or self.decoder)

    @property
    def max_subwords(self) -> int:
        """The largest number of subwords that a decoder emits for the longest utterance."""
        return int(self.max_seconds * required(self.decoder, "decoder").tokens_per_second)

    def at_length(self, frames: int) -> "ModelConfig":
        """This configuration with sizes for utterances of at most `frames` frames, one of `sizes.lengths`.

        `max_tokens` is 1.5 times its share, since short utterances may be fast; signatures have a suffix.
        """
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
        """This configuration with the smallest sizes that hold an utterance of so many frames and, in training,
        labels.
        """
        for length in self.sizes.lengths:
            sized = self.at_length(length)
            if frames <= length and labels <= sized.max_labels:
                return sized
        return self

    def most_subwords(self, frames: int) -> int:
        """The largest number of subwords that a decoder emits for so many frames; without a bound, a decoder repeats
        itself in silence.
        """
        seconds = self.features.samples_of(max(frames, 1)) / self.features.sample_rate
        bound = round(seconds * required(self.decoder, "decoder").tokens_per_second)
        return max(1, min(self.max_subwords, bound))

    @property
    def trains_second_pass(self) -> bool:
        """Whether the second pass trains on the device; labels to learn from are then its subwords."""
        return bool(self.decoder and self.decoder.trains)

    @property
    def max_labels(self) -> int:
        """The largest number of labels of an utterance to learn from."""
        return self.max_subwords if self.trains_second_pass else self.sizes.max_tokens

    @property
    def first_label(self) -> int:
        """The smallest label: behind the blank, or behind the decoder's start and end."""
        return 1 + max(self.decoder.start, self.decoder.end) if self.decoder and self.decoder.trains else 1

    @property
    def label_bound(self) -> int:
        """The bound that labels to learn from are below."""
        return self.decoder.vocabulary_size if self.decoder and self.decoder.trains else self.vocabulary_size

    @property
    def max_seconds(self) -> float:
        """The longest utterance that the fixed sizes hold, in seconds."""
        return self.features.samples_of(self.sizes.max_frames) / self.features.sample_rate

    @property
    def min_seconds(self) -> float:
        """The shortest recording to learn from, in seconds: a word takes 0.2 s, and augmentation that plays it faster
        must leave a whole encoder step.
        """
        return max(
            MIN_SECONDS, 1.25 * self.features.samples_of(self.encoder.frames_per_step) / self.features.sample_rate
        )

    def to_json(self) -> dict:
        """The values of NAME.json, nested as the dataclasses are."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict) -> "ModelConfig":
        """Read what `to_json` returned; InputError for unknown or missing values."""
        parts: dict[str, Callable[..., Any]] = {
            "encoder": functools.partial(_of_kind, "encoder", ENCODERS, "lstm"),
            "prediction": PredictionConfig,
            "rescorer": RescorerConfig,
            "sizes": _sizes,
            "subwords": _subwords,
            "decoder": _decoder,
            "features": functools.partial(_of_kind, "front end", FRONT_ENDS, "log_mel"),
        }
        try:
            made: dict[str, Any] = {
                key: parts[key](**value) if key in parts and value is not None else value
                for key, value in values.items()
            }
            licences = tuple(dict(**row) for row in values.get("licences", ()))
            return cls(**made | {"exits": tuple(values.get("exits", ())), "licences": licences})
        except (TypeError, AttributeError) as error:
            raise InputError(f"model configuration: {error}; was it written by another version?") from None


def _sizes(lengths: Sequence[int] = (), **fields) -> SizeConfig:
    """Sizes from JSON, which has `lengths` as a list."""
    return SizeConfig(**fields, lengths=tuple(lengths))


def _decoder(subwords: dict | None = None, **fields) -> DecoderConfig:
    """A decoder from JSON, which has subwords as lists."""
    return DecoderConfig(**fields, subwords=None if subwords is None else _subwords(**subwords))


def _subwords(pieces: Sequence[str], scores: Sequence[float] | None = None) -> SubwordConfig:
    """A vocabulary from the lists of JSON."""
    return SubwordConfig(tuple(pieces), None if scores is None else tuple(scores))


def _of_kind(what: str, kinds: dict[str, type], default: str, kind: str | None = None, **fields):
    """A part of the configuration that has several classes. Files without `kind` mean `default`."""
    kind = kind or default
    if kind not in kinds:
        raise InputError(f"model configuration: no {what} named {kind!r}; there are: {', '.join(kinds)}")
    return kinds[kind](**fields)
