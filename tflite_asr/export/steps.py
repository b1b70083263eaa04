"""The training steps of an export: how they are cut into parts, and their signatures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from signatures.chain import group_costs, trace_chain
from signatures.optimizers import State
from signatures.parts import make_parts
from signatures.spec import Signature, group_of
from signatures.split import SplitStep
from signatures.training import train_signature
from tflite_asr.config.plans import CACHED, SPLIT, WHOLE, plan_suffix
from tflite_asr.errors import InputError
from tflite_asr.models.exits import SubModel
from tflite_asr.models.second_pass import SecondPass
from tflite_asr.models.speech import SpeechModel


@dataclass(frozen=True)
class SplitOptions:
    """How the training step is cut; see `signatures.parts.make_parts`."""

    parts: int | None = None  # None: one
    part_sizes: tuple[int, ...] | None = None
    keep: str = "auto"


@dataclass(frozen=True)
class Steps:
    """The training steps of a model, or of its sub-model at an early exit: in one call, and in parts."""

    exit: int  # counted from 0
    suffix: str  # of the plans and of their signatures
    whole: Signature
    split: SplitStep

    def plans(self) -> dict[str, list[dict]]:
        """The calls of one step, by the name of the plan."""
        whole = {"signature": self.whole.name, "takes": {}, "updates": self.split.partition.trained}
        cached = [] if isinstance(self.split.model, SubModel) else self.split.cached_plan()
        return {
            self.whole.name: [whole],
            f"{SPLIT}{self.suffix}": self.split.plan(),
            **({f"{CACHED}{self.suffix}": cached} if cached else {}),
        }

    def signatures(self) -> list[Signature]:
        """The signatures of all plans."""
        return [self.whole, *self.split.signatures()]


def make_steps(model: SpeechModel | SecondPass, state: State, split: SplitOptions) -> list[Steps]:
    """Build the training steps of a model: its own, then one for each early exit below which something trains.

    Args:
        model: its last exit is the model's own step.
        state: the variables that train, and the optimizer's.
        split: how the encoder is cut into parts.

    Raises:
        InputError: the encoder cannot be cut as `split` asks.
    """
    specs, rates = trace_chain(model), [group.name for group in model.all_groups]
    try:
        parts = make_parts(group_costs(model, specs), parts=split.parts, sizes=split.part_sizes, keep=split.keep)
    except ValueError as error:
        raise InputError(str(error)) from None

    def steps(part_of_model: SpeechModel | SecondPass | SubModel, exit: int, suffix: str) -> Steps:
        last = len(part_of_model.groups) - 1
        cut = [replace(part, last=min(part.last, last)) for part in parts if part.first <= last]
        return Steps(
            exit,
            suffix,
            train_signature(part_of_model, state, rates, f"{WHOLE}{suffix}"),
            SplitStep(part_of_model, state, cut, specs[: last + 2], rates, suffix),
        )

    early = [SubModel(model, exit) for exit in range(len(model.inner_exits))]
    live = {group_of(path) for path in state.weights}
    length = model.config.sizes.suffix
    return [
        steps(model, len(early), plan_suffix(None, length)),
        *(
            steps(below, exit, plan_suffix(exit, length))
            for exit, below in enumerate(early)
            if live & {group.name for group in below.all_groups}
        ),
    ]


def signatures_of(steps: Sequence[Steps]) -> list[Signature]:
    """The signatures of several steps, in their order."""
    return [signature for one in steps for signature in one.signatures()]


def plans_of(steps: Sequence[Steps]) -> dict[str, list[dict]]:
    """The plans of several steps, by name."""
    return {name: plan for one in steps for name, plan in one.plans().items()}
