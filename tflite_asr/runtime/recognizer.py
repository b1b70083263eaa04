"""A recogniser on the device: transcribes, trains, saves and restores what it learned. No TensorFlow.

`Recognizer` inherits from a chain of classes, each in its own file: `LoadedModel` (features, signatures),
`HotwordModel`, `FirstPassRecognizer` (search, exits, streams), `TwoPassRecognizer` (both passes, words),
`TrainableRecognizer` (losses, steps). This file adds loading, corrections and checkpoints.
"""

from pathlib import Path

import numpy as np

from tflite_asr.data.alignment import alignment_problem
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.checkpoint import load_checkpoint, save_checkpoint
from tflite_asr.runtime.corrections import (
    Correction,
    as_bytes,
    check_correction,
    missed_words,
    names_in,
    of_bytes,
)
from tflite_asr.runtime.hotword_model import LEARNED_PHRASES
from tflite_asr.runtime.interpreter import InterpreterFactory, SignatureModel
from tflite_asr.runtime.parted_model import model_of
from tflite_asr.runtime.trainable_recognizer import TrainableRecognizer
from tflite_asr.runtime.voice import OwnerVoice
from tflite_asr.text.phrases import MOST_PHRASES

# tensors of a checkpoint beside those of the model, and LEARNED_PHRASES
OWNER_MEANS, OWNER_THRESHOLD = "owner_voice.means", "owner_voice.threshold"


class Recognizer(TrainableRecognizer):
    """An artifact and its interpreter.

    `Recognizer.load("commands")` loads a shipped artifact by name, `Recognizer.load("my.tflite")` a file.

    Threads may share a recogniser. A training step, a transcription or a save ends before that of another thread
    begins. Generators (`stream`, `exits`, `stream_two_pass`) let other threads in between two chunks or exits.
    """

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        interpreter: InterpreterFactory | None = None,
        threads: int = 1,
        return_memory: bool = True,
    ) -> "Recognizer":
        """Read NAME.tflite and NAME.json.

        Args:
            path: of the .tflite, or the name of a shipped artifact.
            interpreter: the runtime's class; see `SignatureModel`.
            threads: for one call.
            return_memory: from the first step of a plan in parts on, the C allocator of this process returns freed
                blocks to the system (`give_back_freed_memory`), which costs page faults. Without it, such a plan saves
                little memory.

        Raises:
            InputError: a file is missing or damaged, or the two do not belong together.
        """
        artifact = read_artifact(path)
        model = model_of(artifact, lambda some: SignatureModel(artifact.path, interpreter, threads, some))
        return cls(artifact, model, return_memory=return_memory)

    def correct(self, samples: np.ndarray, text: str, *, heard: str | None = None, where: str = "") -> Correction:
        """Learn from a correction: the user gives the intended text of an utterance that was recognised wrongly.

        Names among the missed words are added to `learned_phrases` at once. To train on the utterance as well, pass
        `Correction.example` to a trainer, see `StreamTrainer.hear` and `CORRECTION_WEIGHT`.

        Args:
            samples: of the utterance, [n] float32.
            text: what was meant.
            heard: what was recognised; None: what `transcribe` returns.
            where: where an error says that the utterance comes from.

        Raises:
            InputError: the text is what was recognised, is far longer or shorter, or cannot be aligned with the audio;
                or the samples cannot be trained on. Nothing changes then.
        """
        example = self.example(samples, text, where)
        heard = self.transcribe(samples) if heard is None else " ".join(heard.split())
        missed = missed_words(text, heard, normalize=self.normalize)
        check_correction(text, heard, missed, normalize=self.normalize, where=where)
        if problem := alignment_problem(example.tokens, len(example.frames), self.config):
            raise InputError(f"{where or 'correction'}: cannot be aligned: {problem}; leave it out")
        named = [
            name for name in names_in(text, heard, self.subwords, normalize=self.normalize) if self._can_spell(name)
        ]
        with self.model.lock:
            known = {phrase.casefold() for phrase in self._learned_phrases}
            named = [name for name in named if name.casefold() not in known][: MOST_PHRASES - len(known)]
            if named:
                self.learned_phrases = [*self._learned_phrases, *named]
        return Correction(example, heard, missed, tuple(named))

    def forget(self, correction: Correction) -> None:
        """Remove the names of a correction from `learned_phrases`; training on it is not undone."""
        gone = {phrase.casefold() for phrase in correction.learned}
        with self.model.lock:
            self.learned_phrases = [phrase for phrase in self._learned_phrases if phrase.casefold() not in gone]

    def save(self, path: str | Path) -> None:
        """Write a checkpoint: the state, the owner's voice if it is known, and `learned_phrases`. The former file stays
        until the new one is complete.
        """
        with self.model.lock:
            state, owner, phrases = self.state(), self.owner, self.learned_phrases
        if owner:
            state[OWNER_MEANS], state[OWNER_THRESHOLD] = owner.owner.means, np.asarray(owner.threshold, np.float32)
        if phrases:
            state[LEARNED_PHRASES] = as_bytes(phrases)
        save_checkpoint(path, state, artifact_sha256=self.artifact.tflite_sha256, step=state["step"].item())

    def restore(self, path: str | Path) -> int:
        """Read a checkpoint of this artifact.

        Returns:
            The number of training steps in it.

        Raises:
            InputError: the checkpoint is damaged or of another artifact. Nothing changes then.
        """
        expected = {t["tensor"]: (tuple(t["shape"]), t["dtype"]) for t in self.artifact.state}
        optional = {LEARNED_PHRASES: ((None,), "int8")}
        if self.background:
            optional |= {OWNER_MEANS: (self.background.means.shape, "float32"), OWNER_THRESHOLD: ((), "float32")}
        tensors, step = load_checkpoint(
            path, artifact_sha256=self.artifact.tflite_sha256, expected=expected, optional=optional
        )
        means, threshold = tensors.pop(OWNER_MEANS, None), tensors.pop(OWNER_THRESHOLD, None)
        phrases = of_bytes(tensors.pop(LEARNED_PHRASES, np.zeros([0], np.int8)), str(path))
        voice = None
        if means is not None and threshold is not None and self.background:
            voice = OwnerVoice(self.background, self.background.with_means(means), float(threshold))
        with self.model.lock:
            try:
                self.learned_phrases = phrases
            except InputError as error:
                raise InputError(f"{path}: {error}") from None
            self.set_state(tensors)
            self.owner = voice
        return step
