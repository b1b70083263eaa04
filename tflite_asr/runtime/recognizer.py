"""A recogniser on the device: transcribes, trains, saves and restores what it learned. No TensorFlow."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tflite_asr.audio.samples import check_not_silent, checked_samples
from tflite_asr.config import ModelConfig
from tflite_asr.data.alignment import alignment_problem, check_alignable
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import Artifact, read_artifact
from tflite_asr.runtime.attention_decoder import AttentionDecoder
from tflite_asr.runtime.batch import Example, checked_frames, collate, padded_frames, sized_for
from tflite_asr.runtime.checkpoint import load_checkpoint, save_checkpoint
from tflite_asr.runtime.corrections import (
    Correction,
    as_bytes,
    check_correction,
    missed_words,
    names_in,
    of_bytes,
)
from tflite_asr.runtime.decoder import BeamSearch, Hypothesis
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.hotwords import UNTUNED_WEIGHT, Hotwords, Spellings, TokenBonus, token_bonus
from tflite_asr.runtime.interpreter import InterpreterFactory, SignatureModel
from tflite_asr.runtime.memory import give_back_freed_memory
from tflite_asr.runtime.plan import Plan, StepResult, run_step
from tflite_asr.runtime.prefix_beam import best_path, label_log_probability, prefix_beam_search
from tflite_asr.runtime.second_pass import Candidate, Rescoring, TwoPasses
from tflite_asr.runtime.streaming import stream_results
from tflite_asr.runtime.voice import Mixture, OwnerVoice
from tflite_asr.runtime.word_extents import fitted_words
from tflite_asr.runtime.words import AlignedWord, Calibration, Word, WordAligner, timed
from tflite_asr.text.casing import in_one_case, with_case_of
from tflite_asr.text.labels import label_tokenizer
from tflite_asr.text.phrases import MOST_PHRASES, Phrase, as_phrases
from tflite_asr.text.subwords import decoder_tokenizer

UNLIKELY = -1e4  # nats: what a pass says of a text that it cannot spell
NO_ALIGNMENT = 1e25  # nats; the file's losses are of the order of 1e30 where there is no alignment at all

# tensors of a checkpoint beside those of the model
OWNER_MEANS, OWNER_THRESHOLD = "owner_voice.means", "owner_voice.threshold"
LEARNED_PHRASES = "learned_phrases"


class Recognizer:
    """An artifact and its interpreter.

    `Recognizer.load("commands")` loads a shipped artifact by name, `Recognizer.load("my.tflite")` a file.

    Threads may share one. Each method sees and leaves the weights as if it were alone: a training step, a
    transcription, a save runs from its beginning to its end before another thread's begins. Generators (`stream`,
    `exits`, `stream_two_pass`) let others in between two chunks or exits.
    """

    def __init__(self, artifact: Artifact, model: SignatureModel, *, return_memory: bool = True):
        self.artifact = artifact
        self.model = model
        self.config = artifact.config
        self.tokenizer = artifact.make_tokenizer()
        self.subwords = decoder_tokenizer(self.config)
        self.labels = label_tokenizer(self.config)  # of what trains
        self.normalize = self.config.cased  # whether error rates compare normalized texts
        self.groups = [group["name"] for group in artifact.groups]
        self.skipped_updates = 0
        self._plans: dict[str, Plan] = {}
        self.background = Mixture.from_json(artifact.voices) if artifact.voices else None
        # whose the learned weights are; None: they are used for every voice
        self.owner: OwnerVoice | None = None
        self._learned_phrases: list[str] = []
        self._learned_hotwords: Hotwords | None = None
        self._shipped: SignatureModel | None = None
        self._return_memory = return_memory

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        interpreter: InterpreterFactory | None = None,
        threads: int = 1,
        return_memory: bool = True,
    ) -> "Recognizer":
        """Read NAME.tflite and NAME.json; InputError when one is missing, damaged or not the other's.

        Args:
            path: of the .tflite, or the name of a shipped artifact.
            interpreter: the runtime's class; see `SignatureModel`.
            threads: for one call.
            return_memory: from the first step of a plan in parts on, the C allocator of this process returns freed
                blocks to the system (`give_back_freed_memory`); without that, such a plan saves little memory. It costs
                page faults.
        """
        artifact = read_artifact(path)
        return cls(artifact, SignatureModel(artifact.path, interpreter, threads), return_memory=return_memory)

    def features(self, samples: np.ndarray) -> np.ndarray:
        """samples [n] float in [-1, 1] at the model's rate -> log-mel frames [time, mel_bands].

        Silence is added as the configuration says, at the end so that the last word comes out, or on both sides; an
        utterance that fills the model's longest gets none.
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
        edge = self._edge(len(samples))
        heard = len(samples) + 2 * edge
        frames = min(features.frames_of(heard) + self.config.tail_frames, self.config.sizes.max_frames)
        needed = frames + (heard > features.samples_of(frames))  # samples past the last whole frame have to fit too
        sizes = self.config.shortest(needed).sizes
        signature = f"features{sizes.suffix}"
        padded = np.zeros([1, features.samples_of(sizes.max_frames)], np.float32)
        padded[0, edge : edge + len(samples)] = samples
        inputs = {"samples": padded}
        if "sample_lengths" in self.model.input_names(signature):
            inputs["sample_lengths"] = np.asarray([heard], np.int32)
        return self.model.run(signature, inputs)["frames"][0, :frames].copy()

    def _edge(self, count: int) -> int:
        """Samples of silence that `features` puts before, and behind, so many samples."""
        most = self.config.features.samples_of(self.config.sizes.max_frames)
        return min(self.config.edge_samples, (most - count) // 2)

    def example(self, samples: np.ndarray, text: str, where: str = "") -> Example:
        """An utterance to train on: the features of samples [n] float in [-1, 1], not silent, and its transcript's
        tokens. Where the second pass trains, a transcript without case gets that of what both passes hear.
        """
        samples = checked_samples(samples, where or "samples")
        check_not_silent(samples, where or "samples")
        text = " ".join(text.split())
        tokens = self._label_tokens(text, where)
        least = self.config.encoder.frames_per_step
        if self.config.features.frames_of(len(samples)) < least:
            seconds = self.config.features.samples_of(least) / self.config.features.sample_rate
            raise InputError(
                f"{where or 'utterance'}: expected {seconds:.3f} s of speech or more, got "
                f"{len(samples) / self.config.features.sample_rate:.3f} s; leave it out"
            )
        frames = self.features(samples)
        cased = self.cased(text, frames)
        if cased != text:
            tokens = self._label_tokens(cased, where)
        return Example(frames, tokens, self.labels.decode(tokens), where)

    def _label_tokens(self, text: str, where: str) -> np.ndarray:
        """Tokens [labels] int32 to learn from a text; InputError if they are more than the file takes."""
        tokens = self.labels.encode(text, where=where)
        if len(tokens) > self.config.max_labels:
            raise InputError(
                f"{where or 'transcript'}: expected at most {self.config.max_labels} tokens, got {len(tokens)}"
            )
        return tokens

    def cased(self, text: str, frames: np.ndarray) -> str:
        """A transcript of frames [time, width] as the second pass is to write it, where that is what trains: one
        without case gets case and punctuation of what is heard, see `text.casing`."""
        if not self.config.trains_second_pass or not in_one_case(text):
            return text
        return with_case_of(text, self.transcribe_two_pass(frames))

    def hears_owner(self, frames: np.ndarray) -> bool:
        """Whether log-mel frames [time, mel_bands] are heard with the learned weights rather than the shipped ones."""
        frames = checked_frames(frames, self.config.features.width)
        owner = self.owner
        return owner is None or owner.speaks(frames)

    @property
    def hotword_weight(self) -> float:
        """Nats a letter of a hotword, as `tune-hotwords` found it."""
        return (self.artifact.hotwords or {"weight": UNTUNED_WEIGHT})["weight"]

    def hotwords(
        self, phrases: Sequence[str | tuple[str, float] | Phrase], weight: float | None = None
    ) -> Hotwords | None:
        """Phrases as this recogniser's beam searches take them, to be used for many utterances: names and other words
        that are likelier today than the model thinks.

        A phrase counts where its words stand as whole words, in any case; `learned_phrases` count too. InputError for
        none, too many, the same one twice, letters that the model does not have, or a weight that is no number.

        Args:
            phrases: strings, or pairs of a string and how much more it counts than others (1).
            weight: nats a letter; `hotword_weight` if None.

        Returns:
            None if the weight is 0: as without hotwords. Where there are `learned_phrases`, a list that switches them
            off as well.
        """
        found = as_phrases(phrases)
        given = {phrase.text.casefold() for phrase in found}
        found += [Phrase(text) for text in self._learned_phrases if text.casefold() not in given]
        weight = self.hotword_weight if weight is None else weight
        hotwords = self._bonuses(found, weight)
        return hotwords if weight or self._learned_phrases else None

    def _bonuses(self, phrases: Sequence[Phrase], weight: float) -> Hotwords:
        """Of the first pass, and of a second pass that decodes."""
        cased = self.config.cased
        bonuses = [
            token_bonus(phrases, weight, tokenizer, spellings, normalizes=cased)
            for tokenizer, spellings in zip((self.tokenizer, self.subwords), self._spellings)
        ]
        return Hotwords(*bonuses)

    @functools.cached_property
    def _spellings(self) -> list[Spellings]:
        """Of the tokens of the first pass, and of a second pass that decodes."""
        return [Spellings(tokenizer.spellings()) for tokenizer in (self.tokenizer, self.subwords) if tokenizer]

    @property
    def learned_phrases(self) -> list[str]:
        """Names that corrections taught: hotwords of every beam search that is given none. A checkpoint keeps them."""
        return list(self._learned_phrases)

    @learned_phrases.setter
    def learned_phrases(self, phrases: Sequence[str]) -> None:
        found = as_phrases(phrases, LEARNED_PHRASES) if phrases else []
        if any(phrase.weight != 1 for phrase in found):
            raise InputError(f"{LEARNED_PHRASES}: expected phrases without weights")
        hotwords = self._bonuses(found, self.hotword_weight) if found else None
        with self.model.lock:
            self._learned_phrases, self._learned_hotwords = [phrase.text for phrase in found], hotwords

    def correct(self, samples: np.ndarray, text: str, *, heard: str | None = None, where: str = "") -> Correction:
        """Take a correction: these samples say `text`, and something else was written.

        Names among the words that were not heard become `learned_phrases` at once. To learn from the utterance as well,
        give `Correction.example` to a trainer, see `StreamTrainer.hear` and `CORRECTION_WEIGHT`.

        Args:
            samples: of the utterance, [n] float32.
            text: what was meant.
            heard: what was written; None: what `transcribe` writes.
            where: what an error names as its place.

        Raises:
            InputError: the text is what was heard, is far longer or shorter, cannot be aligned with the audio, or the
                samples cannot be trained on. Nothing changes then.
        """
        example = self.example(samples, text, where)
        heard = self.transcribe(samples) if heard is None else " ".join(heard.split())
        missed = missed_words(text, heard, normalize=self.normalize)
        check_correction(text, heard, missed, normalize=self.normalize, where=where)
        if problem := alignment_problem(example.tokens, len(example.frames), self.config):
            raise InputError(f"{where or 'correction'}: cannot be aligned: {problem}; leave it out")
        named = [name for name in names_in(text, heard, self.subwords, normalize=self.normalize) if self._spells(name)]
        with self.model.lock:
            known = {phrase.casefold() for phrase in self._learned_phrases}
            named = [name for name in named if name.casefold() not in known][: MOST_PHRASES - len(known)]
            if named:
                self.learned_phrases = [*self._learned_phrases, *named]
        return Correction(example, heard, missed, tuple(named))

    def forget(self, correction: Correction) -> None:
        """Expect the names of a correction no longer; what was trained on it stays in the weights."""
        gone = {phrase.casefold() for phrase in correction.learned}
        with self.model.lock:
            self.learned_phrases = [phrase for phrase in self._learned_phrases if phrase.casefold() not in gone]

    def _spells(self, name: str) -> bool:
        """Whether both passes can write a name, which may be a hotword then."""
        try:
            self._bonuses([Phrase(name)], self.hotword_weight)
        except InputError:
            return False
        return True

    def transcribe(
        self,
        samples: np.ndarray,
        *,
        beam: bool = True,
        hotwords: Hotwords | Sequence[str | tuple[str, float]] | None = None,
        hotword_weight: float | None = None,
    ) -> str:
        """What is said in samples [n] float32: by beam search, through both passes where the second one decodes by
        itself; without `beam` greedily, by the first pass alone.

        Once the owner's voice is known, another's is heard with the shipped weights.

        Args:
            samples: of the utterance.
            beam: or greedily.
            hotwords: phrases that are likelier today, or pairs of a phrase and its weight; what `hotwords` made of them
                if it is many utterances that are heard with them. None: `learned_phrases`, if there are any.
            hotword_weight: nats a letter of a hotword; `hotword_weight` of the recogniser if None.
        """
        if hotwords is not None and not isinstance(hotwords, Hotwords):
            hotwords = self.hotwords(hotwords, hotword_weight)
        frames = self.features(samples)
        if beam and self.subwords:
            return self.transcribe_two_pass(frames, hotwords=hotwords)
        return self.transcribe_frames(frames, beam=beam, hotwords=hotwords)

    def words(
        self, samples: np.ndarray, *, hotwords: Hotwords | Sequence[str | tuple[str, float]] | None = None
    ) -> list[Word]:
        """The words of samples [n] float32 as `transcribe` writes them, with times and confidences; empty where nothing
        is said.
        """
        with self.model.lock:
            text = self.transcribe(samples, hotwords=hotwords)
            return self.timed_words(self.features(samples), text, samples=len(samples))

    def timed_words(
        self, frames: np.ndarray, text: str, *, samples: int | None = None, second_pass: bool | None = None
    ) -> list[Word]:
        """The words of a text that is said in frames [time, width], with times and confidences.

        Args:
            frames: as `features` gives them.
            text: what is said in them.
            samples: how many samples they were made of; None where they are not at hand.
            second_pass: whether the second pass wrote the text; None: it did where it decodes by itself.
        """
        aligned = self.aligned_words(frames, text, samples=samples, second_pass=second_pass)
        features = self.config.features
        count = features.samples_of(len(frames)) if samples is None else samples
        return fitted_words(timed(aligned, self.calibration, count / features.sample_rate), frames, count, self.config)

    def aligned_words(
        self, frames: np.ndarray, text: str, *, samples: int | None = None, second_pass: bool | None = None
    ) -> list[AlignedWord]:
        """What `timed_words` are made of, before calibration, and before they are held against the audio's level."""
        edge = self.config.edge_samples if samples is None else self._edge(samples)
        second_pass = self.config.decoder is not None if second_pass is None else second_pass
        with self.model.lock:
            model = self._model_for(frames)
            aligner = WordAligner(model, self.config.shortest(len(frames)), self.tokenizer, self.subwords)
            result = self._run(model, "encode", frames)
            return aligner.align(result, text, edge, second_pass=second_pass)

    @property
    def calibration(self) -> Calibration:
        """How times and confidences of words are corrected, as `calibrate` found it."""
        return Calibration(**self.artifact.calibration or {})

    def transcribe_frames(self, frames: np.ndarray, *, beam: bool = False, hotwords: Hotwords | None = None) -> str:
        """The same for log-mel frames [time, mel_bands], by the first pass alone."""
        _check_beam(beam, hotwords)
        with self.model.lock:
            model = self._model_for(frames)
            if beam:
                return self.tokenizer.decode(self._nbest(model, frames, hotwords)[0].tokens)
            return self._infer(model, frames, len(self.artifact.exits) - 1)

    def _infer(self, model: SignatureModel, frames: np.ndarray, exit: int) -> str:
        """What is said, greedily, at an exit."""
        return self._decoded(self._run(model, "infer", frames, **self._at(exit)))

    def _decoded(self, result: dict[str, np.ndarray]) -> str:
        return self.tokenizer.decode(result["tokens"][0, : result["token_lengths"][0]])

    def _nbest(self, model: SignatureModel, frames: np.ndarray, hotwords: Hotwords | None = None) -> list[Hypothesis]:
        if self.config.prediction:
            return BeamSearch(model, self.config.shortest(len(frames)), self._first(hotwords)).best(frames)
        return self._prefix_beam(self._steps(self._run(model, "encode", frames)), hotwords)

    def transcribe_early(
        self, frames: np.ndarray, policy: ExitPolicy, *, beam: bool = False, hotwords: Hotwords | None = None
    ) -> tuple[str, int]:
        """Transcribe frames [time, mel_bands], leaving the encoder where the policy says.

        Returns:
            the text, and the exit it was left at, counted from 0.
        """
        _check_beam(beam, hotwords)
        last = len(self.artifact.exits) - 1
        if policy.exit is not None:
            self._at(policy.exit)  # refuses one that is not there
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

    def exits(
        self, frames: np.ndarray, *, beam: bool = False, hotwords: Hotwords | None = None
    ) -> Iterator[tuple[np.ndarray | None, Callable[[], str]]]:
        """One exit after the other, of a model with early ones, for frames [time, mel_bands]: the log probabilities of
        the labels there [steps, vocabulary], None at a transducer, and what decodes them. Groups above an exit are not
        computed before the next exit is asked for.
        """
        model = self._model_for(frames)
        sizes = self.config.shortest(len(frames)).sizes
        inputs = padded_frames(frames, sizes.max_frames, self.config.features.width)
        for exit in range(len(self.artifact.exits)):
            result = model.run(f"stage_{exit}{sizes.suffix}", inputs)
            inputs = {name: result[name].copy() for name in ("encoded", "encoded_lengths")}
            if "log_probabilities" in result:
                steps = self._steps(result)
                yield steps, functools.partial(self._text_of, steps, beam, hotwords)
            elif beam:
                encoded = inputs["encoded"][0, : inputs["encoded_lengths"][0]]
                yield None, functools.partial(self._text_of_encoded, model, encoded, hotwords)
            else:
                yield None, functools.partial(self._decoded, result)

    def _at(self, exit: int) -> dict[str, np.ndarray]:
        """The input that says where to leave, which a model without early exits does not have."""
        names = [exit["name"] for exit in self.artifact.exits]
        if not 0 <= exit < len(names):
            raise InputError(f"expected an exit from 0 to {len(names) - 1} ({', '.join(names)}), got {exit}")
        return {"exit": np.int32([exit])} if len(names) > 1 else {}

    def _text_of_encoded(self, model: SignatureModel, encoded: np.ndarray, hotwords: Hotwords | None) -> str:
        search = BeamSearch(model, self.config, self._first(hotwords))
        return self.tokenizer.decode(search.best_of_encoded(encoded)[0].tokens)

    def _text_of(self, log_probabilities: np.ndarray, beam: bool, hotwords: Hotwords | None) -> str:
        tokens = self._prefix_beam(log_probabilities, hotwords)[0].tokens if beam else best_path(log_probabilities)
        return self.tokenizer.decode(tokens[: self.config.sizes.max_tokens])

    def _first(self, hotwords: Hotwords | None) -> TokenBonus | None:
        """What the first pass's search adds for hotwords, or for the learned phrases."""
        hotwords = hotwords or self._learned_hotwords
        return hotwords.first if hotwords else None

    def _steps(self, result: dict[str, np.ndarray]) -> np.ndarray:
        """Log probabilities of the labels [steps, vocabulary], without the padding."""
        return result["log_probabilities"][0, : result["encoded_lengths"][0]].copy()

    def _prefix_beam(self, log_probabilities: np.ndarray, hotwords: Hotwords | None = None) -> list[Hypothesis]:
        sizes = self.config.sizes
        return prefix_beam_search(log_probabilities, sizes.beam, sizes.max_tokens, self._first(hotwords))

    def stream(self, chunks: Iterable[np.ndarray], *, exit: int | None = None) -> Iterator[str]:
        """Transcribe frames [any, mel_bands] as they come; yields the whole text so far after each model chunk.

        With the learned weights: who speaks is not known before the end. The encoder is left at `exit`, the last if
        None.
        """
        at = self._at(len(self.artifact.exits) - 1 if exit is None else exit)
        tokens: list[int] = []
        for result in stream_results(self.model, self.artifact, chunks, at):
            tokens.extend(result["tokens"][0, : result["token_lengths"][0]])
            yield self.tokenizer.decode(tokens)

    @property
    def rescoring(self) -> Rescoring:
        """How this artifact's two passes become one, as `tune-rescoring` found it; untuned, a second pass that decodes
        decides alone, by log probability a token.
        """
        untuned = {"weight": 1.0, "per_label": True} if self.config.decoder else {}
        return Rescoring(**self.artifact.rescoring or untuned)

    def decode(self, frames: np.ndarray, hotwords: Hotwords | None = None) -> list[Hypothesis]:
        """The n-best of a second pass that decodes by itself, for frames [time, width], best first: subwords, see
        `AttentionDecoder.nbest`. Nothing where the first pass hears nothing: a decoder would invent words."""
        with self.model.lock:
            model = self._model_for(frames)
            return self._decode(model, frames, self._run(model, "encode", frames), hotwords)

    def _decode(
        self, model: SignatureModel, frames: np.ndarray, result: dict[str, np.ndarray], hotwords: Hotwords | None
    ) -> list[Hypothesis]:
        """`decode`, from what `encode` gave for frames [time, width]."""
        if not best_path(self._steps(result)):
            return []
        decoder = AttentionDecoder(model, self.config.shortest(len(frames)))
        hotwords = hotwords or self._learned_hotwords
        bonus = hotwords.second if hotwords else None
        return decoder.nbest(result["encoded"], int(result["encoded_lengths"][0]), bonus)

    def candidates(self, frames: np.ndarray, hotwords: Hotwords | None = None) -> list[Candidate]:
        """The first pass's n-best for frames [time, width], with what the second pass says of them; of a second pass
        that decodes its own n-best, in subwords, with what the first pass says of their letters.
        """
        with self.model.lock:
            if self.config.decoder:
                model = self._model_for(frames)
                result = self._run(model, "encode", frames)
                steps = self._steps(result)
                found = self._decode(model, frames, result, hotwords)
                return [Candidate(h.tokens, self._first_pass(steps, h), h.log_probability, h.bonus) for h in found]
            model = self._model_for(frames)
            passes = self._two_passes(model, self.config.shortest(len(frames)), hotwords)
            passes.advance(self._run(model, "encode", frames))
            return passes.candidates()

    def _first_pass(self, steps: np.ndarray, hypothesis: Hypothesis) -> float:
        """log P of a hypothesis of the second pass by the first one's label probabilities [steps, vocabulary]."""
        try:
            tokens = self.tokenizer.encode(self.subwords.decode(hypothesis.tokens))
        except InputError:  # nothing, or characters that the first pass does not have
            return UNLIKELY
        return max(UNLIKELY, label_log_probability(steps, tokens))

    def text_of(self, candidates: Sequence[Candidate], rescoring: Rescoring) -> str:
        """The text of the best of an utterance's candidates; of none it is empty."""
        tokenizer = self.subwords if self.config.decoder else self.tokenizer
        return tokenizer.decode(rescoring.best(candidates).tokens) if candidates else ""

    def transcribe_two_pass(
        self, frames: np.ndarray, rescoring: Rescoring | None = None, *, hotwords: Hotwords | None = None
    ) -> str:
        """What is said in frames [time, width], by both passes."""
        return self.text_of(self.candidates(frames, hotwords), rescoring or self.rescoring)

    def stream_two_pass(
        self, chunks: Iterable[np.ndarray], rescoring: Rescoring | None = None, *, hotwords: Hotwords | None = None
    ) -> Iterator[str]:
        """The first pass over frames [any, mel_bands] as they come: yields its best text so far after each model chunk,
        and at the end what both passes choose. With the learned weights, as `stream`.
        """
        passes = self._two_passes(self.model, self.config, hotwords)
        for result in stream_results(self.model, self.artifact, chunks, {}):
            passes.advance(result)
            yield self.tokenizer.decode(passes.nbest()[0].tokens)
        yield self.tokenizer.decode((rescoring or self.rescoring).best(passes.candidates()).tokens)

    def _two_passes(self, model: SignatureModel, config: ModelConfig, hotwords: Hotwords | None) -> TwoPasses:
        if "rescore" not in self.artifact.signatures:
            raise InputError(f"{self.artifact.path}: has no second pass; transcribe without --two-pass")
        if self.config.decoder:
            raise InputError(
                f"{self.artifact.path}: its second pass decodes by itself, there is no n-best of the first to rescore"
            )
        return TwoPasses(model, config, self._first(hotwords))

    def _model_for(self, frames: np.ndarray) -> SignatureModel:
        return self.model if self.hears_owner(frames) else self._shipped_model()

    def _shipped_model(self) -> SignatureModel:
        """An interpreter whose weights stay as they were shipped, made when it is first needed."""
        with self.model.lock:
            if self._shipped is None:
                self._shipped = self.model.anew()
            return self._shipped

    def _run(self, model: SignatureModel, name: str, frames: np.ndarray, **more: np.ndarray) -> dict[str, np.ndarray]:
        """A signature that takes a whole utterance, frames [time, width]: the one for the shortest that holds it."""
        sizes = self.config.shortest(len(frames)).sizes
        return model.run(
            name + sizes.suffix, {**padded_frames(frames, sizes.max_frames, self.config.features.width), **more}
        )

    def loss(self, examples: Sequence[Example]) -> np.ndarray:
        """Loss of each utterance [len(examples)] float32, in nats; any number of them, nothing changes. It is infinite
        where the text cannot be aligned with the audio, see `data.alignment`.
        """
        return self._losses("losses", examples)

    def exit_losses(self, examples: Sequence[Example]) -> np.ndarray:
        """Loss of each utterance at each exit [exits, len(examples)] float32, in nats; infinite as in `loss`."""
        if len(self.artifact.exits) == 1:
            return self.loss(examples)[np.newaxis]
        return self._losses("exit_losses", examples)

    def _losses(self, output: str, examples: Sequence[Example]) -> np.ndarray:
        """An output of `loss` whose last axis is the batch."""
        size = self.config.sizes.batch
        losses = []
        with self.model.lock:
            for first in range(0, len(examples), size):
                some = examples[first : first + size]
                sized = sized_for(some, self.config)
                found = self.model.run(f"loss{sized.sizes.suffix}", collate(some, sized))[output][..., : len(some)]
                losses.append(np.where(found > NO_ALIGNMENT, np.float32(np.inf), found))
        return np.concatenate(losses, axis=-1)

    def train_step(
        self,
        examples: Sequence[Example],
        *,
        learning_rate: float = 1e-3,
        clip_norm: float = 0.0,
        pull: float = 0.0,
        group_rates: dict[str, float] | None = None,
        plan: str = "train",
        clip_globally: bool = False,
    ) -> StepResult:
        """One update on up to `batch` utterances.

        Args:
            examples: 1 to the artifact's batch size; InputError for one that no CTC path of the model spells.
            learning_rate: of the artifact's optimizer.
            clip_norm: greatest norm of the gradient, of all groups together in the plan `train`, of each group in
                `split`; 0 does not clip.
            pull: w -= learning_rate * pull * (w - shipped w) at every step; 0 does not.
            group_rates: factors on the learning rate by group name, 1 where not named; 0 leaves a group alone. A group
                that the file holds frozen has 0.
            plan: train, the whole step in one call, or split, the same in parts with less memory.
            clip_globally: `split` clips by the norm of all groups too; it takes twice as long, see
                docs/architecture.md.
        """
        frozen = dict.fromkeys(self.artifact.frozen_groups, 0.0)
        rates = dict.fromkeys(self.groups, 1.0) | frozen | (group_rates or {})
        if set(rates) != set(self.groups):
            raise InputError(f"no such layer group: {sorted(set(rates) - set(self.groups))}; there are {self.groups}")
        asked = [group for group in frozen if rates[group]]
        if asked:
            raise InputError(
                f"{self.artifact.path}: cannot train {', '.join(asked)}: constants of the file; export it with "
                f"--trainable"
            )
        if pull and not self.artifact.pulls:
            raise InputError(f"{self.artifact.path}: exported without the shipped weights that pull={pull} needs")
        check_alignable(examples, self.config)
        sized = sized_for(examples, self.config)
        inputs = {
            **collate(examples, sized),
            "learning_rate": np.float32([learning_rate]),
            "clip_norm": np.float32([clip_norm]),
            "pull": np.float32([pull]),
            "group_rates": np.asarray([rates[group] for group in self.groups], np.float32),
        }
        calls = self.plan(plan + sized.sizes.suffix).needed({group for group, rate in rates.items() if rate != 0})
        if len(calls) > 1 and self._return_memory:
            give_back_freed_memory()
            self._return_memory = False  # it holds for good
        with self.model.lock:
            result = run_step(self.model, calls, inputs, two_passes=clip_globally)
            self.skipped_updates += result.skipped
        return result

    def plan(self, name: str) -> Plan:
        """The artifact's plan of this name; InputError when there is none, or it calls what the file does not have."""
        if name not in self._plans:
            plans = {**self.artifact.plans, **self.artifact.shorter_plans}
            self._plans[name] = Plan.of(name, plans, self.artifact.signatures)
        return self._plans[name]

    def parameters(self) -> dict[str, dict[str, float]]:
        """By layer group: parameters, bytes, activation_bytes, weight_norm, distance from the shipped weights."""
        result = self.model.run("parameters")
        return {
            group: {key: values[index].item() for key, values in result.items()}
            for index, group in enumerate(self.groups)
        }

    def state(self) -> dict[str, np.ndarray]:
        """Copies of the weights, optimizer slots and step, by tensor name."""
        return self.model.run("get_weights")

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Put back what `state` returned."""
        self.model.run("set_weights", state)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint, with the owner's voice where it is known and `learned_phrases`; the former file stays
        until the new one is whole.
        """
        with self.model.lock:
            state, owner, phrases = self.state(), self.owner, self.learned_phrases
        if owner:
            state[OWNER_MEANS], state[OWNER_THRESHOLD] = owner.owner.means, np.float32(owner.threshold)
        if phrases:
            state[LEARNED_PHRASES] = as_bytes(phrases)
        save_checkpoint(path, state, artifact_sha256=self.artifact.tflite_sha256, step=state["step"].item())

    def restore(self, path: str | Path) -> int:
        """Read a checkpoint of this artifact; returns its step. Nothing changes when it is refused."""
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
        if means is not None and threshold is not None:
            voice = OwnerVoice(self.background, self.background.with_means(means), float(threshold))
        with self.model.lock:
            try:
                self.learned_phrases = phrases
            except InputError as error:
                raise InputError(f"{path}: {error}") from None
            self.set_state(tensors)
            self.owner = voice
        return step


def _check_beam(beam: bool, hotwords: Hotwords | None) -> None:
    if hotwords and not beam:
        raise InputError("hotwords: expected beam search with them, the best label at each step is found without")
