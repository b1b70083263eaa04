"""Whole personalisations of the shipped `commands` on a few spoken words: epochs, rounds, a window of utterances."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
from as_wav import SAMPLE_RATE, write_wavs

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance, read_manifest
from tflite_asr.data.synthetic import SyntheticSpeaker, write_corpus
from tflite_asr.personalization.average import Epoch
from tflite_asr.personalization.batches import epoch_batches
from tflite_asr.personalization.calibration import Calibration, CallCost, PlanCost
from tflite_asr.personalization.replay import read_replay
from tflite_asr.personalization.resources import Limits, Resources, ResourceTrace
from tflite_asr.personalization.rounds import CHECKPOINT, Rounds, RoundsTrainer
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.trainer import personalize, settings_for, split, training_and_validation
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.corrections import CORRECTION_WEIGHT
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.voice import learn_owner

SPEECH = Path(__file__).parent / "speech"
WORDS = "ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE ZERO STOP LEFT RIGHT HOUSE".split()
VOICE = SyntheticSpeaker(
    "owner", "en-gb-scotland", "whisper", 165, 50, semitones=0.0, tempo=1.0, noise_db=-30.0, level_db=-26.0
)
SETTINGS = Settings(epochs=2, epoch_steps=3, connect=3, validation_share=0.1, least_to_hold_out=2, seed=5)
FEW = Settings(epochs=3, epoch_steps=3, connect=2, seed=6)  # what else it holds are the defaults: few are not split
COUNTS = (1, 2, 14, 60, 61, 62, 200)  # of utterances, around the least of which some are held out
PACE = Pace(window=9, window_bytes=1_000_000, stride=5, steps=3)
CORRECTED = (3, 10)  # in the window; the first of them would validate
FIELDS = ("epoch", "step", "train_loss", "validation_loss", "validation_wer", "best")
LIMITS = Limits(least_available_ram_mb=100, least_battery_percent=20)
FULL = Resources(0, 1000, 80, False, 30)
ROUNDS = 2
# by process, at the clock of training steps: in the second round there is memory for the upper groups in parts only,
# and the battery falls in its second epoch; then the charger is there
TRACES = (
    (
        FULL,
        dataclasses.replace(FULL, seconds=5, available_ram_mb=128),
        dataclasses.replace(FULL, seconds=12, battery_percent=15),
    ),
    (dataclasses.replace(FULL, charging=True),),
)
CALLS = (("forward_0", 10.0), ("head", 25.0), ("backward_0", 30.0))  # of the split plan, with the MB that each takes


def write_speech() -> None:
    """The words as WAV files of 16 bits at the model's rate."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        write_corpus(corpus, [VOICE], lambda speaker: WORDS, SAMPLE_RATE, 7)
        write_wavs(read_manifest(corpus / "manifest.jsonl"), SPEECH)


def runs() -> dict:
    """What each ends with."""
    return {
        "settings": dataclasses.asdict(SETTINGS),
        "batches": batches(),
        "epochs": epochs(),
        "few": few(),
        "rounds": rounds(),
        "stream": stream(),
    }


def _start() -> tuple[Recognizer, Corpus, list[Utterance]]:
    recognizer, utterances = Recognizer.load("commands"), read_manifest(SPEECH / "manifest.jsonl")
    return recognizer, Corpus(utterances, recognizer.config), utterances


def batches() -> dict:
    """Whose utterances and how long they are, row by row, of two epochs."""
    recognizer, corpus, utterances = _start()
    training, held_out = split(utterances, SETTINGS.validation_share, SETTINGS.seed)
    replay = read_replay(recognizer.artifact)
    made = [
        epoch_batches(
            recognizer, corpus, training, replay, SETTINGS, epoch, np.random.default_rng([SETTINGS.seed, epoch])
        )
        for epoch in (1, 2)
    ]
    rows = [
        {
            "texts": [example.text for example in batch],
            "frames": [len(example.frames) for example in batch],
            "frame_means": [float(example.frames.mean(dtype=np.float64)) for example in batch],
        }
        for epoch in made
        for batch in epoch
    ]
    return {"held_out": [utterance.text for utterance in held_out], "rows": rows}


