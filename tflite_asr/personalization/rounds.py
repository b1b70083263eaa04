"""Personalisation in rounds: new utterances arrive, the selector checks the device's resources, training continues.

A round ends at its best validation result, by patience, or when the device runs low; the next starts from the best
weights, also in another process: `rounds.json` in the folder tells how far the former one came,
`checkpoint.safetensors` holds the best weights so far. All rounds are validated on the same utterances, held out of the
first, so that they can be compared.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.files import read_text, write_whole
from tflite_asr.personalization.average import Epoch
from tflite_asr.personalization.calibration import Calibration
from tflite_asr.personalization.resources import Limits, Resources, ResourceSource
from tflite_asr.personalization.selector import Budget, Candidate, candidates, choose
from tflite_asr.personalization.settings import Settings
from tflite_asr.personalization.trainer import Epochs, settings_for, split
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.recognizer import Recognizer

CHECKPOINT, STATE = "checkpoint.safetensors", "rounds.json"


@dataclass(frozen=True)
class Rounds:
    """The number of rounds, and what decides about each."""

    count: int
    source: ResourceSource
    limits: Limits
    calibration: Calibration  # of the artifact on this device

    def settings(self) -> dict:
        """For the report."""
        return {
            "rounds": self.count,
            "battery_floor_percent": self.limits.least_battery_percent,
            "ram_floor_mb": self.limits.least_available_ram_mb,
        }


def arriving(utterances: Sequence[Utterance], count: int, seed: int) -> list[list[Utterance]]:
    """The new utterances of each round, as many in each; in an order drawn by seed, for corpora are sorted by word."""
    if len(utterances) <= count:
        raise InputError(f"--rounds {count}: expected more utterances than rounds, got {len(utterances)}")
    order = np.random.default_rng([seed, 17]).permutation(len(utterances))
    return [[utterances[index] for index in part] for part in np.array_split(order, count)]


class RoundsTrainer:
    """Trains round after round.

    Args:
        recognizer: trained in place.
        adapt: the speech to learn from and which of its utterances.
        settings: how to train in each round; plan, exit and group rates are the selector's.
        rounds: how many, and the device.
        folder: of the checkpoint and the state; training resumes from those of an earlier process.
        replay: shipped utterances, mixed into the batches.
        on_epoch, on_step: called with progress; `on_epoch` writes the checkpoint when an epoch is the best.
        on_round: called before each round with the candidate that was chosen.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        adapt: tuple[Corpus, Sequence[Utterance]],
        settings: Settings,
        rounds: Rounds,
        folder: Path,
        *,
        replay: Sequence[Example] = (),
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
        on_round: Callable[[int, Candidate], None] = lambda number, chosen: None,
    ):
        corpus, utterances = adapt
        settings = settings_for(recognizer, settings, len(utterances))
        self.recognizer, self.settings, self.rounds, self.folder = recognizer, settings, rounds, folder
        self.on_epoch, self.on_round = on_epoch, on_round
        self.parts = arriving(utterances, rounds.count, settings.seed)
        self.parts[0], validation = self._first_round(settings)
        self.epochs = Epochs(recognizer, corpus, validation, settings, replay=replay, on_step=on_step)
        self.candidates = candidates(recognizer.artifact, rounds.calibration)
        self.of = self._fingerprint(utterances)
        self.done: list[dict] = []  # a row a round, the last one perhaps interrupted
        self.readings: list[dict] = []  # of the resources, over all processes
        self.seconds = 0.0  # of the readings of earlier processes
        self._restore()

    def _first_round(self, settings: Settings) -> tuple[list[Utterance], list[Utterance]]:
        """The first round's utterances to train on, and those to validate every round on: a share of them that is held
        out, or all where all rounds together are few, as `training_and_validation` does."""
        first = self.parts[0]
        if sum(map(len, self.parts)) < settings.least_to_hold_out:
            return first, first
        return split(first, settings.validation_share, settings.seed)

    @property
    def finished(self) -> bool:
        """Whether every round came to its end."""
        return len(self.done) == self.rounds.count and self.done[-1]["ended"]

    @property
    def policy(self) -> ExitPolicy | None:
        """Where the encoder is left, as the last round trained it."""
        exit = self.done[-1]["chosen"]["exit"] if self.done else None
        return None if exit in (None, len(self.recognizer.artifact.exits) - 1) else ExitPolicy(exit)

    def run(self, measure: Callable[[], dict] = dict) -> str:
        """Train the remaining rounds. Returns why training ended; the recogniser has the best weights afterwards.

        Args:
            measure: called at the end of each round; what it returns is noted with it.
        """
        while not self.finished:
            number = len(self.done) + (not self.done or self.done[-1]["ended"])  # counted from 1
            refusal = self._refusal()
            if refusal:
                return f"before round {number}: {refusal}"
            budget = self._budget()
            selection = choose(self.candidates, budget, self._exit_losses())
            if selection.chosen is None:
                enough = (
                    f"one would into {selection.smallest}" if selection.smallest else "none would with a full battery"
                )
                return f"before round {number}: no plan fits into {budget}; {enough}"
            self.on_round(number, selection.chosen)
            self._round(number, selection.chosen)
            if self.done[-1]["ended"]:
                self.done[-1] |= measure()
                self._save()
            else:
                return f"in round {number}: {self.done[-1]['stopped_because']}"
        return f"all {self.rounds.count} rounds done"

    def history(self) -> list[dict]:
        """The rows of all rounds, their epochs counted on from round to round; `stopped_because` where training
        stopped.
        """
        rows, before = [], 0
        for done in self.done:
            rows += [{**row, "epoch": before + row["epoch"], "round": done["round"]} for row in done["history"]]
            before = rows[-1]["epoch"]
        return rows

    def _round(self, number: int, chosen: Candidate) -> None:
        if number > len(self.done):
            arrived = sum(map(len, self.parts[:number]))
            self.done.append({"round": number, "utterances": arrived, "history": [], "steps": 0, "seconds": 0.0})
        row = self.done[-1]
        row |= {"chosen": dataclasses.asdict(chosen), "ended": False, "stopped_because": "the process ended"}
        done = row["history"][-1]["epoch"] if row["history"] else 0
        settings = dataclasses.replace(
            self.settings,
            plan=chosen.plan,
            group_rates={group: float(group in chosen.trainable_groups) for group in self.recognizer.groups},
            exit=self.policy.exit if self.policy else None,
        )

        steps, seconds = row["steps"], row["seconds"]  # before an interruption

        def note(epoch: Epoch) -> None:
            self.on_epoch(epoch)
            self._read()
            row["steps"], row["seconds"] = steps + epoch.step, seconds + epoch.seconds
            if not (row["history"] and epoch.epoch == done):  # measured again after an interruption
                counted_on = {"step": row["steps"], "seconds": row["seconds"]}
                row["history"].append(epoch.to_json() | counted_on)
            row["best_wer"] = [entry["validation_wer"] for entry in row["history"] if entry["best"]][-1]
            self._save()

        training = [utterance for part in self.parts[:number] for utterance in part]
        outcome = self.epochs.train(training, settings, done=done, must_stop=self._refusal, on_epoch=note)
        row["steps"], row["seconds"] = steps + outcome.steps, seconds + outcome.seconds
        row["stopped_because"], row["ended"] = outcome.stopped_because, not outcome.interrupted
        row["history"][-1]["stopped_because"] = outcome.stopped_because
        self._save()

    def _budget(self) -> Budget:
        """The current resources of this device."""
        now, limits = self._read(), self.rounds.limits
        base_mb = max(plan.base_private_mb for plan in self.rounds.calibration.plans.values())  # is there already
        on_battery = not now.charging and now.battery_percent is not None
        return Budget(
            ram_mb=base_mb + now.available_ram_mb - limits.least_available_ram_mb,
            battery_percent=now.battery_percent if on_battery else None,
            battery_floor_percent=limits.least_battery_percent,
            steps=self.settings.epochs * self.settings.epoch_steps,
        )

    def _exit_losses(self) -> list[float] | None:
        """The exits' losses on the owner's validation utterances; None if there is only one exit."""
        if len(self.recognizer.artifact.exits) == 1:
            return None
        return self.recognizer.exit_losses(self.epochs.validation).mean(axis=1).tolist()

    def _refusal(self) -> str | None:
        """Why not to train now."""
        now = self.rounds.source.now()
        reason = self.rounds.limits.refusal(now)
        if reason:
            self._note(now)
        return reason

    def _read(self) -> Resources:
        now = self.rounds.source.now()
        self._note(now)
        return now

    def _note(self, now: Resources) -> None:
        self.readings.append({**dataclasses.asdict(now), "seconds": self.seconds + now.seconds})

    def _fingerprint(self, utterances: Sequence[Utterance]) -> str:
        """A digest of everything that rounds of two processes must have in common."""
        settings = dataclasses.asdict(self.settings)
        rows = [(str(utterance.audio), utterance.text, *_segment(utterance)) for utterance in utterances]
        same = [self.recognizer.artifact.tflite_sha256, self.rounds.count, settings, rows]
        return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()

    def _restore(self) -> None:
        """Resume from the folder; a folder without rounds gets the weights that they start from."""
        path, checkpoint = self.folder / STATE, self.folder / CHECKPOINT
        if not path.exists():
            self.recognizer.save(checkpoint)
            return
        text = read_text(path, "the state of rounds")
        try:
            state = json.loads(text)
            of, done, readings = state["of"], state["rounds"], state["resources"]
            _check_state(done, readings, len(self.recognizer.artifact.exits))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not the state of rounds ({error}); remove it to begin anew") from None
        if of != self.of:
            raise InputError(
                f"{path}: rounds of another model, other utterances or settings; give another --out, or remove it to "
                f"begin anew"
            )
        self.recognizer.restore(checkpoint)
        self.done, self.readings = done, readings
        self.recognizer.owner = None  # while training, everything is heard with what is learned
        self.seconds = self.readings[-1]["seconds"] if self.readings else 0.0

    def _save(self) -> None:
        state = {"of": self.of, "rounds": self.done, "resources": self.readings}
        write_whole(self.folder / STATE, (json.dumps(state, indent=1, allow_nan=False) + "\n").encode())


