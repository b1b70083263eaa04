"""Recognition by both passes: texts, candidates of an utterance, and words with their times. No TensorFlow."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
from tflite_asr.runtime.attention_decoder import AttentionDecoder
from tflite_asr.runtime.first_pass_recognizer import FirstPassRecognizer
from tflite_asr.runtime.first_pass_scores import FirstPassScores
from tflite_asr.runtime.hotwords import Hotwords
from tflite_asr.runtime.interpreter import Signatures
from tflite_asr.runtime.prefix_beam import best_path
from tflite_asr.runtime.second_pass import Candidate, Rescoring, TwoPasses
from tflite_asr.runtime.streaming import stream_results
from tflite_asr.runtime.word_extents import fitted_words
from tflite_asr.runtime.words import AlignedWord, Calibration, Word, WordAligner, timed


class TwoPassRecognizer(FirstPassRecognizer):
    """Recognises by every pass that the artifact has."""

    def transcribe(
        self,
        samples: np.ndarray,
        *,
        beam: bool = True,
        hotwords: Hotwords | Sequence[str | tuple[str, float]] | None = None,
        hotword_weight: float | None = None,
    ) -> str:
        """Transcribe an utterance. When the owner's voice is known, other voices are recognised with the shipped
        weights, and the owner, in a model with `owner_views`, in several views.

        Args:
            samples: [n] float in [-1, 1] at the model's sample rate.
            beam: beam search, through both passes where the second one decodes by itself; otherwise greedy search by
                the first pass.
            hotwords: phrases that are likelier today, or pairs of a phrase and its weight. For many utterances, pass
                what `hotwords` returns. None: `learned_phrases`, if there are any.
            hotword_weight: nats for each letter of a hotword; None: `hotword_weight` of the recogniser.

        Returns:
            The text; empty where nothing is said.
        """
        if hotwords is not None and not isinstance(hotwords, Hotwords):
            hotwords = self.hotwords(hotwords, hotword_weight)
        frames = self.features(samples)
        if beam and self.subwords:
            return self.transcribe_two_pass(frames, hotwords=hotwords)
        return self.transcribe_frames(frames, beam=beam, hotwords=hotwords)

    def transcribe_two_pass(
        self, frames: np.ndarray, rescoring: Rescoring | None = None, *, hotwords: Hotwords | None = None
    ) -> str:
        """Transcribe frames [time, width] by both passes; `rescoring` None: that of the artifact."""
        rescoring = rescoring or self.rescoring
        return self.text_of(self.candidates(frames, hotwords, rescoring), rescoring)

    def stream_two_pass(
        self, chunks: Iterable[np.ndarray], rescoring: Rescoring | None = None, *, hotwords: Hotwords | None = None
    ) -> Iterator[str]:
        """Transcribe a stream by both passes, with the learned weights.

        Args:
            chunks: frames [any, width].
            rescoring: how the scores are combined; None: as the artifact says.
            hotwords: see `hotwords`.

        Yields:
            After each chunk of the model's size the best text of the first pass so far; at the end the text that both
            passes choose.
        """
        search = self._two_passes(self.model, self.config, hotwords)
        for result in stream_results(self.model, self.artifact, chunks, {}):
            search.advance(result)
            yield self.tokenizer.decode(search.nbest()[0].tokens)
        yield self.tokenizer.decode((rescoring or self.rescoring).best(search.candidates()).tokens)

    @property
    def rescoring(self) -> Rescoring:
        """How the scores of the two passes are combined, as `tune-rescoring` found it. Untuned, a second pass that
        decodes decides alone, by its log probability per token.
        """
        untuned = {"weight": 1.0, "per_label": True} if self.config.decoder else {}
        return Rescoring(**self.artifact.rescoring or untuned)

    def candidates(
        self, frames: np.ndarray, hotwords: Hotwords | None = None, rescoring: Rescoring | None = None
    ) -> list[Candidate]:
        """The hypotheses for frames [time, width] with the log probabilities of both passes.

        They come from the first pass's beam search; where the second pass decodes by itself, from its own, in subwords,
        best first, see `AttentionDecoder.nbest`; there are then none where the first pass finds no label, since a
        decoder would invent words.

        Args:
            hotwords: see `hotwords`.
            rescoring: by which a second pass that decodes compares hypotheses; None: as the artifact says.
        """
        with self.model.lock:
            model, config = self._model_for(frames), self.config.shortest(len(frames))
            if not self.config.decoder:
                search = self._two_passes(model, config, hotwords)
                search.advance(self._run_utterance(model, "encode", frames))
                return search.candidates()
            result = self._run_utterance(model, "encode", frames)
            labels = self._label_log_probabilities(result)
            if not best_path(labels):
                return []
            hotwords = hotwords or self._learned_hotwords
            return AttentionDecoder(model, config).nbest(
                result["encoded"],
                len(labels),
                rescoring or self.rescoring,
                FirstPassScores(labels, self.tokenizer, self._subword_tokenizer),
                hotwords.second if hotwords else None,
            )

    def text_of(self, candidates: Sequence[Candidate], rescoring: Rescoring) -> str:
        """The text of the best candidate; empty without candidates."""
        tokenizer = self._subword_tokenizer if self.config.decoder else self.tokenizer
        return tokenizer.decode(rescoring.best(candidates).tokens) if candidates else ""

    def words(
        self, samples: np.ndarray, *, hotwords: Hotwords | Sequence[str | tuple[str, float]] | None = None
    ) -> list[Word]:
        """Transcribe samples [n] float32 into words with times and confidences; empty where nothing is said."""
        with self.model.lock:
            text = self.transcribe(samples, hotwords=hotwords)
            return self.timed_words(self.features(samples), text, samples=samples)

    def timed_words(
        self, frames: np.ndarray, text: str, *, samples: np.ndarray | None = None, second_pass: bool | None = None
    ) -> list[Word]:
        """The words of a known text, with times and confidences.

        Args:
            frames: [time, width], from `features`.
            text: what is said in them.
            samples: [n] float32, which the frames were computed from; their level moves the edges of words to those of
                speech. None: times are those of the model's steps.
            second_pass: whether the second pass wrote the text; None: it did if it decodes by itself.
        """
        aligned = self.aligned_words(frames, text, samples=samples, second_pass=second_pass)
        features = self.config.features
        count = features.samples_of(len(frames)) if samples is None else len(samples)
        words = timed(aligned, self.calibration, count / features.sample_rate)
        return words if samples is None else fitted_words(words, samples, features.sample_rate)

    def aligned_words(
        self, frames: np.ndarray, text: str, *, samples: np.ndarray | None = None, second_pass: bool | None = None
    ) -> list[AlignedWord]:
        """Like `timed_words`, but before calibration and before the audio's level moves the edges of words."""
        edge = self.config.edge_samples if samples is None else self._edge_samples(len(samples))
        second_pass = self.config.decoder is not None if second_pass is None else second_pass
        with self.model.lock:
            model = self._model_for(frames)
            aligner = WordAligner(model, self.config.shortest(len(frames)), self.tokenizer, self.subwords)
            result = self._run_utterance(model, "encode", frames)
            return aligner.align(result, text, edge, second_pass=second_pass)

    @property
    def calibration(self) -> Calibration:
        """The correction of times and confidences of words, as `calibrate` found it."""
        return Calibration(**self.artifact.calibration or {})

    def _two_passes(self, model: Signatures, config: ModelConfig, hotwords: Hotwords | None) -> TwoPasses:
        """A search whose n-best the second pass rescores; InputError for an artifact without such a second pass."""
        if "rescore" not in self.artifact.signatures:
            raise InputError(f"{self.artifact.path}: has no second pass; transcribe without --two-pass")
        if self.config.decoder:
            raise InputError(
                f"{self.artifact.path}: its second pass decodes by itself, there is no n-best of the first to rescore"
            )
        return TwoPasses(model, config, self._first_pass_bonus(hotwords))
