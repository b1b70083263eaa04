"""Training on the device: examples, losses, one training step, and the weights. No TensorFlow."""

from collections.abc import Mapping, Sequence

import numpy as np

from tflite_asr.audio.samples import check_not_silent, checked_samples
from tflite_asr.config.plans import WHOLE
from tflite_asr.data.alignment import check_alignable
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Example, collate, sized_for
from tflite_asr.runtime.interpreter import SignatureModel
from tflite_asr.runtime.memory import give_back_freed_memory
from tflite_asr.runtime.plan import Plan, StepResult, run_step
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

    def __init__(self, artifact: Artifact, model: SignatureModel, *, return_memory: bool = True):
        super().__init__(artifact, model)
        self.skipped_updates = 0
        self._plans: dict[str, Plan] = {}
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

    def train_step(
        self,
        examples: Sequence[Example],
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
            examples: 1 to the artifact's batch size.
            learning_rate: of the artifact's optimizer.
            clip_norm: the largest norm of the gradient, of all groups together in the plan `train`, of each group in
                `split`; 0 does not clip.
            pull: w -= learning_rate * pull * (w - shipped w) in each step; 0 does not pull.
            group_rates: factors on the learning rate by group name, 1 for groups without one; 0 does not train a group.
                Groups that are frozen in the file have 0.
            plan: `train`, the whole step in one call, or `split`, the same step in parts with less memory.
            clip_globally: makes `split` clip by the norm of all groups, which takes twice as long; see
                docs/architecture.md.

        Raises:
            InputError: a group or plan that the file does not have, a frozen group, or a text that cannot be aligned
                with its audio.
        """
        rates = self._rates(group_rates or {})
        if pull and not self.artifact.pulls:
            raise InputError(f"{self.artifact.path}: exported without the shipped weights that pull={pull} needs")
        check_alignable(examples, self.config)
        sized = sized_for(examples, self.config)
        inputs = {
            **collate(examples, sized),
            "learning_rate": np.asarray([learning_rate], np.float32),
            "clip_norm": np.asarray([clip_norm], np.float32),
            "pull": np.asarray([pull], np.float32),
            "group_rates": np.asarray([rates[group] for group in self.groups], np.float32),
        }
        calls = self.plan(plan + sized.sizes.suffix).needed({group for group, rate in rates.items() if rate != 0})
        if len(calls) > 1 and self._return_memory:
            give_back_freed_memory()
            self._return_memory = False  # it holds for good
        with self.model.lock:
            result = run_step(self.model, calls, inputs, two_passes=clip_globally)
            self.skipped_updates += result.skipped
        return result

    def _rates(self, group_rates: Mapping[str, float]) -> dict[str, float]:
        """The factor on the learning rate of every group; InputError for unknown groups and for frozen ones."""
        frozen = dict.fromkeys(self.artifact.frozen_groups, 0.0)
        rates = dict.fromkeys(self.groups, 1.0) | frozen | dict(group_rates)
        if set(rates) != set(self.groups):
            raise InputError(f"no such layer group: {sorted(set(rates) - set(self.groups))}; there are {self.groups}")
        asked = [group for group in frozen if rates[group]]
        if asked:
            raise InputError(
                f"{self.artifact.path}: cannot train {', '.join(asked)}: constants of the file; export it with "
                f"--trainable"
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
