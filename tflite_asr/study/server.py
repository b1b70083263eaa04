"""The server: all of a speaker's data, shuffled epochs, large batches, Adam through Keras."""

import dataclasses
import os
from pathlib import Path
from typing import cast

from tflite_asr.audio.reading import Notices
from tflite_asr.data.alignment import alignable
from tflite_asr.data.corpus import Corpus
from tflite_asr.personalization.replay import read_replay
from tflite_asr.personalization.settings import Settings
from tflite_asr.personalization.trainer import personalize
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.study.task import Task, Trained


def train(task: Task, scratch: Path) -> Trained:
    """Train in epochs over everything."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # what processor it found is of no interest here
    from tflite_asr.training.learner import KerasLearner

    study, speaker = task.study, task.speaker
    recognizer = Recognizer.load(study.model)
    server = dataclasses.asdict(study.server)
    learner = KerasLearner(recognizer, server.pop("batch"))
    with Notices() as notices:
        corpus = Corpus(speaker.adapt, recognizer.config, notices)
    settings = Settings(**server, pull=0.0, connect=speaker.connect, seed=study.seed)  # Keras does not pull
    adapt, left_out = alignable(corpus, corpus.utterances)
    # it has what `personalize` uses of a recogniser, for whole steps without exits
    outcome = personalize(cast(Recognizer, learner), corpus, adapt, settings, replay=read_replay(recognizer.artifact))
    return Trained(
        recognizer,
        [recognizer.features(corpus.samples(utterance)) for utterance in adapt],
        outcome.steps,
        outcome.seconds,
        [{**dataclasses.asdict(row), "utterances": len(adapt)} for row in outcome.history],
        {"stopped_because": outcome.stopped_because, "left_out": left_out, "too_short": len(corpus.too_short)},
    )