def epochs() -> dict:
    """Epochs over all utterances; then the owner's voice."""
    recognizer, corpus, utterances = _start()
    outcome = personalize(recognizer, corpus, utterances, SETTINGS, replay=read_replay(recognizer.artifact))
    owner = learn_owner(recognizer.background, [recognizer.features(corpus.samples(u)) for u in utterances])
    return {
        "history": _rows(outcome.history),
        "stopped_because": outcome.stopped_because,
        "steps": outcome.steps,
        "owner_threshold": owner.threshold if owner else None,
    }


def few() -> dict:
    """The pull and the stretch of so many utterances and how many of them are held out; epochs over fewer than are split."""
    recognizer, corpus, utterances = _start()
    outcome = personalize(recognizer, corpus, utterances, FEW, replay=read_replay(recognizer.artifact))
    return {
        "settings": {field: getattr(FEW, field) for field in ("epochs", "epoch_steps", "connect", "seed")},
        "counts": [
            {
                "utterances": count,
                **{field: getattr(settings_for(recognizer, FEW, count), field) for field in ("pull", "stretch")},
                "split": [len(part) for part in training_and_validation(range(count), FEW)] if count > 1 else [],
            }
            for count in COUNTS
        ],
        "history": _rows(outcome.history),
        "stretched": outcome.stretched,
        "steps": outcome.steps,
        "distances": {name: row["distance"] for name, row in recognizer.parameters().items()},
    }


def rounds() -> dict:
    """Rounds over growing speech, until the battery runs low; then another process, on the charger."""
    calibration = Calibration(
        "",
        {},
        {
            "train": PlanCost(50.0, (CallCost("train", 0.01, 0.01, 100.0, 90.0),)),
            "split": PlanCost(50.0, tuple(CallCost(name, 0.01, 0.01, peak, 0.0) for name, peak in CALLS)),
            "cached": PlanCost(50.0, tuple(CallCost(name, 0.01, 0.01, peak, 0.0) for name, peak in CALLS[:2])),
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for trace in TRACES:
            recognizer, corpus, utterances = _start()
            taken: list[int] = []
            source = ResourceTrace(trace, lambda: float(len(taken)))
            checkpoint = Path(folder) / CHECKPOINT
            trainer = RoundsTrainer(
                recognizer,
                (corpus, utterances),
                SETTINGS,
                Rounds(ROUNDS, source, LIMITS, calibration),
                Path(folder),
                replay=read_replay(recognizer.artifact),
                on_step=lambda *step: taken.append(1),
                on_epoch=lambda row: recognizer.save(checkpoint) if row.best else None,
            )
            stopped = trainer.run()
            done = [
                {
                    "utterances": row["utterances"],
                    "plan": row["chosen"]["plan"],
                    "trainable_groups": list(row["chosen"]["trainable_groups"]),
                    "steps": row["steps"],
                    "ended": row["ended"],
                    "stopped_because": row["stopped_because"],
                    "history": [{field: epoch[field] for field in FIELDS} for epoch in row["history"]],
                }
                for row in trainer.done
            ]
            processes.append({"stopped": stopped, "rounds": done, "readings": len(trainer.readings)})
    return {
        "count": ROUNDS,
        "limits": {"least_available_ram_mb": 100, "least_battery_percent": 20},
        "calibration": calibration.to_json(),
        "traces": [{"rows": [_reading(row) for row in trace]} for trace in TRACES],
        "processes": processes,
    }


def stream() -> dict:
    """Utterances one after the other, a window of them kept as features."""
    recognizer, corpus, utterances = _start()
    with tempfile.TemporaryDirectory() as folder:
        window = Window(Path(folder), recognizer.artifact, PACE.window, PACE.window_bytes)
        replay = read_replay(recognizer.artifact)
        trainer = StreamTrainer(recognizer, window, SETTINGS, PACE, replay=replay)
        for number, utterance in enumerate(utterances):
            example = recognizer.example(corpus.samples(utterance), utterance.text, utterance.where)
            trainer.hear(dataclasses.replace(example, weight=CORRECTION_WEIGHT if number in CORRECTED else 1))
        trainer.finish()
        outcome = trainer.outcome("")
        kept = window.numbers
    told = {"pace": dataclasses.asdict(PACE), "corrected": CORRECTED, "history": _rows(outcome.history)}
    return {**told, "steps": outcome.steps, "window": kept}


def _rows(history: list[Epoch]) -> list[dict]:
    return [{field: getattr(row, field) for field in FIELDS} for row in history]


def _reading(row: Resources) -> dict:
    return {key: value for key, value in dataclasses.asdict(row).items() if key != "cores"}
