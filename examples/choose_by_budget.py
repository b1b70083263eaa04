"""Choose what this device can afford to train, and take a step of it.

    python examples/choose_by_budget.py commands --ram-mb 120

The first run on a device measures it, for half a minute; the measurement is kept.
"""

import argparse
from pathlib import Path

import numpy as np

from tflite_asr import InputError, Recognizer
from tflite_asr.personalization.calibration import calibrated, default_path
from tflite_asr.personalization.selector import Budget, candidates, choose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="commands")
    parser.add_argument("--ram-mb", type=float, default=150.0, help="private memory of the process")
    parser.add_argument("--calibration", help="file to keep the measurement in")
    args = parser.parse_args()

    recognizer = Recognizer.load(args.model)
    artifact = recognizer.artifact
    kept = Path(args.calibration) if args.calibration else default_path(artifact, 1)
    chosen = choose(candidates(artifact, calibrated(artifact, kept, 1, print)), Budget(ram_mb=args.ram_mb)).chosen
    if chosen is None:
        raise InputError(f"nothing can be trained in {args.ram_mb:g} MB")
    print(f"plan {chosen.plan}, exit {chosen.exit}, groups {', '.join(chosen.trainable_groups)}:")
    print(f"expected {chosen.predicted_peak_mb:.0f} MB and {chosen.predicted_step_seconds:.2f} s a step")

    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    example = recognizer.example(noise.astype(np.float32), "ONE")
    rates = {group: float(group in chosen.trainable_groups) for group in recognizer.groups}
    step = recognizer.train_step([example], plan=chosen.plan, group_rates=rates)
    print(f"loss {step.loss:.2f}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(str(error)) from None
