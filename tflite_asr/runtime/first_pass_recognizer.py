"""Recognition by the first pass: greedy or beam search, at any exit, of utterances or streams. No TensorFlow."""

import functools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import padded_frames
from tflite_asr.runtime.decoder import BeamSearch, Hypothesis
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.hotword_model import HotwordModel
from tflite_asr.runtime.hotwords import Hotwords
from tflite_asr.runtime.interpreter import Signatures
from tflite_asr.runtime.prefix_beam import best_path, prefix_beam_search
from tflite_asr.runtime.streaming import stream_results
from tflite_asr.runtime.views import likeliest, views


class FirstPassRecognizer(HotwordModel):
    """Recognises with the encoder up to any exit, and with the search of a transducer or of CTC."""

    def transcribe_frames(self, frames: np.ndarray, *, beam: bool = False, hotwords: Hotwords | None = None) -> str:
        """Transcribe frames [time, width] by the first pass alone: greedily, or by beam search."""
        _check_beam(beam, hotwords)
        with self.model.lock:
            if beam:
                return self.tokenizer.decode(self._best(frames, hotwords).tokens)
            return self._infer(self._model_for(frames), frames, len(self.artifact.exits) - 1)

    def transcribe_early(
        self, frames: np.ndarray, policy: ExitPolicy, *, beam: bool = False, hotwords: Hotwords | None = None
    ) -> tuple[str, int]:
        """Transcribe frames [time, width] and leave the encoder at the exit that the policy selects.

        Returns:
            The text, and the exit, counted from 0.

        Raises:
            InputError: an exit that the model does not have, or a policy for a model without early exits.
        """
        _check_beam(beam, hotwords)
        last = len(self.artifact.exits) - 1
        if policy.exit is not None:
            self._exit_input(policy.exit)  # refuses one that is not there
            if last == 0:
                return self.transcribe_frames(frames, beam=beam, hotwords=hotwords), 0
            if not beam:
                return self._infer(self._model_for(frames), frames, policy.exit), policy.exit
        elif last == 0:
            raise InputError(f"{self.artifact.path}: has no early exits to choose from")
        with self.model.lock:
            for exit, (steps, text) in enumerate(self.exits(frames, beam=beam, hotwords=hotwords)):
                if exit == last or policy.leaves(exit, steps):
                    return text(), exit
        raise AssertionError("the last exit is always left")

    def exits(
        self, frames: np.ndarray, *, beam: bool = False, hotwords: Hotwords | None = None
    ) -> Iterator[tuple[np.ndarray | None, Callable[[], str]]]:
        """Run a model with early exits on frames [time, width], one exit after another. The groups above an exit run
        when the next item is requested.

        Yields:
            For each exit, the log probabilities of its labels [steps, vocabulary], None for a transducer, and a
            function that returns the text.
        """
        model = self._model_for(frames)
        sizes = self.config.shortest(len(frames)).sizes
        inputs = padded_frames(frames, sizes.max_frames, self.config.features.width)
        for exit in range(len(self.artifact.exits)):
            result = model.run(f"stage_{exit}{sizes.suffix}", inputs)
            inputs = {name: result[name].copy() for name in ("encoded", "encoded_lengths")}
            if "log_probabilities" in result:
                steps = self._label_log_probabilities(result)
                yield steps, functools.partial(self._ctc_text, steps, beam, hotwords)
            elif beam:
                encoded = inputs["encoded"][0, : inputs["encoded_lengths"][0]]
                yield None, functools.partial(self._transducer_text, model, encoded, hotwords)
            else:
                yield None, functools.partial(self._greedy_text, result)

    def stream(self, chunks: Iterable[np.ndarray], *, exit: int | None = None) -> Iterator[str]:
        """Transcribe a stream greedily, with the learned weights: the speaker is not known before the end.

        Args:
            chunks: frames [any, width].
            exit: where the encoder is left, counted from 0; None: the last exit.

        Yields:
            The whole text so far, after each chunk of the model's size.
        """
        at = self._exit_input(len(self.artifact.exits) - 1 if exit is None else exit)
        tokens: list[int] = []
        for result in stream_results(self.model, self.artifact, chunks, at):
            tokens.extend(result["tokens"][0, : result["token_lengths"][0]])
            yield self.tokenizer.decode(tokens)

    def _infer(self, model: Signatures, frames: np.ndarray, exit: int) -> str:
        """The greedy text of frames [time, width] at an exit."""
        return self._greedy_text(self._run_utterance(model, "infer", frames, **self._exit_input(exit)))

    def _greedy_text(self, result: dict[str, np.ndarray]) -> str:
        """The text of the tokens that `infer` or a stage returned."""
        return self.tokenizer.decode(result["tokens"][0, : result["token_lengths"][0]])

    def _best(self, frames: np.ndarray, hotwords: Hotwords | None) -> Hypothesis:
        """The best hypothesis for frames [time, width]; with `owner_views`, of the owner's over their views."""
        model = self._model_for(frames)
        if not self.artifact.owner_views or self.owner is None or model is not self.model:
            return self._nbest(model, frames, hotwords)[0]
        return likeliest(self._nbest(model, view, hotwords)[0] for view in views(frames, self.config))

    def _nbest(self, model: Signatures, frames: np.ndarray, hotwords: Hotwords | None = None) -> list[Hypothesis]:
        """The hypotheses of a beam search over frames [time, width], best first."""
        if self.config.is_transducer:
            return BeamSearch(model, self.config.shortest(len(frames)), self._first_pass_bonus(hotwords)).best(frames)
        return self._ctc_nbest(self._label_log_probabilities(self._run_utterance(model, "encode", frames)), hotwords)

    def _transducer_text(self, model: Signatures, encoded: np.ndarray, hotwords: Hotwords | None) -> str:
        """The text of a transducer's beam search over the encoder's output [steps, units]."""
        search = BeamSearch(model, self.config, self._first_pass_bonus(hotwords))
        return self.tokenizer.decode(search.best_of_encoded(encoded)[0].tokens)

    def _ctc_text(self, log_probabilities: np.ndarray, beam: bool, hotwords: Hotwords | None) -> str:
        """The text of CTC log probabilities [steps, vocabulary]."""
        tokens = self._ctc_nbest(log_probabilities, hotwords)[0].tokens if beam else best_path(log_probabilities)
        return self.tokenizer.decode(tokens[: self.config.sizes.max_tokens])

    def _label_log_probabilities(self, result: dict[str, np.ndarray]) -> np.ndarray:
        """The log probabilities [steps, vocabulary] in an output of `encode` or a stage, without padding."""
        return result["log_probabilities"][0, : result["encoded_lengths"][0]].copy()

    def _ctc_nbest(self, log_probabilities: np.ndarray, hotwords: Hotwords | None = None) -> list[Hypothesis]:
        """The hypotheses of a prefix beam search over CTC log probabilities [steps, vocabulary], best first."""
        sizes = self.config.sizes
        return prefix_beam_search(log_probabilities, sizes.beam, sizes.max_tokens, self._first_pass_bonus(hotwords))


def _check_beam(beam: bool, hotwords: Hotwords | None) -> None:
    """InputError for hotwords without beam search."""
    if hotwords and not beam:
        raise InputError("hotwords: expected beam search with them, the best label at each step is found without")
