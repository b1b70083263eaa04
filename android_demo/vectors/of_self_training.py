"""Learning from the spoken words of `of_runs` as if they had no transcripts: what is kept of them, what is learned, and
on which evidence.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from of_runs import FIELDS, SPEECH

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.personalization.pseudo_labels import PseudoLabelRules, pseudo_labels
from tflite_asr.personalization.replay import read_replay
from tflite_asr.personalization.self_training import SelfTrainer, SelfTraining
from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.recognizer import Recognizer

SETTINGS = Settings(connect=2, epoch_steps=3, validation_share=0.3, least_to_hold_out=4, seed=4)
RULES = PseudoLabelRules(confidence=0.4, views=1)
STRICT = PseudoLabelRules()
PLAN = SelfTraining(rounds=2, steps=3, rules=RULES)
OFTEN = [12] * 5  # in the speech that is labelled, this word is said so often more
TRANSCRIBED = (0, 3, 4)  # so many of the first words have transcripts; of three none is held out


def self_training() -> dict:
    """What Kotlin has to find too."""
    return {
        "settings": {
            field: getattr(SETTINGS, field)
            for field in ("connect", "epoch_steps", "validation_share", "least_to_hold_out", "seed")
        },
        "plan": {"rounds": PLAN.rounds, "steps": PLAN.steps, "rules": dataclasses.asdict(RULES)},
        "labels": [_labels(rules) for rules in (RULES, STRICT)],
        "often": OFTEN,
        "trainings": [_training(count) for count in TRANSCRIBED],
    }


def _labels(rules: PseudoLabelRules) -> dict:
    """Of all words, one of them said several times."""
    recognizer, corpus, utterances = _start()
    said = [*(utterances[index] for index in OFTEN), *utterances]
    labels = pseudo_labels(recognizer, corpus, said, rules, np.random.default_rng([SETTINGS.seed, 19, 1]))
    return {
        "rules": dataclasses.asdict(rules),
        "kept": [f"{utterance.audio.name} {utterance.text}" for utterance in labels.utterances],
        "refused": labels.refused,
    }


def _training(transcribed: int) -> dict:
    """Rounds over all words, so many of which have transcripts."""
    recognizer, corpus, utterances = _start()
    trainer = SelfTrainer(
        recognizer,
        corpus,
        utterances[:transcribed],
        utterances[transcribed:],
        SETTINGS,
        PLAN,
        replay=read_replay(recognizer.artifact),
    )
    outcome = trainer.train()
    return {
        "transcribed": transcribed,
        "validated_by": trainer.validated_by,
        "history": [{field: getattr(row, field) for field in FIELDS} for row in outcome.history],
        "steps": outcome.steps,
        "stopped_because": outcome.stopped_because,
        "rounds": trainer.refused,
    }


def _start() -> tuple[Recognizer, Corpus, Sequence]:
    recognizer, utterances = Recognizer.load("commands"), read_manifest(SPEECH / "manifest.jsonl")
    return recognizer, Corpus(utterances, recognizer.config), utterances
