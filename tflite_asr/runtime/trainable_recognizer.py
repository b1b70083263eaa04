"""Training on the device: examples, losses, one training step, and the weights. No TensorFlow."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tflite_asr.audio.samples import check_not_silent, checked_samples
from tflite_asr.config import ModelConfig
from tflite_asr.config.plans import CACHED, WHOLE
from tflite_asr.data.alignment import check_alignable
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Batch, Example, collate, collate_labels, sized_for
from tflite_asr.runtime.cached_activations import CachedExample, collate_rows, packed_row, store
from tflite_asr.runtime.interpreter import Signatures
from tflite_asr.runtime.memory import give_back_freed_memory
from tflite_asr.runtime.plan import Plan, StepResult, run_forward, run_step
from tflite_asr.runtime.two_pass_recognizer import TwoPassRecognizer
from tflite_asr.text.casing import in_one_case, with_case_of

NO_ALIGNMENT = 1e25  # nats; the file's losses are of the order of 1e30 where there is no alignment at all


class TrainableRecognizer(TwoPassRecognizer):
    """A recogniser whose weights can be trained, read and replaced.

    Args:
        artifact: what NAME.json holds.
        model: the interpreter of NAME.tflite.
        return_memory: see `Recognizer.load`.
    """

    def __init__(self, artifact: Artifact, model: Signatures, *, return_memory: bool = True):
        super().__init__(artifact, model)
        self.skipped_updates = 0
        self._plans: dict[str, Plan] = {}
        self._cached = 0  # utterances whose activations were stored
        self._return_memory = return_memory

    def example(self, samples: np.ndarray, text: str, where: str = "") -> Example:
        """Make an example to train on. Where the second pass trains, a transcript without case gets the case of what
        both passes recognise.

        Args:
            samples: [n] float in [-1, 1] at the model's sample rate.
            text: the transcript.
            where: where an error says that the utterance comes from.

        Raises:
            InputError: samples that are silent, too short or too long, or a text that the labels cannot spell.
        """
        samples = checked_samples(samples, where or "samples")
        check_not_silent(samples, where or "samples")
        text = " ".join(text.split())
        tokens = self._label_tokens(text, where)
        least = self.config.encoder.frames_per_step
        if self.config.features.frames_of(len(samples)) < least:
            seconds = self.config.features.samples_of(least) / self.config.features.sample_rate
            raise InputError(
                f"{where or 'utterance'}: expected {seconds:.3f} s of speech or more, got "
                f"{len(samples) / self.config.features.sample_rate:.3f} s; leave it out"
            )
        frames = self.features(samples)
        cased = self.cased(text, frames)
        if cased != text:
            tokens = self._label_tokens(cased, where)
        return Example(frames, tokens, self.labels.decode(tokens), where)

    def _label_tokens(self, text: str, where: str) -> np.ndarray:
        """The labels [count] int32 of a transcript; InputError if there are more than the file takes."""
        tokens = self.labels.encode(text, where=where)
        if len(tokens) > self.config.max_labels:
            raise InputError(
                f"{where or 'transcript'}: expected at most {self.config.max_labels} tokens, got {len(tokens)}"
            )
        return tokens

    def cased(self, text: str, frames: np.ndarray) -> str:
        """A transcript of frames [time, width] as the pass that trains writes it. For a second pass, a text without
        case gets the case and punctuation of the recognised text, see `text.casing`.
        """
        if not self.config.trains_second_pass or not in_one_case(text):
            return text
        return with_case_of(text, self.transcribe_two_pass(frames))

    def loss(self, examples: Sequence[Example]) -> np.ndarray:
        """Compute the loss of any number of utterances; no weight changes.

        Returns:
            [len(examples)] float32, in nats; infinite where the text cannot be aligned with the audio, see
            `data.alignment`.
        """
        return self._losses("losses", examples)

    def exit_losses(self, examples: Sequence[Example]) -> np.ndarray:
        """The loss of each utterance at each exit [exits, len(examples)] float32, as in `loss`."""
        if len(self.artifact.exits) == 1:
            return self.loss(examples)[np.newaxis]
        return self._losses("exit_losses", examples)

    def _losses(self, output: str, examples: Sequence[Example]) -> np.ndarray:
        """An output of the signature `loss` for all examples; its last axis is the batch."""
        size = self.config.sizes.batch
        losses = []
        with self.model.lock:
            for first in range(0, len(examples), size):
                some = examples[first : first + size]
                sized = sized_for(some, self.config)
                found = self.model.run(f"loss{sized.sizes.suffix}", collate(some, sized))[output][..., : len(some)]
                losses.append(np.where(found > NO_ALIGNMENT, np.float32(np.inf), found))
        return np.concatenate(losses, axis=-1)

    def cache(self, examples: Sequence[Example], *, bits: int = 8, folder: Path | None = None) -> list[CachedExample]:
        """Compute what the groups that the plan `cached` does not train put out, for `train_step` with that plan.

        It holds as long as the weights of these groups stay as they are.

        Args:
            examples: any number of utterances.
            bits: that an activation is stored in: 8, 16 or 32.
            folder: a file for each utterance goes there; None: they are kept in memory.

        Returns:
            the utterances, in their order.

        Raises:
            InputError: a file without the plan `cached`, or a folder that cannot be written.
        """
        size = self.config.sizes.batch
        cached = []
        for first in range(0, len(examples), size):
            some = examples[first : first + size]
            check_alignable(some, self.config)
            sized = sized_for(some, self.config)
            below, above = self.plan(CACHED + sized.sizes.suffix).at_first_update()
            with self.model.lock:
                found = run_forward(self.model, below, collate(some, sized), list(above.takes.values()))
            outputs = {name: found[source] for name, source in above.takes.items()}
            for row, example in enumerate(some):
                stored = store(packed_row(outputs, row, bits), folder, self._cached)
                self._cached += 1
                cached.append(
                    CachedExample(
                        stored, example.frame_count, example.tokens, example.text, example.where, example.weight
                    )
                )
        return cached

    def train_step(
        self,
        examples: Batch,
        *,
        learning_rate: float = 1e-3,
        clip_norm: float = 0.0,
        pull: float = 0.0,
        group_rates: Mapping[str, float] | None = None,
        plan: str = WHOLE,
        clip_globally: bool = False,
    ) -> StepResult:
        """Update the weights once.

        Args:
            examples: 1 to the artifact's batch size. With the plan `cached` they may be what `cache` returned.
            learning_rate: of the artifact's optimizer.
            clip_norm: the largest norm of the gradient, of all groups together in the plan `train`, of each group in
                `split`; 0 does not clip.
            pull: w -= learning_rate * pull * (w - shipped w) in each step; 0 does not pull.
            group_rates: factors on the learning rate by group name, 1 for groups without one; 0 does not train a group.
                Groups that are frozen in the file have 0.
            plan: `train`, the whole step in one call; `split`, the same step in parts with less memory; `cached`, the
                last part alone, see `cache`.
            clip_globally: makes `split` clip by the norm of all groups, which takes twice as long; see
                docs/architecture.md.

        Raises:
            InputError: a group or plan that the file does not have, a frozen group, or a text that cannot be aligned
                with its audio.
        """
        sized = sized_for(examples, self.config)
        step = self.plan(plan + sized.sizes.suffix)
        rates = self._rates(group_rates or {}, step)
        if pull and not self.artifact.pulls:
            raise InputError(f"{self.artifact.path}: exported without the shipped weights that pull={pull} needs")
        calls = step.needed({group for group, rate in rates.items() if rate != 0})
        batch, stored = self._batch(examples, sized, step)
        if stored:
            calls = tuple(call for call in calls if call.updates)
        inputs = {
            **batch,
            "learning_rate": np.asarray([learning_rate], np.float32),
            "clip_norm": np.asarray([clip_norm], np.float32),
            "pull": np.asarray([pull], np.float32),
            "group_rates": np.asarray([rates[group] for group in self.groups], np.float32),
        }
        if len(calls) > 1 and self._return_memory:
            give_back_freed_memory()
            self._return_memory = False  # it holds for good
        with self.model.lock:
            result = run_step(self.model, calls, inputs, two_passes=clip_globally, stored=stored)
            self.skipped_updates += result.skipped
        return result

    def _batch(
        self, examples: Batch, sized: ModelConfig, plan: Plan
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """A step's inputs for its utterances and, where these are cached, outputs of the calls below the trained
        groups, as "signature.output"."""
        cached = [example for example in examples if isinstance(example, CachedExample)]
        plain = [example for example in examples if isinstance(example, Example)]
        if not cached:
            check_alignable(plain, self.config)
            return collate(plain, sized), {}
        if plain or not plan.cached:
            raise InputError(
                f"plan {plan.name!r}: expected "
                + ("utterances that are all cached" if plan.cached else f"plan {CACHED!r} for cached utterances")
                + f", {len(cached)} of {len(examples)} are cached"
            )
        _, above = plan.at_first_update()
        inputs = self.artifact.signatures[above.signature]["inputs"]
        shapes = {tensor["name"]: tensor["shape"] for tensor in inputs if tensor["name"] in above.takes}
        rows = collate_rows(cached, shapes)
        return collate_labels(cached, sized), {above.takes[name]: value for name, value in rows.items()}

    def _rates(self, group_rates: Mapping[str, float], plan: Plan) -> dict[str, float]:
        """The factor on the learning rate of every group; InputError for unknown groups, for frozen ones and for those
        below the plan `cached`."""
        frozen = dict.fromkeys(self.artifact.frozen_groups, 0.0)
        below = {} if not plan.cached else {group: 0.0 for group in self.groups if group not in plan.trained}
        rates = dict.fromkeys(self.groups, 1.0) | frozen | below | dict(group_rates)
        if set(rates) != set(self.groups):
            raise InputError(f"no such layer group: {sorted(set(rates) - set(self.groups))}; there are {self.groups}")
        asked = [group for group in frozen if rates[group]]
        if asked:
            raise InputError(
                f"{self.artifact.path}: cannot train {', '.join(asked)}: constants of the file; export it with "
                f"--trainable"
            )
        asked = [group for group in below if rates[group]]
        if asked:
            raise InputError(
                f"plan {plan.name!r} does not train {', '.join(asked)}: what they put out is stored; give them rate 0, "
                "or take another plan"
            )
        return rates

    def plan(self, name: str) -> Plan:
        """The plan of this name; InputError when there is none, or when it calls a signature that the file lacks."""
        if name not in self._plans:
            plans = {**self.artifact.plans, **self.artifact.shorter_plans}
            self._plans[name] = Plan.of(name, plans, self.artifact.signatures)
        return self._plans[name]

    def parameters(self) -> dict[str, dict[str, float]]:
        """For each layer group: parameters, bytes, activation_bytes, weight_norm, distance from the shipped weights."""
        result = self.model.run("parameters")
        return {
            group: {key: values[index].item() for key, values in result.items()}
            for index, group in enumerate(self.groups)
        }

    def state(self) -> dict[str, np.ndarray]:
        """Copies of the weights, the optimizer's slots and the step, by tensor name."""
        return self.model.run("get_weights")

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state` returned."""
        self.model.run("set_weights", state)
