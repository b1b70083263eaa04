"""The work of a study's worker: measure a speaker, train, and measure again."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tflite_asr.audio.reading import Notices
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.metrics import ErrorRates, relative_reduction, split_error_rates
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.evaluation import Evaluation, evaluate_transcripts, examples_of
from tflite_asr.runtime.memory import MemoryProbe
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.voice import learn_owner
from tflite_asr.study import mobile, server
from tflite_asr.study.speakers import words_of
from tflite_asr.study.task import SERVER, Task


def run_task(task: Task) -> dict:
    """Measure, train, measure again; everything that is drawn at random depends on the study's seed alone.

    Returns:
        what the run's JSON file holds.
    """
    study, speaker = task.study, task.speaker
    recognizer = Recognizer.load(task.model)
    test, measured = _examples(recognizer, speaker.test, speaker.connect, study.seed, speaker.unsaid)
    others: list[Example] = []
    if task.others and study.others:
        others, _ = _examples(recognizer, task.others, study.others.connect, study.seed)
    shipped = recognizer.state()
    with MemoryProbe() as probe, tempfile.TemporaryDirectory() as scratch:
        before = evaluate_transcripts(recognizer, test, title="before")
        del recognizer  # training loads its own, and may end it: nothing here shall keep its memory
        environment = server if task.run == SERVER else mobile
        trained = environment.train(task, Path(scratch))
        learned = trained.recognizer
        if learned.background:
            learned.owner = learn_owner(learned.background, trained.heard)
        after = evaluate_transcripts(learned, test, title="after")
    state = learned.state()
    weights = [row["tensor"] for row in learned.artifact.trainable]
    result = {
        "speaker": speaker.name,
        "run": task.run,
        **_before_after(before.rates, after.rates),
        "adapt_utterances": len(speaker.adapt) - len(trained.more["left_out"]) - trained.more["too_short"],
        "test_utterances": len(test),
        "test_too_long": len(measured.too_long),
        "test_too_short": len(measured.too_short),
        "steps": trained.steps,
        "seconds": trained.seconds,
        "peak_private_mb": probe.peak_private_mb,
        # of the weights that differ from the shipped ones: what a checkpoint must hold to recognise by
        "checkpoint_bytes": sum(state[t].nbytes for t in weights if not np.array_equal(state[t], shipped[t])),
        **trained.more,
        "history": trained.history,
    }
    if speaker.unsaid:
        result |= _said_unsaid(speaker.unsaid, before, after, learned.normalize)
    if others:
        result["others"] = _forgetting(learned, others)
    return result


def _examples(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    connect: int,
    seed: int,
    apart: frozenset[str] = frozenset(),
) -> tuple[list[Example], Corpus]:
    """The examples to measure on, and the corpus, which lists what was left out. Utterances with a word of `apart` are
    joined only with each other.
    """
    with Notices() as notices:
        corpus = Corpus(utterances, recognizer.config, notices, measuring=True)
    groups: dict[bool, list[Utterance]] = {False: [], True: []}
    for utterance in corpus.utterances:
        groups[not apart.isdisjoint(words_of(utterance))].append(utterance)
    longest = recognizer.config.max_seconds
    clips = [clip for group in groups.values() for clip in fitting_clips(corpus, group, connect, seed, longest)]
    return examples_of(recognizer, corpus, clips), corpus


def _said_unsaid(unsaid: frozenset[str], before: Evaluation, after: Evaluation, normalize: bool) -> dict:
    """Errors in the words that the speaker adapted to, and in those that were held out."""
    by_list: dict[str, dict] = {"said": {}, "unsaid": {}}
    for when, heard in (("before", before), ("after", after)):
        rates = split_error_rates(heard.references, heard.hypotheses, unsaid, normalize=normalize)
        counted = {"said": (rates.other_errors, rates.other_words), "unsaid": (rates.listed_errors, rates.listed_words)}
        for name, (errors, words) in counted.items():
            by_list[name] |= {"words": words, f"errors_{when}": errors}
    return by_list


def _before_after(before: ErrorRates, after: ErrorRates) -> dict:
    return {
        "words": before.words,
        "errors_before": _errors(before),
        "errors_after": _errors(after),
        "wer_before": before.wer,
        "wer_after": after.wer,
        "relative_wer_reduction": relative_reduction(before.wer, after.wer),
    }


def _forgetting(learned: Recognizer, others: Sequence[Example]) -> dict:
    """Other voices before and after training: as a phone recognises them, with the owner's profile, and with the
    learned weights.
    """
    owner, learned.owner = learned.owner, None
    any_voice = evaluate_transcripts(learned, others, title="others").rates
    learned.owner = owner
    as_heard = evaluate_transcripts(learned, others, title="others").rates if owner else any_voice
    shipped = evaluate_transcripts(Recognizer.load(learned.artifact.path), others, title="others").rates
    return {**_before_after(shipped, as_heard), "errors_after_any_voice": _errors(any_voice)}


def _errors(rates: ErrorRates) -> int:
    return rates.substitutions + rates.deletions + rates.insertions
