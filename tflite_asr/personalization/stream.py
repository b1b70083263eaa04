"""Personalisation on a phone: utterances arrive one after another, the window stores the newest, training steps follow.

After every `pace.stride` new utterances `pace.steps` steps are taken on what the window holds. All that is drawn at
random depends on the seed, the round and the window alone, so training that was interrupted after any step and goes on
in another process ends with the same weights.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from tflite_asr.personalization.average import Epoch, KeptAverage, Outcome, mean_finite
from tflite_asr.personalization.batches import own_rows, with_replay
from tflite_asr.personalization.cached_batches import CachedBatches, cached_batches
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.steps import Steps
from tflite_asr.personalization.strings import Strings
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.cached_activations import CachedExample
from tflite_asr.runtime.checkpoint import load_checkpoint, save_checkpoint
from tflite_asr.runtime.recognizer import Recognizer

POSITION = "position"  # tensor of a saved state: round, steps of it that were taken, steps in all, new utterances
KEPT = ("average", "best")  # saved without the optimizer's slots, which only the trained weights need


class StreamTrainer:
    """Trains on utterances as they arrive.

    Args:
        recognizer: trained in place.
        window: what is kept of the utterances; every few of them validate and are not trained on.
        settings, pace: how. Of the settings `epochs`, `epoch_steps` and `patience` have no meaning here.
        replay: shipped utterances, mixed into the batches.
        may_go_on: asked after every step; training pauses at the end of a step when it says no.
        on_epoch, on_step: called with progress; a step's arguments are its number, the round's steps, its loss.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        window: Window,
        settings: Settings,
        pace: Pace,
        *,
        replay: Sequence[Example] = (),
        may_go_on: Callable[[], bool] = lambda: True,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    ):
        self.recognizer, self.window, self.settings, self.pace = recognizer, window, settings, pace
        self.replay, self.may_go_on, self.on_step = replay, may_go_on, on_step
        self.strings = Strings(recognizer, settings.connect, settings.augment)
        self.kept = KeptAverage(recognizer, settings, on_epoch)
        self.taker = Steps(recognizer, settings)
        self.period = max(2, round(1 / settings.validation_share))
        self.round = self.taken = self.steps = self.new = 0

    def hear(self, example: Example) -> bool:
        """Store a new utterance and train when it is time to; whether training went through, see `go_on`."""
        self.window.add(example)
        self.new += 1
        return self.new < self.pace.stride or self.go_on()

    def finish(self) -> bool:
        """Train for the last utterances, fewer than a stride, with their share of the steps."""
        return self.new == 0 or self.go_on()

    def go_on(self) -> bool:
        """Take the remaining steps of a round; False if `may_go_on` stopped them."""
        numbers = self.window.numbers
        if len(numbers) < 2:
            return True  # too few yet; they count for the next round
        # in a small window there may be none of them: the newest has not been trained on either
        weights = {number: self.window.read(number).weight for number in numbers}
        plain = [number for number in numbers if weights[number] == 1]  # what was corrected is learned from
        held_out = [number for number in plain if number % self.period == self.period // 2] or (plain or numbers)[-1:]
        if len(held_out) == len(numbers):  # others were forgotten
            held_out = held_out[-1:]
        training = [number for number in numbers if number not in held_out for _ in range(weights[number])]
        seed, number = self.settings.seed, self.round + 1
        validation = self.strings.validation(held_out, self.window.read, np.random.default_rng([seed, number, 0]))
        if self.round == self.taken == 0:
            self.kept.begin(validation)
        size = own_rows(self.recognizer, self.replay, self.settings)
        strings = self.strings.endless(training, self.window.read, np.random.default_rng([seed, number, 1]))
        steps = -(-self.pace.steps * self.new // self.pace.stride)
        losses = []
        with cached_batches(self.recognizer, self.settings) as cached:
            for own, random in islice(self._own_rows(strings, size, steps, cached), self.taken, steps):
                batch = with_replay(self.recognizer, own(), self.replay, self.settings, random, cached)
                result = self.taker.take(batch, self.settings.rate(self.recognizer.config))
                self.taken += 1
                self.steps += not result.skipped
                losses.append(result.loss)
                self.on_step(self.taken, steps, result.loss)
                if not self.may_go_on() and self.taken < steps:
                    return False
        self.kept.update(number, self.steps, mean_finite(losses), validation, moved=True)
        self.round, self.taken, self.new = number, 0, 0
        return True

    def _own_rows(
        self, strings: Iterator[list[Example]], size: int, steps: int, cached: CachedBatches | None
    ) -> Iterator[tuple[Callable[[], Sequence[Example] | Sequence[CachedExample]], np.random.Generator]]:
        """For each step of a round, what makes the owner's rows, and what the rest of the step draws from.

        With the plan `cached` the rows of a step are those of `settings.cached_uses` steps.
        """
        seed, number = self.settings.seed, self.round + 1

        def varied(parts: Sequence[list[Example]], random: np.random.Generator) -> list[Example]:
            return [self.strings.example(string, random) for string in parts]

        if cached is None:
            for step in range(steps):
                random = np.random.default_rng([seed, number, 2, step])
                yield partial(varied, list(islice(strings, size)), random), random
            return
        different = -(-steps // self.settings.cached_uses)
        drawn = [list(islice(strings, size)) for _ in range(different)]
        for step in range(steps):
            version = step % different
            random = np.random.default_rng([seed, number, 2, version])
            make = partial(varied, drawn[version], random)
            yield partial(cached.rows, ("own", version), make), np.random.default_rng([seed, number, 3, step])

    def outcome(self, stopped_because: str) -> Outcome:
        """What was done; the recogniser holds the best weights from here on."""
        self.recognizer.set_state(self.kept.best_state)
        return Outcome(self.kept.history, self.kept.best_state, self.steps, self.kept.seconds, stopped_because)

    def save(self, path: Path) -> None:
        """Write all that `restore` needs but the window, which is on disk already."""
        state = self.recognizer.state()
        weights = self._weights()
        for name, kept in zip(KEPT, (self.kept.average, self.kept.best_state)):
            state.update({f"{name}.{tensor}": kept[tensor] for tensor in weights})
        state[POSITION] = np.asarray([self.round, self.taken, self.steps, self.new], np.int32)
        save_checkpoint(path, state, artifact_sha256=self.recognizer.artifact.tflite_sha256, step=self.steps)

    def restore(self, path: Path) -> None:
        """Go on from where `save` was called; InputError when the file is not one of this artifact or damaged."""
        expected = {t["tensor"]: (tuple(t["shape"]), t["dtype"]) for t in self.recognizer.artifact.state}
        weights = self._weights()
        kept = {f"{name}.{tensor}": expected[tensor] for name in KEPT for tensor in weights}
        tensors, _ = load_checkpoint(
            path,
            artifact_sha256=self.recognizer.artifact.tflite_sha256,
            expected={**expected, **kept, POSITION: ((4,), "int32")},
        )
        trained = {name: tensors[name] for name in expected}
        self.recognizer.set_state(trained)
        self.kept.average, self.kept.best_state = (
            {**trained, **{tensor: tensors[f"{name}.{tensor}"] for tensor in weights}} for name in KEPT
        )
        self.round, self.taken, self.steps, self.new = (int(value) for value in tensors[POSITION])

    def _weights(self) -> list[str]:
        return [row["tensor"] for row in self.recognizer.artifact.trainable]
