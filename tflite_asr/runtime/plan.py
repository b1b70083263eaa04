"""A training step as an ordered list of signature calls, read from the artifact: whole or in parts, one code path."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.config.plans import CACHED
from tflite_asr.errors import InputError
from tflite_asr.runtime.interpreter import Signatures


@dataclass(frozen=True)
class Call:
    """One call of a plan."""

    signature: str
    takes: dict[str, str]  # inputs that are outputs of earlier calls: input -> "signature.output"
    updates: tuple[str, ...]  # layer groups that it trains


@dataclass(frozen=True)
class Plan:
    """The calls of one training step, in order."""

    name: str
    calls: tuple[Call, ...]

    @classmethod
    def of(cls, name: str, plans: Mapping[str, Sequence[dict]], signatures: Mapping[str, dict]) -> "Plan":
        """The plan of this name; InputError if there is none, or if it refers to missing signatures or outputs.

        Args:
            name: as in `plans`.
            plans: of NAME.json.
            signatures: of NAME.json, with the inputs and outputs of each.
        """
        if name not in plans:
            there_are = (
                ", ".join(sorted(plans)) or "none, every layer group is a constant of the file; export with --trainable"
            )
            more = "; export with --parts 2 or more" if name.startswith(CACHED) and plans else ""
            raise InputError(f"no plan named {name!r}; there are: {there_are}{more}")
        calls = []
        for call in plans[name]:
            called = call["signature"]
            if called not in signatures:
                raise InputError(
                    f"plan {name!r} calls {called!r}, but the signatures are: {', '.join(sorted(signatures))}; export "
                    f"again"
                )
            for value, source in call.get("takes", {}).items():
                earlier, _, output = source.rpartition(".")
                if (
                    earlier not in [before.signature for before in calls]
                    or output not in signatures[earlier]["outputs"]
                ):
                    raise InputError(
                        f"plan {name!r}: {called} takes {value!r} from {source!r}, which no earlier call returns; "
                        "export again"
                    )
            calls.append(Call(called, dict(call.get("takes", {})), tuple(call.get("updates", ()))))
        return cls(name, tuple(calls))

    @property
    def parts(self) -> int:
        """In how many parts it cuts the step: its calls that train."""
        return sum(bool(call.updates) for call in self.calls)

    @property
    def cached(self) -> bool:
        """Whether outputs of its calls before the first update may be stored."""
        return self.name.startswith(CACHED)

    @property
    def trained(self) -> set[str]:
        """The layer groups that it trains."""
        return {group for call in self.calls for group in call.updates}

    def at_first_update(self) -> tuple[tuple[Call, ...], Call]:
        """The calls before the first that updates anything, and that call."""
        first = next(index for index, call in enumerate(self.calls) if call.updates)
        return self.calls[:first], self.calls[first]

    def needed(self, trained: set[str]) -> tuple[Call, ...]:
        """The calls up to the last one that trains any group of `trained`; below it nothing has to be done."""
        updating = [index for index, call in enumerate(self.calls) if call.updates]
        if not updating:
            return self.calls
        wanted = [index for index in updating if trained & set(self.calls[index].updates)]
        return self.calls[: max(wanted, default=updating[0]) + 1]  # the first to update is the one that gives the loss


@dataclass(frozen=True)
class StepResult:
    """What one training step reports.

    Attributes:
        loss: nats an utterance, before the update.
        gradient_norm: before clipping.
        skipped: loss, gradient or a rate was not finite: nothing was changed, or by parts, not all.
    """

    loss: float
    gradient_norm: float
    skipped: bool


def run_step(
    model: Signatures,
    calls: Sequence[Call],
    inputs: Mapping[str, np.ndarray],
    *,
    two_passes: bool = False,
    stored: Mapping[str, np.ndarray] | None = None,
) -> StepResult:
    """One training step.

    Args:
        model: whose signatures are called.
        calls: of a plan.
        inputs: of the step by name; each call gets those that it takes and does not take from an earlier call.
        two_passes: run a plan in parts once to learn the norm of the whole gradient, then again to clip by it.
        stored: outputs of calls that are not among `calls`, as "signature.output".
    """
    own_norm = np.asarray([0], np.float32)  # each group is clipped by its own
    if two_passes and len(calls) > 1:
        measured = _run(model, calls, {**inputs, "global_norm": np.asarray([-1], np.float32)}, stored or {})
        if measured.skipped:
            return measured
        own_norm = np.asarray([measured.gradient_norm], np.float32)
    return _run(model, calls, {**inputs, "global_norm": own_norm}, stored or {})


def run_forward(
    model: Signatures, calls: Sequence[Call], inputs: Mapping[str, np.ndarray], wanted: Collection[str]
) -> dict[str, np.ndarray]:
    """The outputs `wanted`, as "signature.output", of calls that update nothing; `inputs` as for `run_step`."""
    outputs: dict[str, np.ndarray] = {}
    for call in calls:
        outputs |= {f"{call.signature}.{name}": value for name, value in _call(model, call, inputs, outputs).items()}
    return {source: outputs[source] for source in wanted}


def _call(
    model: Signatures, call: Call, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Run one call on the step's inputs and outputs of earlier calls."""
    given = {name: outputs[source] for name, source in call.takes.items()}
    names = model.input_names(call.signature)
    return model.run(
        call.signature, given | {name: inputs[name] for name in names if name not in given and name in inputs}
    )


def _run(
    model: Signatures, calls: Sequence[Call], inputs: Mapping[str, np.ndarray], stored: Mapping[str, np.ndarray]
) -> StepResult:
    outputs = dict(stored)  # by "signature.output"
    loss, square_norm, skipped = float("nan"), 0.0, False
    for index, call in enumerate(calls):
        result = _call(model, call, inputs, outputs)
        wanted = {source for later in calls[index + 1 :] for source in later.takes.values()}
        outputs = {source: value for source, value in outputs.items() if source in wanted}
        for name, value in result.items():
            if f"{call.signature}.{name}" in wanted:
                outputs[f"{call.signature}.{name}"] = value
        if "gradient_norm" in result:
            square_norm += result["gradient_norm"].item() ** 2
            skipped |= bool(result["skipped"])
        if "loss" in result:
            loss = float(result["loss"])
        if not result.get("proceed", True):
            break  # loss or rates are not finite: nothing below may be touched
    return StepResult(loss, float(np.sqrt(square_norm)), skipped)
