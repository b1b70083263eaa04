"""The workload that runtimes are compared on: a configuration, weights and a batch."""

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import safetensors.numpy

from tflite_asr.config import (
    ConformerConfig,
    EncoderConfig,
    FeatureConfig,
    ModelConfig,
    PredictionConfig,
    SizeConfig,
    preset,
)
from tflite_asr.config.heads import required
from tflite_asr.files import read_text
from tflite_asr.runtime.batch import collate, longest_examples


def second_pass(config: ModelConfig, seconds: float) -> ModelConfig:
    """A configuration whose second pass trains, on utterances of at most so many seconds."""
    features, decoder = config.features, required(config.decoder, "decoder")
    samples = round(seconds * features.sample_rate) + 2 * config.edge_samples
    return dataclasses.replace(
        config,
        sizes=dataclasses.replace(config.sizes, max_frames=features.frames_of(samples)),
        decoder=dataclasses.replace(decoder, trains=True),
    )


WORKS = {
    # 7.6 M parameters, one utterance of 16 seconds
    "conformer": ModelConfig(
        name="conformer",
        encoder=ConformerConfig(layers=8, units=192, feed_forward=768),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=1, max_frames=1600, max_tokens=100, stream_frames=40),
        features=FeatureConfig(mel_bands=80, max_hz=7_600.0),
    ),
    # 4.1 M parameters, two utterances of six seconds: a lattice of 100 steps and 30 labels
    "lstm_transducer": ModelConfig(
        name="lstm_transducer",
        encoder=EncoderConfig(layers=4, units=320),
        prediction=PredictionConfig(embedding=64, units=320),
        joint_units=320,
        sizes=SizeConfig(batch=2, max_frames=600, max_tokens=30, stream_frames=24),
    ),
    "sim2019": preset("sim2019"),
    # what the model `english` learns on the phone, one utterance of ten seconds: from the stem's frames through the
    # frozen encoder layers below; of the second pass's own two layers and the decoder, gains and biases train
    "english": second_pass(preset("english"), 10.0),
}
LEARNING_RATE, CLIP_NORM = 1e-4, 1.0  # of plain SGD, and the greatest global norm of its gradient


class Weights:
    """A model's arrays by tree path, from which a peer makes its layers. It records which were used.

    `weights["kernel"]` takes one, `weights.at("encoder_0")` are those below a path; `frozen` are those that do not
    train.
    """

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        frozen: Collection[str] = (),
        *,
        path: str = "",
        taken: set[str] | None = None,
    ):
        self._arrays, self._frozen, self._path = arrays, frozen, path
        self._taken = set() if taken is None else taken

    def __contains__(self, name: str) -> bool:
        return self._path + name in self._arrays

    def __getitem__(self, name: str) -> np.ndarray:
        self._taken.add(self._path + name)
        return self._arrays[self._path + name]

    def at(self, name: str) -> "Weights":
        """The weights below a name."""
        return Weights(self._arrays, self._frozen, path=f"{self._path}{name}/", taken=self._taken)

    def check(self, parameters: int) -> None:
        """Fail unless the peer took every array and trains as many parameters as there are in those not frozen."""
        left = sorted(set(self._arrays) - self._taken)
        count = sum(array.size for name, array in self._arrays.items() if name not in self._frozen)
        if left or parameters != count:
            raise ValueError(f"expected {count} trained parameters, got {parameters}; not taken: {left}")


def read_work(folder: Path) -> tuple[ModelConfig, Weights, dict[str, np.ndarray]]:
    """The configuration and weights of a folder that `prepare` made, and the batch to train on.

    Every row of the batch has the full length, so that a peer needs no masks.
    """
    config = ModelConfig.from_json(json.loads(read_text(folder / "config.json")))
    parameters = json.loads(read_text(folder / "ours.json"))["parameters"]
    frozen = {row["name"] for row in parameters if not row["trainable"]}
    weights = Weights(safetensors.numpy.load_file(folder / "weights.safetensors"), frozen)
    return config, weights, collate(longest_examples(config), config)


def position_bias(time: int, heads: int) -> np.ndarray:
    """[heads, time, time] float32, added to the attention scores: -2^(-8 h / heads) |i - j| (Press et al. 2022)."""
    distance = np.abs(np.arange(time)[:, None] - np.arange(time)[None, :])
    slopes = 2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)
    return (-slopes[:, None, None] * distance).astype(np.float32)


def rotary_angles(steps: int, rotary: int) -> np.ndarray:
    """[steps, rotary // 2] float32: p 10000^(-2 j / rotary), by which pair j turns at step p (Su et al. 2021)."""
    return np.outer(np.arange(steps), 10_000.0 ** (-np.arange(0, rotary, 2) / rotary)).astype(np.float32)
