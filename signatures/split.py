"""The training step in parts: `forward_<k>`, `head`, `backward_<k>`, called in sequence.

The chain of encoder groups is cut into parts 0 ... K-1. `forward_<k>` runs the groups of a part. `head` runs the top
part forward, the label groups and the loss, and all of their backward passes and updates, so that the top part runs
forward only once. `backward_<k>` continues downwards, part by part.

Every group's forward pass, and every group's backward pass with its update, runs in an arena of its own, so the weight
gradients of only one group are in memory at a time. That is why `clip_norm` applies to the gradient of each group. To
clip by the norm of all groups, run the plan twice: with `global_norm` below 0, nothing is updated and the norms are
returned; above 0, it is the norm to clip by.

The call that runs the group before an inner exit forward computes the exit's loss and gradients. They are added to the
gradient from above, see `signatures.exits`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from signatures.arena import always, in_arena
from signatures.backward import BackwardPass, GroupForward
from signatures.chain import GroupSpecs, frame_inputs
from signatures.exits import ExitLosses, InnerExits
from signatures.optimizers import State
from signatures.partition import Partition
from signatures.parts import Part
from signatures.spec import LayerGroup, Signature, SplitModel, one_value
from signatures.update import Update


class _ForwardPass(NamedTuple):
    """The forward pass of some groups."""

    x: tf.Tensor  # the last one's output [batch, steps, ...]
    lengths: tf.Tensor  # of the output, [batch] int32
    groups: list[GroupForward]


class SplitStep:
    """Builds the signatures and the plan.

    Args:
        model: whose step is cut.
        state: the variables that train, and the optimizer's.
        parts: of the encoder chain, bottom first.
        specs: of the same chain, from `chain.trace_chain`.
        rates: the groups that `group_rates` are for; None: the model's.
        suffix: of every signature's name.
    """

    def __init__(
        self,
        model: SplitModel,
        state: State,
        parts: Sequence[Part],
        specs: Sequence[GroupSpecs],
        rates: Sequence[str] | None = None,
        suffix: str = "",
    ):
        self.model = model
        self.state = state
        self.parts = parts
        self.specs = specs
        self.exits = InnerExits(model, state, specs)
        self.partition = Partition(model, state, parts, specs, self.exits)
        self.rates = rates or self.partition.names
        self.suffix = suffix
        self.frames = frame_inputs(model)
        self.labels = [spec for spec in model.batch_inputs() if spec.name in model.label_inputs]
        self.update_inputs = (*Update.inputs(state, self.rates), one_value("global_norm"))

    def signatures(self) -> list[Signature]:
        """The signatures, in the order of the plan."""
        return [
            *map(self._forward_signature, range(len(self.parts) - 1)),
            self._head_signature(),
            *map(self._backward_signature, self.partition.parts_with_gradient()),
        ]

    def plan(self) -> list[dict]:
        """The calls in order. `takes` maps inputs to outputs of earlier calls, as call.output; the other inputs are the
        step's own. `updates` lists the groups that the call trains."""
        top, suffix = len(self.parts) - 1, self.suffix

        def source(k: int) -> dict[str, str]:
            return {name: f"forward_{k - 1}{suffix}.{name}" for name in ("x", "lengths")} if k else {}

        def for_losses(k: int) -> dict[str, str]:
            rows = {"rows": f"forward_0{suffix}.rows"} if k else {}
            below = [j for j in range(k) if self.partition.exits_of(j)]
            return {**rows, **({"losses": f"forward_{below[-1]}{suffix}.losses"} if below else {})}

        calls = []
        for k in range(top):
            takes = {**source(k), **(for_losses(k) if self.partition.exits_of(k) else {})}
            calls.append({"signature": f"forward_{k}{suffix}", "takes": takes, "updates": []})
        takes = {**source(top), **for_losses(top)}
        calls.append({"signature": f"head{suffix}", "takes": takes, "updates": self.partition.groups_updated(top)})
        for k in self.partition.parts_with_gradient():
            names = (*self.partition.saved_specs(k), *self.partition.carried_specs(k))
            carried = {name: f"forward_{k}{suffix}.{name}" for name in names}
            above = "head" if k == top - 1 else f"backward_{k + 1}"
            takes = {**source(k), **carried, "gradient": f"{above}{suffix}.gradient"}
            calls.append(
                {"signature": f"backward_{k}{suffix}", "takes": takes, "updates": self.partition.groups_updated(k)}
            )
        return calls

    def cached_plan(self) -> list[dict]:
        """The calls of `plan` that train the top part alone. Those before `head` update nothing, so a host may store
        their outputs for each utterance and call `head` only. Empty where the top part is all there is, or where an
        exit below it has a loss, which depends on more than the utterance.
        """
        top = len(self.parts) - 1
        if not top or any(map(self.partition.exits_of, range(top))) or not self.partition.groups_updated(top):
            return []
        return self.plan()[: top + 1]

    def _loss_inputs(self, k: int) -> list[tf.TensorSpec]:
        """The inputs for the loss of a part that has an exit."""
        rows = self.specs[0].lengths.shape
        names = [*(["rows"] if k else []), *(["losses"] if any(map(self.partition.exits_of, range(k))) else [])]
        return [*self.labels, *(tf.TensorSpec(rows, tf.float32, name) for name in names)]

    def _exit_losses(self, k: int, inputs: dict[str, tf.Tensor]) -> ExitLosses:
        """The losses of a part's exits, still without those of this call."""
        labels = [inputs[spec.name] for spec in self.labels]
        if k:
            rows = self.model.check_labels(inputs["rows"], *labels)
        else:
            rows = self.model.row_weights(*(inputs[spec.name] for spec in self.model.batch_inputs()))
        return ExitLosses(self.exits, labels, rows, inputs.get("losses"))

    def _inputs(self, k: int) -> list[tf.TensorSpec]:
        """The inputs that the part's first group is computed from."""
        if k == 0:
            return self.frames
        spec = self.specs[self.parts[k].first]
        return [tf.TensorSpec(s.shape, s.dtype, name) for s, name in ((spec.x, "x"), (spec.lengths, "lengths"))]

    def _first_input(self, k: int, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """x and lengths for the part's first group."""
        if k == 0:
            return self.model.front(*(inputs[spec.name] for spec in self.frames))
        return inputs["x"], inputs["lengths"]

    def _forward(
        self,
        groups: Sequence[LayerGroup],
        x: tf.Tensor,
        lengths: tf.Tensor,
        exit_losses: ExitLosses | None = None,
        recomputable: bool = True,
    ) -> _ForwardPass:
        """Run groups forward.

        Args:
            groups: bottom first.
            x, lengths: the first one's input.
            exit_losses: the exits behind the groups are added to it; None to run no exit.
            recomputable: whether to save tensors that are cheap to recompute as well.
        """
        forward = []
        for group in groups:

            def body():
                with self.model.saving(recomputable) as saved:
                    output, new_lengths, _ = group(x, lengths)
                return output, new_lengths, list(saved) if group.name in self.partition.groups_with_gradient else []

            output, new_lengths, saved = in_arena(always(lengths), body)
            forward.append(GroupForward(x, lengths, saved))
            x, lengths = output, new_lengths
            if exit_losses:
                exit_losses.add(group.name, x, lengths)
        return _ForwardPass(x, lengths, forward)

    def _backward_pass(self, inputs: dict[str, tf.Tensor]) -> BackwardPass:
        return BackwardPass(self.model, self.state, self.exits, self.rates, self.partition.lowest_trainable, inputs)

    def _forward_signature(self, k: int) -> Signature:
        groups = [self.model.groups[index] for index in self.parts[k].indices]
        names, carried = list(self.partition.saved_specs(k)), list(self.partition.carried_specs(k))
        has_loss = bool(carried)

        def forward(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            exit_losses = self._exit_losses(k, inputs) if has_loss else None
            x, lengths, passed = self._forward(
                groups, *self._first_input(k, inputs), exit_losses, self.parts[k].recomputable
            )
            outputs = {"x": x, "lengths": lengths}
            if names:
                first, flat = self.parts[k].first, []
                for index in self.partition.indices_with_gradient(k):
                    group = passed[index - first]
                    flat += [*([group.x, group.lengths] if index > first else []), *(group.saved or [])]
                outputs |= dict(zip(names, flat))
            if exit_losses:
                flat = [gradient for gradients in exit_losses.carried.values() for gradient in gradients]
                outputs |= {"losses": exit_losses.losses, **dict(zip(carried, flat))}
            if k == 0:
                labels = [tf.zeros(spec.shape, spec.dtype) for spec in self.labels]  # `rows` depends on frames alone
                outputs["rows"] = self.model.row_weights(*(inputs[spec.name] for spec in self.frames), *labels)
            return outputs

        does = f"split step: forward through {_listed(self.partition.groups_of(k))}"
        inputs = (*self._inputs(k), *(self._loss_inputs(k) if has_loss else []))
        return Signature(f"forward_{k}{self.suffix}", does, forward, inputs, tuple(self.partition.groups_run(k)))

    def _head_signature(self) -> Signature:
        model, top = self.model, len(self.parts) - 1
        groups = [model.groups[index] for index in self.parts[top].indices]
        inputs = [*self._inputs(top), *self._loss_inputs(top)]

        def head(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            labels = [inputs[spec.name] for spec in self.labels]
            exit_losses = self._exit_losses(top, inputs)
            recomputable = self.parts[top].recomputable
            encoded, lengths, passed = self._forward(groups, *self._first_input(top, inputs), exit_losses, recomputable)
            predicted, label_passed = None, []
            if model.label_groups:
                predicted, _, label_passed = self._forward(model.label_groups, *model.label_front(*labels))
            backward = self._backward_pass(inputs)
            joined = backward.join(encoded, lengths, predicted, labels, exit_losses)
            backward.run(model.label_groups, label_passed, joined.d_predicted, needs_gradient=False, carried={})
            gradient = backward.run(
                groups,
                passed,
                joined.d_encoded,
                self.partition.returns_gradient(top),
                exit_losses.carried,
                recomputable,
            )
            outputs = {"loss": joined.loss, "losses": joined.losses, "proceed": joined.proceed, **backward.report()}
            return outputs if gradient is None else {**outputs, "gradient": backward.guarded(gradient)}

        reads, writes = tuple(self.partition.groups_run(top)), tuple(self.partition.groups_updated(top))
        names = _listed(self.partition.groups_of(top))
        does = f"split step: {names} forward, the loss, then backward and update of these and of the head"
        return Signature(f"head{self.suffix}", does, head, (*inputs, *self.update_inputs), reads, writes)

    def _backward_signature(self, k: int) -> Signature:
        part = self.parts[k]
        groups = [self.model.groups[index] for index in part.indices]
        indices = self.partition.indices_with_gradient(k)
        saved_specs, carried_specs = self.partition.saved_specs(k), self.partition.carried_specs(k)

        def backward(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            x, lengths = self._first_input(k, inputs)
            if part.keep == "stash":
                flat = iter([inputs[name] for name in saved_specs])
                passed = []
                for index in indices:
                    if index > part.first:
                        x, lengths = next(flat), next(flat)
                    saved = [next(flat) for _ in self.specs[index].saved(part.recomputable)]
                    passed.append(GroupForward(x, lengths, saved))
            else:  # the last group's forward pass is part of its backward pass
                x, lengths, passed = self._forward(groups[:-1], x, lengths, recomputable=part.recomputable)
                passed = [*passed, GroupForward(x, lengths, None)][-len(indices) :]
            backward_pass = self._backward_pass(inputs)
            carried = {
                group: [inputs[name] for name in self.exits.carried_specs(group)]
                for group in self.partition.exits_of(k)
            }
            gradient = backward_pass.run(
                groups[-len(indices) :],
                passed,
                inputs["gradient"],
                self.partition.returns_gradient(k),
                carried,
                part.recomputable,
            )
            outputs = backward_pass.report()
            return outputs if gradient is None else {**outputs, "gradient": backward_pass.guarded(gradient)}

        spec = self.specs[part.last + 1].x
        inputs = (
            *self._inputs(k),
            *saved_specs.values(),
            *carried_specs.values(),
            tf.TensorSpec(spec.shape, spec.dtype, "gradient"),
            *self.update_inputs,
        )
        does = f"split step: backward and update of {_listed(self.partition.groups_of(k))}"
        reads, writes = tuple(self.partition.groups_run(k)), tuple(self.partition.groups_updated(k))
        return Signature(f"backward_{k}{self.suffix}", does, backward, inputs, reads, writes)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
