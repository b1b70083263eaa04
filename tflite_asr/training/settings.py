"""How a base model is trained."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FitSettings:
    """Settings of `training.fit.fit`."""

    connect_up_to: int = 1  # most clips joined into one training utterance
    batch: int = 32  # utterances a step
    epochs: int = 30
    steps_per_epoch: int = 200
    plain_epochs: int = 0  # first epochs without augmentation: an untrained model finds the alignment sooner
    learning_rate: float = 2e-3  # highest, of Adam: rises over the first twentieth of the steps, falls to 0 by a cosine
    ctc_weight: float = 0.0  # of a CTC loss on a transducer's encoder beside its own loss; see `objective.own_loss`
    seed: int = 0  # of weights, order and augmentation
    freeze: bool = False  # train only the weights that are not among the initial ones
    # layer groups to train, by number or name, comma-separated, also those of a second pass that decodes; None: all of
    # the first pass
    trainable: str | None = None
    second_pass: bool = False  # train by the loss of a decoder as well; the corpus is loaded for both passes
    # versions of each utterance, the first one plain, for which the output of the groups below the trained ones is
    # computed once; 0 computes every step from the samples
    cached: int = 0

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps_per_epoch