def _segment(utterance: Utterance) -> tuple[float | None, ...]:
    """Identifies a segment of a file; empty for a whole file."""
    return () if utterance.offset_seconds is None else (utterance.offset_seconds, utterance.duration_seconds)


def _check_state(rounds: list[dict], readings: list[dict], exits: int) -> None:
    """KeyError, TypeError or ValueError unless these are rows as `RoundsTrainer` writes them."""
    whole, number = (int,), (int, float)
    row_fields = {
        "round": whole,
        "utterances": whole,
        "steps": whole,
        "seconds": number,
        "ended": (bool,),
        "stopped_because": (str,),
    }
    entry_fields = {"epoch": whole, "step": whole, "seconds": number, "validation_wer": number, "best": (bool,)}
    _check_rows(readings, {"seconds": number, "available_ram_mb": number})
    _check_rows(rounds, row_fields | {"history": (list,), "chosen": (dict,)})
    for row in rounds:
        _check_rows(row["history"], entry_fields)
        _check_rows([row["chosen"]], {"plan": (str,), "exit": whole, "trainable_groups": (list, tuple)})
        if not 0 <= row["chosen"]["exit"] < exits or (row["history"] and type(row["best_wer"]) not in number):
            raise ValueError("expected an exit of the model and the best WER in each round")
    if [row["round"] for row in rounds] != list(range(1, len(rounds) + 1)) or not all(
        row["ended"] for row in rounds[:-1]
    ):
        raise ValueError("expected the rounds one after the other")


def _check_rows(rows: list[dict], fields: dict[str, tuple[type, ...]]) -> None:
    """KeyError or TypeError unless every row has these fields, of these types."""
    if not isinstance(rows, list):
        raise TypeError(f"expected rows, got {type(rows).__name__}")
    for row in rows:
        for name, types in fields.items():
            if type(row[name]) not in types:
                raise TypeError(f"{name}: expected {types[0].__name__}, got {row[name]!r}")
