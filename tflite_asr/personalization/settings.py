"""How a personalisation trains."""

import dataclasses
from dataclasses import dataclass, field

from tflite_asr.config import ModelConfig
from tflite_asr.config.plans import WHOLE

# of a training on few utterances; docs/results.md and docs/performance.md compare
FEW_PULL = 3.0
FEW_STRETCH = 1.4


@dataclass(frozen=True)
class Settings:
    """Settings of training; docs/results.md measured the defaults.

    Attributes:
        epochs: at most.
        learning_rate: at first; it falls to a tenth by a cosine. None: the model's own.
        clip_norm: of the gradient of the mean loss of an utterance.
        pull: towards the shipped weights, see `Recognizer.train_step`. None: `FEW_PULL` where no utterance is held out,
            else 0.
        stretch: how far the best weights go from those before the training, as a multiple of what the training changed
            (the mixing coefficient of Wortsman et al. 2022, arXiv 2109.01903, above 1). None: `FEW_STRETCH` with the
            default pull where no utterance is held out, else 1.
        epoch_steps: least steps of an epoch: few utterances are joined and augmented anew until they fill it.
        patience: epochs without a better validation result before training stops.
        validation_share: of the utterances, held out to find the best epoch.
        least_to_hold_out: of fewer utterances none is held out: they train, and varied copies of them validate, for all
            epochs.
        averaging: share of an epoch's weights in the moving average that is validated and kept; 1 keeps them alone.
        connect: most clips of one training string; strings are drawn anew every epoch.
        augment: whether speed, level and noise are varied, so that few utterances go a longer way.
        replay: rows of each batch that hold shipped utterances instead of the owner's.
        plan: of the artifact: `train`; `split` for less memory; `cached` to train the upper groups alone.
        cached_uses: epochs, or steps of a window, for which the plan `cached` joins and varies a string once.
        group_rates: factors of the learning rate by layer group, 0 to leave a group alone; others have 1.
        exit: the early exit that learns and is validated. None: the last.
        bias_only: whether only what has one dimension learns: biases, gains and shifts.
        seed: of every random draw.
    """

    epochs: int = 40
    learning_rate: float | None = None
    clip_norm: float = 20.0
    pull: float | None = None
    stretch: float | None = None
    epoch_steps: int = 25
    patience: int = 25
    validation_share: float = 0.15
    least_to_hold_out: int = 61
    averaging: float = 0.15
    connect: int = 1
    augment: bool = True
    replay: int = 2
    plan: str = WHOLE
    cached_uses: int = 5
    group_rates: dict[str, float] = field(default_factory=dict)
    exit: int | None = None
    bias_only: bool = False
    seed: int = 0

    def for_model(self, config: ModelConfig) -> "Settings":
        """The settings with what depends on the model. Where a second pass trains, utterances are always held out: few
        of them were learned from without evidence with models of words only.
        """
        return dataclasses.replace(self, least_to_hold_out=0) if config.trains_second_pass else self

    def are_few(self, utterances: int) -> bool:
        """Whether of so many utterances none is held out."""
        return utterances < self.least_to_hold_out

    def rate(self, config: ModelConfig) -> float:
        """The learning rate for a model."""
        return config.learning_rate if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True)
class Pace:
    """How a phone trains on utterances that arrive one after another.

    Attributes:
        window: utterances that are kept at most.
        window_bytes: of them on disk at most; one second of speech is 4 kB.
        stride: new utterances before it trains again.
        steps: that it then takes.
    """

    window: int = 200
    window_bytes: int = 1_000_000
    stride: int = 10
    steps: int = 80
