"""Personalisation: epochs over one person's utterances on the device, the best weights kept."""

from collections.abc import Callable, Sequence

import numpy as np

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.personalization.average import Epoch, KeptAverage, Outcome, mean_finite
from tflite_asr.personalization.batches import epoch_batches, validation_examples
from tflite_asr.personalization.settings import Settings
from tflite_asr.personalization.steps import Steps
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer


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
    replay: Sequence[Example] = (),
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> Outcome:
    """Train on `utterances`, keep the weights of the best epoch by validation WER, by loss on ties.

    Args:
        recognizer: trained in place; anything that takes its place does, see `training.learner`.
        corpus: holds the utterances' audio.
        utterances: of one person; a share is held out for validation.
        settings: how.
        replay: shipped utterances, mixed into the batches so that other voices and words are not forgotten.
        on_epoch, on_step: told of progress; a step's arguments are its number, the epoch's steps, its loss.
    """
    training, held_out = split(utterances, settings.validation_share, settings.seed)
    validation = validation_examples(recognizer, corpus, held_out, settings)
    kept = KeptAverage(recognizer, settings, on_epoch, sum(len(utterance.text.split()) for utterance in held_out))
    kept.begin(validation)
    steps = Steps(recognizer, settings)
    step = last_best = 0
    stopped = f"all {settings.epochs} epochs done"
    for epoch in range(1, settings.epochs + 1):
        random = np.random.default_rng([settings.seed, epoch])
        batches = epoch_batches(recognizer, corpus, training, replay, settings, epoch, random)
        losses = []
        progress = (epoch - 1) / settings.epochs
        rate = settings.learning_rate * (0.1 + 0.45 * (1 + np.cos(np.pi * progress)))
        for number, batch in enumerate(batches, 1):
            result = steps.take(batch, rate)
            step += not result.skipped
            losses.append(result.loss)
            on_step(number, len(batches), result.loss)
        if kept.update(epoch, step, mean_finite(losses), validation, moved=False):
            last_best = epoch
        elif epoch - last_best >= settings.patience:
            stopped = f"no better validation result for {settings.patience} epochs"
            break
    recognizer.set_state(kept.best_state)
    return Outcome(kept.history, kept.best_state, step, kept.seconds, stopped)
