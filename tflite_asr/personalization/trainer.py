"""Personalisation: trains for epochs on one person's utterances on the device, and keeps the best weights."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tflite_asr.data.alignment import alignable, report_left_out
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.personalization.average import Epoch, KeptAverage, Outcome, mean_finite
from tflite_asr.personalization.batches import epoch_batches, validation_examples
from tflite_asr.personalization.cached_batches import CachedBatches, cached_batches
from tflite_asr.personalization.settings import FEW_PULL, FEW_STRETCH, Settings
from tflite_asr.personalization.steps import Steps
from tflite_asr.runtime.batch import Batch, Example
from tflite_asr.runtime.corrections import CORRECTION_WEIGHT
from tflite_asr.runtime.plan import StepResult
from tflite_asr.runtime.recognizer import Recognizer


def settings_for(recognizer: Recognizer, settings: Settings, utterances: int) -> Settings:
    """The settings for a model, with the pull and the stretch of a training on so many utterances; by default neither
    for a file that cannot pull.
    """
    settings = settings.for_model(recognizer.config)
    few = settings.pull is None and settings.are_few(utterances) and recognizer.artifact.pulls
    pull = settings.pull if settings.pull is not None else FEW_PULL if few else 0.0
    stretch = settings.stretch if settings.stretch is not None else FEW_STRETCH if few else 1.0
    return dataclasses.replace(settings, pull=pull, stretch=stretch)


def training_and_validation(
    utterances: Sequence[Utterance], settings: Settings
) -> tuple[list[Utterance], list[Utterance]]:
    """The utterances to train on and those to validate on: the result of `split`, or all for both if there are fewer
    than `settings.least_to_hold_out`.

    Two or three held-out utterances rank epochs by chance, and words are missing from the training that nothing else
    has. Validated on what it trains on, training takes all epochs and keeps the average of the last ones, unless that
    makes more errors than the weights it began with.
    """
    if len(utterances) >= 2 and settings.are_few(len(utterances)):
        return list(utterances), list(utterances)
    return split(utterances, settings.validation_share, settings.seed)


def split(utterances: Sequence[Utterance], share: float, seed: int) -> tuple[list[Utterance], list[Utterance]]:
    """Training and validation utterances, disjoint: `share` of them held out by seed, at least one of each."""
    if len(utterances) < 2:
        raise InputError(f"expected at least 2 utterances to adapt to (one is held out), got {len(utterances)}")
    if not 0 < share < 1:
        raise InputError(f"validation share: expected more than 0 and less than 1, got {share}")
    count = min(max(1, round(share * len(utterances))), len(utterances) - 1)
    held_out = set(np.random.default_rng([seed, 7]).permutation(len(utterances))[:count].tolist())
    training = [utterance for index, utterance in enumerate(utterances) if index not in held_out]
    return training, [utterances[index] for index in sorted(held_out)]


def personalize(
    recognizer: Recognizer,
    corpus: Corpus,
    utterances: Sequence[Utterance],
    settings: Settings,
    *,
    corrected: Sequence[Utterance] = (),
    replay: Sequence[Example] = (),
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> Outcome:
    """Train on `utterances`, keep the weights of the best epoch by validation WER, by loss on ties.

    Args:
        recognizer: trained in place; anything that takes its place does, see `training.learner`.
        corpus: holds the utterances' audio.
        utterances: of one person; a share is held out for validation, see `training_and_validation`. Those that
            cannot be aligned are named and left out.
        settings: how.
        corrected: utterances of the corpus that were recognised wrongly: none is held out, and each is trained on
            `CORRECTION_WEIGHT` times as often as others.
        replay: shipped utterances, mixed into the batches so that other voices and words are not forgotten.
        on_epoch, on_step: called with progress; a step's arguments are its number, the epoch's steps, its loss.
    """
    utterances, left_out = alignable(corpus, utterances)
    report_left_out(left_out, len(utterances) + len(left_out))
    settings = settings_for(recognizer, settings, len(utterances))
    training, validation = training_and_validation(utterances, settings)
    epochs = Epochs(recognizer, corpus, validation, settings, replay=replay, on_step=on_step)
    return epochs.train([*training, *(list(corrected) * CORRECTION_WEIGHT)], on_epoch=on_epoch)


class Epochs:
    """Trains in epochs, on speech that may grow; the validation utterances stay the same.

    Args:
        recognizer, corpus, replay, on_step: as for `personalize`.
        held_out: the utterances to validate on.
        settings: how to validate; training may have others.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        corpus: Corpus,
        held_out: Sequence[Utterance],
        settings: Settings,
        *,
        replay: Sequence[Example] = (),
        on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    ):
        self.recognizer, self.corpus, self.settings, self.replay, self.on_step = (
            recognizer,
            corpus,
            settings,
            replay,
            on_step,
        )
        self.words = sum(len(utterance.text.split()) for utterance in held_out)
        self.validation = validation_examples(recognizer, corpus, held_out, settings)

    def train(
        self,
        training: Sequence[Utterance],
        settings: Settings | None = None,
        *,
        done: int = 0,
        must_stop: Callable[[], str | None] = lambda: None,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> Outcome:
        """Train from the weights that the recogniser has; afterwards it has the best.

        Args:
            training: the utterances to learn from.
            settings: how to train; those to validate by when None.
            done: epochs of an interrupted training, which are not done again.
            must_stop: asked after every step; training ends at the end of a step for which it gives a reason.
            on_epoch: called with each row of the history.
        """
        recognizer, settings = self.recognizer, settings or self.settings
        kept = KeptAverage(recognizer, settings, on_epoch, self.words)
        kept.begin(self.validation, done)
        with cached_batches(recognizer, settings) as cached:
            outcome = self._epochs(kept, training, settings, done, must_stop, cached)
        stretched = None if outcome.interrupted else kept.stretch(self.validation)
        recognizer.set_state(kept.best_state)
        return dataclasses.replace(outcome, best_state=kept.best_state, stretched=stretched)

    def _epochs(
        self,
        kept: KeptAverage,
        training: Sequence[Utterance],
        settings: Settings,
        done: int,
        must_stop: Callable[[], str | None],
        cached: CachedBatches | None,
    ) -> Outcome:
        """The epochs after `done`; `kept` has the best weights afterwards."""
        recognizer, steps = self.recognizer, Steps(self.recognizer, settings)
        step, last_best = 0, done
        stopped, reason = f"all {settings.epochs} epochs done", None
        for epoch in range(done + 1, settings.epochs + 1):
            random = np.random.default_rng([settings.seed, epoch])
            batches = epoch_batches(recognizer, self.corpus, training, self.replay, settings, epoch, random, cached)
            progress = (epoch - 1) / settings.epochs
            rate = settings.rate(recognizer.config) * (0.1 + 0.45 * (1 + np.cos(np.pi * progress)))
            results, reason = self._take(steps, batches, rate, must_stop)
            step += sum(not result.skipped for result in results)
            if reason:
                stopped = reason
                break
            losses = [result.loss for result in results]
            if kept.update(epoch, step, mean_finite(losses), self.validation, moved=False):
                last_best = epoch
            elif epoch - last_best >= settings.patience:
                stopped = f"no better validation result for {settings.patience} epochs"
                break
        return Outcome(kept.history, kept.best_state, step, kept.seconds, stopped, interrupted=reason is not None)

    def _take(
        self, steps: Steps, batches: Sequence[Batch], rate: float, must_stop: Callable[[], str | None]
    ) -> tuple[list[StepResult], str | None]:
        """An epoch's steps, up to the first after which training must stop, and why it must."""
        results = []
        for number, batch in enumerate(batches, 1):
            results.append(steps.take(batch, rate))
            self.on_step(number, len(batches), results[-1].loss)
            if reason := must_stop():
                return results, reason
        return results, None
