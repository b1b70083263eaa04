"""A host as docs/signatures.md describes it: the two files and the TFLite interpreter, nothing of this package."""

import json
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

ASSETS = Path(__file__).parents[2] / "tflite_asr" / "assets"
RATES = ("learning_rate", "clip_norm", "pull", "group_rates")


class Host:
    """NAME.tflite and NAME.json, called by signature."""

    def __init__(self, name: str, folder: Path = ASSETS):
        self.path = folder / f"{name}.tflite"
        self.description = json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
        self.interpreter = Interpreter(str(self.path))
        self.runners = {}
        self.sizes = self.description["model"]["sizes"]
        self.groups = [group["name"] for group in self.description["groups"]]

    def run(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """One call; the outputs are copies."""
        if signature not in self.runners:
            self.runners[signature] = self.interpreter.get_signature_runner(signature)
        return {name: np.array(value) for name, value in self.runners[signature](**inputs).items()}

    def inputs(self, signature: str) -> dict[str, dict]:
        """By name, the rows of NAME.json."""
        return {row["name"]: row for row in self.description["signatures"][signature]["inputs"]}

    def zeros(self, signature: str) -> dict[str, np.ndarray]:
        """Every input of a signature, filled with zeros."""
        return {name: np.zeros(row["shape"], row["dtype"]) for name, row in self.inputs(signature).items()}

    def batch(self, rows: int, frames: int = 120, labels: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
        """Utterances of noise in the first rows of a batch; the other rows are empty."""
        random = np.random.default_rng(seed)
        inputs = self.zeros("loss")
        inputs["frames"][:rows, :frames] = random.standard_normal([rows, frames, inputs["frames"].shape[2]])
        inputs["frame_lengths"][:rows] = frames
        inputs["tokens"][:rows, :labels] = random.integers(1, 29, [rows, labels])
        inputs["token_lengths"][:rows] = labels
        return inputs

    def rates(self, learning_rate: float = 1e-3, clip_norm: float = 0.0, pull: float = 0.0, **group_rates: float):
        """The inputs of `train` beside the batch; groups that are not named have the rate 1."""
        factors = [group_rates.get(group, 1.0) for group in self.groups]
        values = (np.float32([learning_rate]), np.float32([clip_norm]), np.float32([pull]), np.float32(factors))
        return dict(zip(RATES, values))

    def run_plan(self, name: str, inputs: dict[str, np.ndarray], global_norm: float = 0.0) -> list[dict]:
        """The calls of a plan, as the page describes them; the outputs of each."""
        inputs = inputs | {"global_norm": np.float32([global_norm])}
        outputs, results = {}, []
        for call in self.description["plans"][name]:
            taken = {key: outputs[source] for key, source in call["takes"].items()}
            own = {key: inputs[key] for key in self.inputs(call["signature"]) if key not in taken}
            results.append(self.run(call["signature"], **own, **taken))
            outputs |= {f"{call['signature']}.{key}": value for key, value in results[-1].items()}
        return results

    def weights(self) -> dict[str, np.ndarray]:
        return self.run("get_weights")


def changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    """The tensors whose bytes differ."""
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}
