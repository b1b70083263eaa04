"""Learning from speech without transcripts, optionally with transcribed speech: rounds of pseudo-labels and steps.

Each round labels the speech anew with the moving average of the weights (a teacher as in Higuchi et al. 2021, momentum
pseudo-labelling, arXiv 2106.08922), trains on what is kept and on the transcribed speech, and validates the average.
Weights are kept on evidence alone: the word error rate of held-out transcripts, or, where nothing is transcribed, how
often augmented views of held-out speech are heard as the recording is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tflite_asr.data.alignment import alignable
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.personalization.average import Epoch, KeptAverage, Outcome, mean_finite
from tflite_asr.personalization.batches import epoch_batches, validation_examples
from tflite_asr.personalization.pseudo_labels import PseudoLabelRules, agreement, pseudo_labels
from tflite_asr.personalization.settings import Settings
from tflite_asr.personalization.steps import Steps
from tflite_asr.personalization.trainer import split
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.corrections import CORRECTION_WEIGHT
from tflite_asr.runtime.recognizer import Recognizer

LEAST_UTTERANCES = 4  # without transcripts
MOST_VALIDATED = 60  # utterances without transcripts whose views are compared
LABELLED_SHARE = 1 / 3  # of what is trained on, at least, where there are transcripts


@dataclass(frozen=True)
class SelfTraining:
    """Settings of learning from speech without transcripts."""

    rounds: int = 4
    steps: int = 75  # a round
    rules: PseudoLabelRules = field(default_factory=PseudoLabelRules)


def check_enough(unlabelled: Sequence[Utterance]) -> None:
    """InputError for too few utterances without transcripts."""
    if len(unlabelled) < LEAST_UTTERANCES:
        raise InputError(f"expected {LEAST_UTTERANCES} utterances without transcripts or more, got {len(unlabelled)}")


class SelfTrainer:
    """Trains on transcribed utterances and on others.

    Args:
        recognizer: trained in place.
        corpus: holds the audio of all utterances.
        labelled: with transcripts; may be none. Of fewer than `settings.least_to_hold_out` none is held out: train on
            them before, with `personalize`, since pseudo-labels are as good as the weights that make them.
        unlabelled: without.
        settings: how steps are taken; epochs and patience have no meaning here.
        self_training: how speech without transcripts is used.
        corrected, replay, on_epoch, on_step: as for `personalize`.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        corpus: Corpus,
        labelled: Sequence[Utterance],
        unlabelled: Sequence[Utterance],
        settings: Settings,
        self_training: SelfTraining,
        *,
        corrected: Sequence[Utterance] = (),
        replay: Sequence[Example] = (),
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    ):
        check_enough(unlabelled)
        self.recognizer, self.corpus, self.settings, self.self_training = recognizer, corpus, settings, self_training
        self.replay, self.on_step = replay, on_step
        self.labelled: list[Utterance] = []
        self.unlabelled = list(unlabelled)
        if len(labelled) > 1 and not settings.are_few(len(labelled)):
            self.labelled, held_out = split(labelled, settings.validation_share, settings.seed)
            words = sum(len(utterance.text.split()) for utterance in held_out)
            self.validation = validation_examples(recognizer, corpus, held_out, settings)
            self.kept = KeptAverage(recognizer, settings, on_epoch, words)
        else:
            self.labelled = list(labelled)
            self.unlabelled, watched = split(unlabelled, settings.validation_share, settings.seed)
            self.validation = ()
            self.kept = KeptByAgreement(recognizer, settings, on_epoch, corpus, watched[:MOST_VALIDATED])
        self.labelled += list(corrected) * CORRECTION_WEIGHT
        self.refused: list[dict[str, int]] = []  # by round, and what was kept

    @property
    def validated_by(self) -> str:
        """The measure that validates."""
        return "agreement of views" if isinstance(self.kept, KeptByAgreement) else "transcripts"

    def train(self) -> Outcome:
        """All rounds; the recogniser holds the best weights afterwards, those that it had where none were better."""
        kept, plan = self.kept, self.self_training
        kept.begin(self.validation)
        steps, taken = Steps(self.recognizer, self.settings), 0
        stopped = f"all {plan.rounds} rounds done"
        for number in range(1, plan.rounds + 1):
            training = self._labelled_anew(number)
            if not training:
                stopped = f"round {number}: no utterance is confident enough to learn from"
                break
            losses = self._steps(steps, training, number)
            taken += len(losses)
            kept.update(number, taken, mean_finite(losses), self.validation, moved=False)
        self.recognizer.set_state(kept.best_state)
        return Outcome(kept.history, kept.best_state, taken, kept.seconds, stopped)

    def _labelled_anew(self, number: int) -> list[Utterance]:
        """The utterances that a round trains on."""
        trained = self.recognizer.state()
        self.recognizer.set_state(self.kept.average)
        random = np.random.default_rng([self.settings.seed, 19, number])
        labels = pseudo_labels(self.recognizer, self.corpus, self.unlabelled, self.self_training.rules, random)
        self.recognizer.set_state(trained)
        found, _ = alignable(self.corpus, labels.utterances)
        self.refused.append({"kept": len(found), **labels.refused})
        if not self.labelled or not found:
            return list(found)
        wanted = len(found) * LABELLED_SHARE / (1 - LABELLED_SHARE)
        return [*found, *self.labelled * max(1, round(wanted / len(self.labelled)))]

    def _steps(self, steps: Steps, training: Sequence[Utterance], number: int) -> list[float]:
        """The losses of a round's steps that were not skipped; the learning rate falls over all rounds."""
        plan, settings = self.self_training, self.settings
        losses: list[float] = []
        epoch = taken = 0
        while taken < plan.steps:
            epoch += 1
            epoch_number = 1000 * number + epoch
            random = np.random.default_rng([settings.seed, epoch_number])
            for batch in epoch_batches(
                self.recognizer, self.corpus, training, self.replay, settings, epoch_number, random
            )[: plan.steps - taken]:
                progress = ((number - 1) * plan.steps + taken) / (plan.rounds * plan.steps)
                rate = settings.rate(self.recognizer.config) * (0.1 + 0.45 * (1 + np.cos(np.pi * progress)))
                result = steps.take(batch, rate)
                taken += 1
                losses += [] if result.skipped else [result.loss]
                self.on_step(taken, plan.steps, result.loss)
        return losses


class KeptByAgreement(KeptAverage):
    """The average whose views agree best: the share of views of held-out speech with another text than the recording
    replaces the word error rate.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        settings: Settings,
        on_epoch: Callable[[Epoch], None],
        corpus: Corpus,
        watched: Sequence[Utterance],
    ):
        super().__init__(recognizer, settings, on_epoch, len(watched))
        self.corpus, self.watched = corpus, watched

    def _measured(self, validation: Sequence[Example]) -> tuple[float, float]:
        """The share of views that disagree; twice, since there is no loss without a transcript."""
        random = np.random.default_rng([self.settings.seed, 23])  # the same views each time
        agreed = [self._agreement(utterance, random) for utterance in self.watched]
        disagreed = 1 - float(np.mean(agreed))
        return disagreed, disagreed

    def _agreement(self, utterance: Utterance, random: np.random.Generator) -> float:
        """0 where nothing is heard."""
        text = self.recognizer.transcribe(self.corpus.samples(utterance))
        return agreement(self.recognizer, self.corpus, utterance, text, 3, random) if text else 0.0
