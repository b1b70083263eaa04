"""The training step in parts: `forward_<k>`, `head`, `backward_<k>`, called in sequence.

The chain of encoder groups is cut into parts 0 ... K-1. `forward_<k>` runs the groups of a part. `head` runs the top part
forward, the label groups and the loss, and all of their backward passes and updates, so that nothing of the top part is
run twice. `backward_<k>` goes on downwards, part by part.

Every group's forward, and every group's backward with its update, is a piece in an arena of its own: at any time there
are the weight gradients of one group. That is why `clip_norm` is about the gradient of each group here. To clip by the
norm of all, run the plan twice: with `global_norm` below 0 nothing is updated and only the norms are told; above 0 it
is the norm to clip by.
"""

from collections.abc import Sequence

import tensorflow as tf

from signatures.arena import always, in_arena
from signatures.chain import GroupSpecs, frame_inputs
from signatures.optimizers import State
from signatures.parts import Part
from signatures.spec import LayerGroup, Signature, SplitModel, group_of, mean_over, scalar
from signatures.update import Update, count_step, global_norm, is_finite


class SplitStep:
    """Builds the signatures and the plan.

    Args:
        model: see the protocol.
        state: the variables.
        parts: of the encoder chain, bottom first.
        specs: of the same chain, from `chain.trace_chain`.
    """

    def __init__(self, model: SplitModel, state: State, parts: Sequence[Part], specs: Sequence[GroupSpecs]):
        self.model = model
        self.state = state
        self.parts = parts
        self.specs = specs
        self.names = [group.name for group in model.all_groups]
        self.frames = frame_inputs(model)
        self.labels = [spec for spec in model.batch_inputs() if spec.name in model.label_inputs]
        self.update_inputs = (*Update.inputs(state, self.names), scalar("global_norm"))

    def signatures(self) -> list[Signature]:
        """In the order of the plan."""
        below = range(len(self.parts) - 1)
        return [*map(self._forward, below), self._head(), *map(self._backward, reversed(below))]

    def plan(self) -> list[dict]:
        """The calls in order: `signature`; `takes`, which inputs are outputs of earlier calls, as call.output, the
        others being the step's own; `updates`, the groups that the call trains."""
        top = len(self.parts) - 1

        def source(k: int) -> dict[str, str]:
            return {name: f"forward_{k - 1}.{name}" for name in ("x", "lengths")} if k else {}

        calls = [{"signature": f"forward_{k}", "takes": source(k), "updates": []} for k in range(top)]
        rows = {"rows": "forward_0.rows"} if top else {}
        chain = {group.name for group in self.model.groups}
        trained = [*self._names(top), *(name for name in self.names if name not in chain)]
        calls.append({"signature": "head", "takes": {**source(top), **rows}, "updates": trained})
        for k in reversed(range(top)):
            kept = {name: f"forward_{k}.{name}" for name in self._kept_specs(k)}
            above = "head" if k == top - 1 else f"backward_{k + 1}"
            takes = {**source(k), **kept, "gradient": f"{above}.gradient"}
            calls.append({"signature": f"backward_{k}", "takes": takes, "updates": self._names(k)})
        return calls

    def _names(self, k: int) -> list[str]:
        return [self.names[index] for index in self.parts[k].indices]

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
        each group what its ops keep."""
        part, specs = self.parts[k], {}
        if part.keep == "stash":
            for index in part.indices:
                spec = self.specs[index]
                tensors = [*([spec.x, spec.lengths] if index > part.first else []), *spec.kept]
                specs |= {f"kept_{self.names[index]}_{n}": tensor for n, tensor in enumerate(tensors)}
        return {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}

    def _run_up(self, groups: Sequence[LayerGroup], x: tf.Tensor, lengths: tf.Tensor):
        """Output and its lengths, and for each group (x, lengths, kept)."""
        went = []
        for group in groups:

            def body():
                with self.model.recording() as kept:
                    output, new_lengths, _ = group(x, lengths)
                return output, new_lengths, list(kept)

            output, new_lengths, kept = in_arena(always(lengths), body)
            went.append((x, lengths, kept))
            x, lengths = output, new_lengths
        return x, lengths, went

    def _forward(self, k: int) -> Signature:
        groups = [self.model.groups[index] for index in self.parts[k].indices]
        names = list(self._kept_specs(k))

        def forward(**inputs):
            x, lengths, went = self._run_up(groups, *self._fed(k, inputs))
            outputs = {"x": x, "lengths": lengths}
            if names:
                first, *rest = went
                flat = [*first[2], *(tensor for x, lengths, kept in rest for tensor in (x, lengths, *kept))]
                outputs |= dict(zip(names, flat))
            if k == 0:
                labels = [tf.zeros(spec.shape, spec.dtype) for spec in self.labels]  # rows are told by frames alone
                outputs["rows"] = self.model.row_weights(*(inputs[spec.name] for spec in self.frames), *labels)
            return outputs

        reads = tuple(self._names(k))
        return Signature(f"forward_{k}", f"split step: forward through {_listed(reads)}", forward, tuple(self._inputs(k)), reads)

    def _head(self) -> Signature:
        model, top = self.model, len(self.parts) - 1
        groups = [model.groups[index] for index in self.parts[top].indices]
        inputs = [*self._inputs(top), *self.labels]
        if top:
            inputs.append(tf.TensorSpec(self.specs[0].lengths.shape, tf.float32, "rows"))

        def head(**inputs):
            labels = [inputs[spec.name] for spec in self.labels]
            rows = inputs["rows"] if top else model.row_weights(*(inputs[spec.name] for spec in model.batch_inputs()))
            encoded, lengths, went = self._run_up(groups, *self._fed(top, inputs))
            predicted, label_went = None, []
            if model.label_groups:
                predicted, _, label_went = self._run_up(model.label_groups, *model.label_front(*labels))
            downward = _Downward(self, inputs)
            loss, losses, d_encoded, d_predicted = downward.join(encoded, lengths, predicted, labels, rows)
            downward.run(model.label_groups, label_went, d_predicted, needs_gradient=False)
            gradient = downward.run(groups, went, d_encoded, needs_gradient=top > 0)
            told = {"loss": loss, "losses": losses, "proceed": downward.proceed, **downward.told()}
            return {**told, **({"gradient": gradient} if top else {})}

        groups_used = tuple(self.plan()[top]["updates"])
        does = f"split step: {_listed(self._names(top))} forward, the loss, then backward and update of these and of the head"
        return Signature("head", does, head, (*inputs, *self.update_inputs), groups_used, groups_used)

    def _backward(self, k: int) -> Signature:
        part = self.parts[k]
        groups = [self.model.groups[index] for index in part.indices]
        kept_specs = self._kept_specs(k)

        def backward(**inputs):
            x, lengths = self._fed(k, inputs)
            if part.keep == "stash":
                flat = iter([inputs[name] for name in kept_specs])
                went = []
                for index in part.indices:
                    if index > part.first:
                        x, lengths = next(flat), next(flat)
                    went.append((x, lengths, [next(flat) for _ in self.specs[index].kept]))
            else:  # the last group's forward is part of its backward
                x, lengths, went = self._run_up(groups[:-1], x, lengths)
                went.append((x, lengths, None))
            downward = _Downward(self, inputs)
            gradient = downward.run(groups, went, inputs["gradient"], needs_gradient=k > 0)
            return {**downward.told(), **({"gradient": gradient} if k else {})}

        spec = self.specs[part.last + 1].x
        inputs = (
            *self._inputs(k),
            *kept_specs.values(),
            tf.TensorSpec(spec.shape, spec.dtype, "gradient"),
            *self.update_inputs,
        )
        names = tuple(self._names(k))
        does = f"split step: backward and update of {_listed(names)}"
        return Signature(f"backward_{k}", does, backward, inputs, names, names)


class _Downward:
    """The backward passes and updates of one call."""

    def __init__(self, step: SplitStep, inputs: dict[str, tf.Tensor]):
        self._model = step.model
        self._state = step.state
        self._update = Update(step.state, step.names, inputs)
        self._global_norm = inputs["global_norm"]
        self._go = self._update.finite
        self._count: tf.Tensor | None = None  # of this update, once the head has counted it
        self._norms: list[tf.Tensor] = []
        self._finite: list[tf.Tensor] = []

    def join(self, encoded, lengths, predicted, labels, rows):
        """The loss; counts the step and updates the groups of neither chain. Returns loss, losses and the gradients at
        `encoded` and `predicted`."""
        model, chained = self._model, {group.name for group in (*self._model.groups, *self._model.label_groups)}
        names = [group.name for group in model.all_groups if group.name not in chained]

        def body():
            sources = [tf.identity(tensor) for tensor in (encoded, predicted) if tensor is not None]
            with tf.GradientTape() as tape:
                tape.watch(sources)
                losses = model.join_loss(sources[0], lengths, sources[1] if len(sources) > 1 else None, *labels)
                loss = mean_over(losses, rows)
            finite = self._go & is_finite(loss)
            count = count_step(self._state, finite & (self._global_norm >= 0.0))
            norm, applied, gradients = self._change(tape, loss, names, sources, None, finite, count)
            return loss, losses, tf.cast(finite, tf.int32), count, norm, applied, gradients

        loss, losses, finite, count, norm, applied, gradients = in_arena(always(lengths), body)
        self.proceed = finite  # [] int32: 0 when nothing may be touched, here or in the calls below
        self._go = tf.cast(finite, tf.bool)
        self._count = count
        self._tell(norm, applied)
        return loss, losses, gradients[0], gradients[1] if len(gradients) > 1 else None

    def run(self, groups: Sequence[LayerGroup], went: Sequence[tuple], gradient: tf.Tensor | None, needs_gradient: bool):
        """Top to bottom through `groups`, each updated before the next; the gradient at the first one's input, if needed.

        Args:
            went: for each group its x, lengths, and what its ops kept; None in place of that: its forward pass runs anew.
        """
        count = self._state.step.read_value() if self._count is None else self._count
        for index in reversed(range(len(groups))):
            group, (x, lengths, kept) = groups[index], went[index]
            through = index > 0 or needs_gradient

            def body():
                sources = [tf.identity(x)] if through else []
                with tf.GradientTape() as tape:
                    tape.watch(sources)
                    x_in = sources[0] if sources else x
                    if kept is None:
                        output, _, _ = group(x_in, lengths)
                    else:
                        with self._model.replaying(kept):
                            output, _, _ = group(x_in, lengths)
                return self._change(tape, output, [group.name], sources, gradient, self._go, count)

            norm, applied, gradients = in_arena(always(lengths), body)
            gradient = gradients[0] if through else None
            self._tell(norm, applied)
        return gradient

    def _change(self, tape, target, names, sources, gradient, go, count):
        """Update the groups of these names; norm of their gradient, whether it was applied, gradients at `sources`."""
        weights = {path: weight for path, weight in self._state.weights.items() if group_of(path) in names}
        found = tape.gradient(target, [*weights.values(), *sources], output_gradients=gradient)
        gradients = dict(zip(weights, found))
        norm = global_norm(gradients.values())
        finite = go & is_finite(norm)
        scale = self._update.clip(tf.where(self._global_norm > 0.0, self._global_norm, norm))
        self._update.apply(gradients, scale, count, finite & (self._global_norm >= 0.0))
        return norm, tf.cast(finite, tf.int32), found[len(weights) :]

    def _tell(self, norm: tf.Tensor, finite: tf.Tensor) -> None:
        self._norms.append(norm)
        self._finite.append(finite)

    def told(self) -> dict[str, tf.Tensor]:
        """`gradient_norm` [] of all groups of the call, before clipping; `skipped` [] int32: 1 when any was left alone
        because the loss, its gradient or a rate was not finite."""
        return {"gradient_norm": global_norm(self._norms), "skipped": 1 - tf.reduce_min(tf.stack(self._finite))}


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
