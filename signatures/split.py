"""The training step in parts: `forward_<k>`, `head`, `backward_<k>`, called in sequence.

The chain of encoder groups is cut into parts 0 ... K-1. `forward_<k>` runs the groups of a part. `head` runs the top
part forward, the label groups and the loss, and all of their backward passes and updates, so that nothing of the top
part is run twice. `backward_<k>` goes on downwards, part by part.

Every group's forward, and every group's backward with its update, is a piece in an arena of its own: at any time there
are the weight gradients of one group. That is why `clip_norm` is about the gradient of each group here. To clip by the
norm of all, run the plan twice: with `global_norm` below 0 nothing is updated and only the norms are told; above 0 it
is the norm to clip by.

Exits below the last one are worked out by the call that runs the group before them forward, see `signatures.exits`;
their gradients go into what comes down from above.
"""

from collections.abc import Sequence

import tensorflow as tf

from signatures.arena import always, in_arena
from signatures.backward import BackwardPass
from signatures.chain import GroupSpecs, frame_inputs
from signatures.exits import ExitsPassed, InnerExits
from signatures.optimizers import State
from signatures.parts import Part
from signatures.spec import LayerGroup, Signature, SplitModel, group_of, one_value
from signatures.update import Update


class SplitStep:
    """Builds the signatures and the plan.

    Args:
        model: see the protocol.
        state: the variables.
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
        self.names = [group.name for group in model.all_groups]
        live = {group_of(path) for path in state.weights}
        self.trained = [name for name in self.names if name in live]  # the weights of the others are constants
        self.lowest = self.lowest_of(model.groups)  # group of the chain that a gradient has to come down to
        # the groups that a gradient comes to or through: what their ops keep is wanted
        self.backward = {g.name for chain in (model.groups, model.label_groups) for g in chain[self.lowest_of(chain) :]}
        self.rates = rates or self.names
        self.suffix = suffix
        self.frames = frame_inputs(model)
        self.labels = [spec for spec in model.batch_inputs() if spec.name in model.label_inputs]
        self.update_inputs = (*Update.inputs(state, self.rates), one_value("global_norm"))

    def signatures(self) -> list[Signature]:
        """In the order of the plan."""
        return [*map(self._forward, range(len(self.parts) - 1)), self._head(), *map(self._backward, self._downward())]

    def plan(self) -> list[dict]:
        """The calls in order: `signature`; `takes`, which inputs are outputs of earlier calls, as call.output, the
        others being the step's own; `updates`, the groups that the call trains."""
        top, suffix = len(self.parts) - 1, self.suffix

        def source(k: int) -> dict[str, str]:
            return {name: f"forward_{k - 1}{suffix}.{name}" for name in ("x", "lengths")} if k else {}

        def for_losses(k: int) -> dict[str, str]:
            rows = {"rows": f"forward_0{suffix}.rows"} if k else {}
            below = [j for j in range(k) if self._exits(j)]
            return {**rows, **({"losses": f"forward_{below[-1]}{suffix}.losses"} if below else {})}

        calls = []
        for k in range(top):
            takes = {**source(k), **(for_losses(k) if self._exits(k) else {})}
            calls.append({"signature": f"forward_{k}{suffix}", "takes": takes, "updates": []})
        takes = {**source(top), **for_losses(top)}
        calls.append({"signature": f"head{suffix}", "takes": takes, "updates": self._updated(top)})
        for k in self._downward():
            carried = {name: f"forward_{k}{suffix}.{name}" for name in (*self._kept_specs(k), *self._carried_specs(k))}
            above = "head" if k == top - 1 else f"backward_{k + 1}"
            takes = {**source(k), **carried, "gradient": f"{above}{suffix}.gradient"}
            calls.append({"signature": f"backward_{k}{suffix}", "takes": takes, "updates": self._updated(k)})
        return calls

    def cached_plan(self) -> list[dict]:
        """The calls of `plan` that train the top part alone. Those before `head` update nothing, so that a host may
        store their outputs for each utterance and call `head` only. Empty where the top part is all there is or an
        exit below it has a loss, which depends on more than the utterance.
        """
        top = len(self.parts) - 1
        if not top or any(map(self._exits, range(top))) or not self._updated(top):
            return []
        return self.plan()[: top + 1]

    def _names(self, k: int) -> list[str]:
        return [self.names[index] for index in self.parts[k].indices]

    def _run(self, k: int) -> list[str]:
        """The groups that a part runs: its own and the heads of the exits in it; the top part all that none
        below runs.
        """
        if k < len(self.parts) - 1:
            return [*self._names(k), *(self.exits.heads[group] for group in self._exits(k))]
        below = {name for j in range(k) for name in self._run(j)}
        return [name for name in self.names if name not in below]

    def _updated(self, k: int) -> list[str]:
        """Those of them that train."""
        return [name for name in self._run(k) if name in self.trained]

    def lowest_of(self, groups: Sequence[LayerGroup]) -> int:
        """The first of the groups that trains, or that has an exit behind it which does; their number if none."""
        trains = [{group.name, self.exits.heads.get(group.name)} & {*self.trained} for group in groups]
        return next((index for index, any_of_it in enumerate(trains) if any_of_it), len(groups))

    def _downward(self) -> list[int]:
        """The parts below the top that a gradient has to come down to, top first."""
        return [k for k in reversed(range(len(self.parts) - 1)) if self._back_through(k)]

    def _back_through(self, k: int) -> range:
        """The groups of a part that a gradient has to come through, or to."""
        return range(max(self.parts[k].first, self.lowest), self.parts[k].last + 1)

    def _hands_down(self, k: int) -> bool:
        """Whether a gradient goes on to the part below."""
        return self.parts[k].first > self.lowest

    def _exits(self, k: int) -> list[str]:
        """The groups of a part that have an exit behind them."""
        return self.exits.behind(self._names(k))

    def _loss_inputs(self, k: int) -> list[tf.TensorSpec]:
        """What a part that comes to a loss takes for it."""
        rows = self.specs[0].lengths.shape
        names = [*(["rows"] if k else []), *(["losses"] if any(map(self._exits, range(k))) else [])]
        return [*self.labels, *(tf.TensorSpec(rows, tf.float32, name) for name in names)]

    def _passed(self, k: int, inputs: dict[str, tf.Tensor]) -> ExitsPassed:
        """For the exits of a part that comes to a loss."""
        labels = [inputs[spec.name] for spec in self.labels]
        if k:
            rows = self.model.check_labels(inputs["rows"], *labels)
        else:
            rows = self.model.row_weights(*(inputs[spec.name] for spec in self.model.batch_inputs()))
        return ExitsPassed(self.exits, labels, rows, inputs.get("losses"))

    def _carried_specs(self, k: int) -> dict[str, tf.TensorSpec]:
        """What the exits of a part hand from forward to backward, by name."""
        return {name: spec for group in self._exits(k) for name, spec in self.exits.carried_specs(group).items()}

    def _inputs(self, k: int) -> list[tf.TensorSpec]:
        """What a part's first group is fed from."""
        if k == 0:
            return self.frames
        spec = self.specs[self.parts[k].first]
        return [tf.TensorSpec(s.shape, s.dtype, name) for s, name in ((spec.x, "x"), (spec.lengths, "lengths"))]

    def _fed(self, k: int, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        if k == 0:
            return self.model.front(*(inputs[spec.name] for spec in self.frames))
        return inputs["x"], inputs["lengths"]

    def _kept_specs(self, k: int) -> dict[str, tf.TensorSpec]:
        """What a part that stashes hands from forward to backward, by name: for each group but the first its input, for
        each group what its ops keep; nothing for groups that no gradient comes to."""
        part, specs = self.parts[k], {}
        if part.keep == "stash":
            for index in self._back_through(k):
                spec = self.specs[index]
                tensors = [*([spec.x, spec.lengths] if index > part.first else []), *spec.kept(part.cheap)]
                specs |= {f"kept_{self.names[index]}_{n}": tensor for n, tensor in enumerate(tensors)}
        return {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}

    def _run_up(
        self,
        groups: Sequence[LayerGroup],
        x: tf.Tensor,
        lengths: tf.Tensor,
        passed: ExitsPassed | None = None,
        cheap: bool = True,
    ):
        """Output and its lengths, and for each group (x, lengths, kept); by the exits that are `passed`, if any. With
        `cheap` is kept what is easily made again, too."""
        went = []
        for group in groups:

            def body():
                with self.model.recording(cheap) as kept:
                    output, new_lengths, _ = group(x, lengths)
                return output, new_lengths, list(kept) if group.name in self.backward else []

            output, new_lengths, kept = in_arena(always(lengths), body)
            went.append((x, lengths, kept))
            x, lengths = output, new_lengths
            if passed:
                passed.passes(group.name, x, lengths)
        return x, lengths, went

    def _backward_pass(self, inputs: dict[str, tf.Tensor]) -> BackwardPass:
        return BackwardPass(self.model, self.state, self.exits, self.rates, self.lowest_of, inputs)

    def _forward(self, k: int) -> Signature:
        groups = [self.model.groups[index] for index in self.parts[k].indices]
        names, carried = list(self._kept_specs(k)), list(self._carried_specs(k))
        has_loss = bool(carried)

        def forward(**inputs):
            passed = self._passed(k, inputs) if has_loss else None
            x, lengths, went = self._run_up(groups, *self._fed(k, inputs), passed, self.parts[k].cheap)
            outputs = {"x": x, "lengths": lengths}
            if names:
                first, back = self.parts[k].first, self._back_through(k)
                flat = []
                for index in back:
                    *fed, kept = went[index - first]
                    flat += [*(fed if index > first else []), *kept]
                outputs |= dict(zip(names, flat))
            if passed:
                flat = [gradient for gradients in passed.carried.values() for gradient in gradients]
                outputs |= {"losses": passed.losses, **dict(zip(carried, flat))}
            if k == 0:
                labels = [tf.zeros(spec.shape, spec.dtype) for spec in self.labels]  # rows are told by frames alone
                outputs["rows"] = self.model.row_weights(*(inputs[spec.name] for spec in self.frames), *labels)
            return outputs

        does = f"split step: forward through {_listed(self._names(k))}"
        inputs = (*self._inputs(k), *(self._loss_inputs(k) if has_loss else []))
        return Signature(f"forward_{k}{self.suffix}", does, forward, inputs, tuple(self._run(k)))

    def _head(self) -> Signature:
        model, top = self.model, len(self.parts) - 1
        groups = [model.groups[index] for index in self.parts[top].indices]
        inputs = [*self._inputs(top), *self._loss_inputs(top)]

        def head(**inputs):
            labels = [inputs[spec.name] for spec in self.labels]
            passed = self._passed(top, inputs)
            cheap = self.parts[top].cheap
            encoded, lengths, went = self._run_up(groups, *self._fed(top, inputs), passed, cheap)
            predicted, label_went = None, []
            if model.label_groups:
                predicted, _, label_went = self._run_up(model.label_groups, *model.label_front(*labels))
            downward = self._backward_pass(inputs)
            loss, losses, d_encoded, d_predicted = downward.join(encoded, lengths, predicted, labels, passed)
            downward.run(model.label_groups, label_went, d_predicted, needs_gradient=False, carried={})
            gradient = downward.run(groups, went, d_encoded, self._hands_down(top), passed.carried, cheap)
            told = {"loss": loss, "losses": losses, "proceed": downward.proceed, **downward.told()}
            return {**told, **({"gradient": downward.handed_down(gradient)} if self._hands_down(top) else {})}

        reads, writes = tuple(self._run(top)), tuple(self._updated(top))
        names = _listed(self._names(top))
        does = f"split step: {names} forward, the loss, then backward and update of these and of the head"
        return Signature(f"head{self.suffix}", does, head, (*inputs, *self.update_inputs), reads, writes)

    def _backward(self, k: int) -> Signature:
        part = self.parts[k]
        groups = [self.model.groups[index] for index in part.indices]
        back = self._back_through(k)
        kept_specs, carried_specs = self._kept_specs(k), self._carried_specs(k)

        def backward(**inputs):
            x, lengths = self._fed(k, inputs)
            if part.keep == "stash":
                flat = iter([inputs[name] for name in kept_specs])
                went = []
                for index in back:
                    if index > part.first:
                        x, lengths = next(flat), next(flat)
                    went.append((x, lengths, [next(flat) for _ in self.specs[index].kept(part.cheap)]))
            else:  # the last group's forward is part of its backward
                x, lengths, went = self._run_up(groups[:-1], x, lengths, cheap=part.cheap)
                went.append((x, lengths, None))
                went = went[-len(back) :]
            downward = self._backward_pass(inputs)
            carried = {group: [inputs[name] for name in self.exits.carried_specs(group)] for group in self._exits(k)}
            needs_gradient = self._hands_down(k)
            gradient = downward.run(groups[-len(back) :], went, inputs["gradient"], needs_gradient, carried, part.cheap)
            return {**downward.told(), **({"gradient": downward.handed_down(gradient)} if needs_gradient else {})}

        spec = self.specs[part.last + 1].x
        inputs = (
            *self._inputs(k),
            *kept_specs.values(),
            *carried_specs.values(),
            tf.TensorSpec(spec.shape, spec.dtype, "gradient"),
            *self.update_inputs,
        )
        does = f"split step: backward and update of {_listed(self._names(k))}"
        reads, writes = tuple(self._run(k)), tuple(self._updated(k))
        return Signature(f"backward_{k}{self.suffix}", does, backward, inputs, reads, writes)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
