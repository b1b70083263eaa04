"""The options of `tflite-asr personalize`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.config.plans import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tflite_asr.personalization.rounds import Rounds
    from tflite_asr.personalization.settings import Pace, Settings
    from tflite_asr.runtime.artifact import Artifact

BATTERY_FLOOR_PERCENT, RAM_FLOOR_MB = 20.0, 200.0


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare the options of training; the defaults are those of `Settings`."""
    from tflite_asr.personalization.settings import FEW_PULL, Settings

    default = Settings()
    group = parser.add_argument_group("training")
    group.add_argument("--epochs", type=int, default=default.epochs, help="at most (default %(default)s)")
    group.add_argument("--learning-rate", type=float, help="initial learning rate (default: the model's own)")
    group.add_argument(
        "--patience", type=int, default=default.patience, help="epochs without a gain (default %(default)s)"
    )
    group.add_argument(
        "--pull",
        type=float,
        help=f"towards the shipped weights (default: {FEW_PULL:g} where fewer than {default.least_to_hold_out} "
        "utterances are learned from, else 0)",
    )
    group.add_argument(
        "--replay", type=int, default=default.replay, help="shipped utterances in each batch (default %(default)s)"
    )
    group.add_argument("--freeze", default="", metavar="G,G,...", help="layer groups to leave alone, such as joint")
    group.add_argument(
        "--plan",
        default=default.plan,
        help="train: the whole step in one call; split: in parts, with less memory; cached: the upper groups alone, "
        "from stored outputs of the lower ones (default %(default)s)",
    )
    group.add_argument(
        "--keep-memory", action="store_true", help="let the C allocator keep freed memory: faster, but larger"
    )
    group.add_argument("--no-augment", action="store_true", help="train on the recordings exactly as they are")


def add_pace(parser: argparse.ArgumentParser) -> None:
    """The sliding window; the defaults are those of `Pace`."""
    from tflite_asr.personalization.settings import Pace

    default = Pace()
    group = parser.add_argument_group("sliding window", "with --window; --epochs and --patience then mean nothing")
    group.add_argument("--window", type=int, metavar="W", help="store at most W utterances, and train as they arrive")
    for name, unit, means in (
        ("window_bytes", "B", "largest size of the window on disk, in bytes"),
        ("stride", "S", "new utterances before it trains again"),
        ("steps", "N", "steps that it then takes"),
    ):
        help = f"{means} (default {getattr(default, name)})"
        group.add_argument(f"--{name.replace('_', '-')}", type=int, metavar=unit, help=help)


def pace_of(args: argparse.Namespace) -> "Pace | None":
    """The `Pace` that the arguments ask for; None without --window."""
    from tflite_asr.cli.arguments import check_least
    from tflite_asr.errors import InputError
    from tflite_asr.personalization.settings import Pace

    given = {name: getattr(args, name) for name in ("window", "window_bytes", "stride", "steps")}
    given = {name: value for name, value in given.items() if value is not None}
    check_least(args, window=1, window_bytes=1, stride=1, steps=1)
    if given and args.window is None:
        raise InputError(f"--{next(iter(given)).replace('_', '-')}: expected --window with it, got none")
    return Pace(**given) if given else None


def add_rounds(parser: argparse.ArgumentParser) -> None:
    """Declare the options of rounds, and when a device runs low."""
    group = parser.add_argument_group("rounds", "with --rounds; --epochs and --patience are then those of a round")
    group.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="rounds in which the utterances arrive; the selector chooses what to train before each",
    )
    group.add_argument(
        "--resource-trace", metavar="FILE", help="replay this in place of the device's memory and battery"
    )
    group.add_argument(
        "--battery-floor",
        type=float,
        metavar="P",
        help=f"percent at which training stops (default {BATTERY_FLOOR_PERCENT:g})",
    )
    group.add_argument(
        "--ram-floor-mb", type=float, metavar="N", help=f"available memory at which it stops (default {RAM_FLOOR_MB:g})"
    )


def rounds_of(args: argparse.Namespace) -> "Callable[[Artifact], Rounds] | None":
    """A function artifact -> the `Rounds` that the arguments ask for, which may measure the device; None without
    --rounds.
    """
    import sys

    from tflite_asr.cli.arguments import check_least
    from tflite_asr.errors import InputError
    from tflite_asr.personalization.calibration import calibrated, default_path
    from tflite_asr.personalization.resources import Limits, ResourceProbe, ResourceTrace, read_trace
    from tflite_asr.personalization.rounds import Rounds

    check_least(args, rounds=1, battery_floor=0, ram_floor_mb=0)
    if args.rounds is None:
        for name in ("resource_trace", "battery_floor", "ram_floor_mb"):
            if getattr(args, name) is not None:
                raise InputError(f"--{name.replace('_', '-')}: expected --rounds with it, got none")
        return None
    if args.window is not None or args.freeze or args.plan != WHOLE:
        raise InputError(
            "--rounds: expected no --window, --freeze and --plan with it; the selector chooses what to train"
        )
    battery = BATTERY_FLOOR_PERCENT if args.battery_floor is None else args.battery_floor
    if battery > 100:
        raise InputError(f"--battery-floor: expected 0 to 100, got {battery:g}")
    ram = RAM_FLOOR_MB if args.ram_floor_mb is None else args.ram_floor_mb
    trace = read_trace(Path(args.resource_trace)) if args.resource_trace else None

    def make(artifact: "Artifact") -> Rounds:
        def notice(line: str) -> None:
            print(f"notice: {line}", file=sys.stderr)

        calibration = calibrated(artifact, default_path(artifact, args.threads), args.threads, notice)
        source = ResourceTrace(trace) if trace else ResourceProbe()
        return Rounds(args.rounds, source, Limits(ram, battery), calibration)

    return make


def settings_of(args: argparse.Namespace, connect: int) -> "Settings":
    """The `Settings` that the arguments ask for."""
    from tflite_asr.cli.arguments import check_learning_rate, check_least
    from tflite_asr.personalization.settings import Settings

    check_least(args, epochs=1, patience=1, pull=0, replay=0)
    if args.learning_rate is not None:
        check_learning_rate(args)
    return Settings(
        epochs=args.epochs,
        learning_rate=args.learning_rate,
        patience=args.patience,
        pull=args.pull,
        replay=args.replay,
        group_rates={name.strip(): 0.0 for name in args.freeze.split(",") if name.strip()},
        augment=not args.no_augment,
        plan=args.plan,
        connect=connect,
        seed=args.seed,
    )
