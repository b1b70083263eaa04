"""Checks that a split step trains as the whole step does: the same batches, the same weights afterwards."""

from pathlib import Path

import numpy as np

from tflite_asr.config import ModelConfig
from tflite_asr.config.plans import SPLIT, WHOLE
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.batch import Example, collate
from tflite_asr.runtime.interpreter import SignatureModel
from tflite_asr.runtime.plan import Plan, run_step


def equality(path: Path, *, steps: int, learning_rate: float) -> dict:
    """Train with the plans `train` and `split` of an artifact, each in an interpreter of its own, and compare.

    The batches are noise, rows of uneven lengths, another one at each step. Nothing is clipped: the split step clips by
    another norm.

    Returns:
        weight_difference: of all weights and optimizer slots, |split - whole| / |whole| in the Euclidean norm;
        weight_change: |whole - shipped| / |shipped|, what training moved; loss_difference: the largest relative one
            of a
        step; parts, calls, steps, optimizer.
    """
    artifact = read_artifact(path)
    batches = [noise_step(artifact.config, len(artifact.groups), step, learning_rate) for step in range(steps)]

    plans = [Plan.of(name, artifact.plans, artifact.signatures) for name in (WHOLE, SPLIT)]

    def train(plan: Plan) -> tuple[list[float], dict[str, np.ndarray]]:
        model = SignatureModel(artifact.path)
        return [run_step(model, plan.calls, batch).loss for batch in batches], model.run("get_weights")

    shipped = SignatureModel(artifact.path).run("get_weights")
    losses, whole = train(plans[0])
    weight_change = difference(whole, shipped)
    del shipped
    split_losses, split = train(plans[1])
    return {
        "model": str(path),
        "optimizer": artifact.optimizer,
        "parts": plans[1].parts,
        "calls": len(plans[1].calls),
        "steps": steps,
        "weight_difference": difference(split, whole),
        "weight_change": weight_change,
        "loss_difference": max(abs(one / other - 1) for one, other in zip(split_losses, losses)),
    }


def noise_step(config: ModelConfig, groups: int, seed: int, learning_rate: float) -> dict[str, np.ndarray]:
    """Inputs of a step on noise, rows between half and all of the largest size, each group with a rate of its own."""
    random, sizes, bands = np.random.default_rng(seed), config.sizes, config.features.width
    examples = []
    for _ in range(sizes.batch):
        frames = random.standard_normal(
            [random.integers(sizes.max_frames // 2, sizes.max_frames + 1), bands], np.float32
        )
        tokens = random.integers(
            config.first_label, config.label_bound, [random.integers(2, config.max_labels + 1)], np.int32
        )
        examples.append(Example(frames, tokens, "noise"))
    return {
        **collate(examples, config),
        "learning_rate": np.array([learning_rate], np.float32),
        "clip_norm": np.array([0], np.float32),
        "pull": np.array([0.01], np.float32),
        "group_rates": np.linspace(0.5, 1.0, groups, dtype=np.float32),
    }


def difference(state: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> float:
    """|state - reference| / |reference| over all tensors, Euclidean."""
    apart = sum(np.sum(np.square(state[name] - value, dtype=np.float64)) for name, value in reference.items())
    return float(np.sqrt(apart / sum(np.sum(np.square(value, dtype=np.float64)) for value in reference.values())))
