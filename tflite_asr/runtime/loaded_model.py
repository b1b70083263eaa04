"""An artifact and its interpreter: features, and signatures by the length of an utterance. No TensorFlow."""

import numpy as np

from tflite_asr.audio.samples import checked_samples
from tflite_asr.config import ModelConfig, required
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import checked_frames, padded_frames
from tflite_asr.runtime.interpreter import Signatures
from tflite_asr.runtime.voice import Mixture, OwnerVoice
from tflite_asr.text.labels import label_tokenizer
from tflite_asr.text.subwords import SubwordTokenizer, decoder_tokenizer


class LoadedModel:
    """An artifact, its interpreter and, once the owner's voice is known, a second interpreter with the shipped weights.

    Args:
        artifact: what NAME.json holds.
        model: the interpreter of NAME.tflite.
    """

    def __init__(self, artifact: Artifact, model: Signatures):
        self.artifact = artifact
        self.model = model
        self.config: ModelConfig = artifact.config
        self.tokenizer = artifact.make_tokenizer()
        self.subwords = decoder_tokenizer(self.config)
        self.labels = label_tokenizer(self.config)  # of the pass that trains
        self.normalize = self.config.cased  # whether error rates compare normalized texts
        self.groups: list[str] = [group["name"] for group in artifact.groups]
        self.background = Mixture.from_json(artifact.voices) if artifact.voices else None
        # whose the learned weights are; None: they are used for every voice
        self.owner: OwnerVoice | None = None
        self._shipped: Signatures | None = None

    def features(self, samples: np.ndarray) -> np.ndarray:
        """Compute the frames that the encoder takes.

        The configuration says how much silence is added: at the end, so that a stream emits the last word, or on both
        sides. An utterance of the greatest length gets none.

        Args:
            samples: [n] float in [-1, 1] at the model's sample rate.

        Returns:
            Frames [time, width] float32: log-mel, or the output of a waveform stem.

        Raises:
            InputError: too many samples, or too few for a waveform stem.
        """
        features = self.config.features
        most = features.samples_of(self.config.sizes.max_frames)
        samples = checked_samples(samples)
        if len(samples) > most:
            raise InputError(
                f"expected at most {most / features.sample_rate:.2f} s, got {len(samples) / features.sample_rate:.2f} s"
            )
        if features.kind == "stem" and len(samples) < features.window_samples:
            raise InputError(f"expected {features.window_samples} samples or more, got {len(samples)}; leave it out")
        edge = self._edge_samples(len(samples))
        heard = len(samples) + 2 * edge
        frames = min(features.frames_of(heard) + self.config.tail_frames, self.config.sizes.max_frames)
        needed = frames + (heard > features.samples_of(frames))  # samples past the last whole frame have to fit too
        sizes = self.config.shortest(needed).sizes
        signature = f"features{sizes.suffix}"
        padded = np.zeros([1, features.samples_of(sizes.max_frames)], np.float32)
        padded[0, edge : edge + len(samples)] = samples
        inputs: dict[str, np.ndarray] = {"samples": padded}
        if "sample_lengths" in self.model.input_names(signature):
            inputs["sample_lengths"] = np.asarray([heard], np.int32)
        return self.model.run(signature, inputs)["frames"][0, :frames].copy()

    @property
    def _subword_tokenizer(self) -> SubwordTokenizer:
        """The tokenizer of a second pass that decodes; ValueError for a model without one."""
        return required(self.subwords, "decoder with subwords")

    def _edge_samples(self, count: int) -> int:
        """The number of silent samples that `features` adds before `count` samples, and after them."""
        most = self.config.features.samples_of(self.config.sizes.max_frames)
        return min(self.config.edge_samples, (most - count) // 2)

    def hears_owner(self, frames: np.ndarray) -> bool:
        """Whether frames [time, width] are recognised with the learned weights, not with the shipped ones."""
        frames = checked_frames(frames, self.config.features.width)
        owner = self.owner
        return owner is None or owner.speaks(frames)

    def _model_for(self, frames: np.ndarray) -> Signatures:
        """The interpreter whose weights fit the speaker of frames [time, width]."""
        return self.model if self.hears_owner(frames) else self._shipped_model()

    def _shipped_model(self) -> Signatures:
        """An interpreter that keeps the shipped weights, created on first use."""
        with self.model.lock:
            if self._shipped is None:
                self._shipped = self.model.anew()
            return self._shipped

    def _run_utterance(
        self, model: Signatures, name: str, frames: np.ndarray, **more: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Run a signature on an utterance of frames [time, width], in the shortest version that holds it."""
        sizes = self.config.shortest(len(frames)).sizes
        return model.run(
            name + sizes.suffix, {**padded_frames(frames, sizes.max_frames, self.config.features.width), **more}
        )

    def _exit_input(self, exit: int) -> dict[str, np.ndarray]:
        """The input `exit` of a signature; empty for a model without early exits, which does not have it."""
        names = [exit["name"] for exit in self.artifact.exits]
        if not 0 <= exit < len(names):
            raise InputError(f"expected an exit from 0 to {len(names) - 1} ({', '.join(names)}), got {exit}")
        return {"exit": np.asarray([exit], np.int32)} if len(names) > 1 else {}
