"""Words with their times and confidences, from the text of an utterance and the model's output for its audio."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.config import ModelConfig, required
from tflite_asr.errors import InputError
from tflite_asr.runtime.attention_decoder import AttentionDecoder
from tflite_asr.runtime.confidence import ConfidenceMeasure, tempered
from tflite_asr.runtime.decoder import BeamSearch
from tflite_asr.runtime.forced_alignment import ctc_alignment, transducer_alignment
from tflite_asr.runtime.interpreter import Signatures
from tflite_asr.text.normalization import normalized
from tflite_asr.text.subwords import SubwordTokenizer
from tflite_asr.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Word:
    """A word of an utterance.

    Attributes:
        text: as the model spells it.
        start_seconds: from the beginning of the samples.
        end_seconds: from the beginning of the samples.
        confidence: 0 to 1: how often such a word is right.
    """

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float


@dataclass(frozen=True)
class Calibration:
    """The result of `tflite-asr calibrate` for a model; the default corrects nothing."""

    measure: str = "posterior"  # see `ConfidenceMeasure`
    over: str = "min"
    temperature: float = 1.0
    start_delay_seconds: float = 0.0  # how much later than a word begins its first token comes out
    end_delay_seconds: float = 0.0  # how much later than it ends its last token does; usually below 0

    @property
    def confidence(self) -> ConfidenceMeasure:
        """The calibrated measure of confidence."""
        return ConfidenceMeasure(self.measure, self.over, self.temperature)


@dataclass(frozen=True)
class AlignedWord:
    """A word, the part of the audio in which its tokens are emitted, and the probability of each token."""

    text: str
    first_seconds: float  # where the step of its first token begins
    last_seconds: float  # where the step of its last token ends
    log_probabilities: np.ndarray  # [tokens, vocabulary]; no tokens where the model has none to spell it
    tokens: np.ndarray  # [tokens] int

    @property
    def spelled(self) -> bool:
        """Whether the word has tokens."""
        return len(self.tokens) > 0


def timed(aligned: Sequence[AlignedWord], calibration: Calibration, seconds: float) -> list[Word]:
    """Words of an utterance that lasts so many seconds, in order and without overlaps."""
    starts = [word.first_seconds - calibration.start_delay_seconds for word in aligned]
    ends = [word.last_seconds - calibration.end_delay_seconds for word in aligned]
    for index in range(1, len(aligned)):
        if starts[index] < ends[index - 1]:  # one behind the other without a pause
            starts[index] = ends[index - 1] = (starts[index] + ends[index - 1]) / 2
    words, before = [], 0.0
    for word, start, end in zip(aligned, starts, ends):
        start = min(max(start, before), seconds)
        before = min(max(end, start), seconds)
        sure = calibration.confidence.of(word.log_probabilities, word.tokens) if word.spelled else 0.0
        words.append(Word(word.text, start, before, sure))
    return words


class WordAligner:
    """Aligns texts with a model's output for their audio.

    Args:
        model: of an artifact.
        config: its configuration.
        tokenizer: of the first pass, whose tokens give the times.
        subwords: of a second pass that decodes; None where there is none.
    """

    def __init__(self, model: Signatures, config: ModelConfig, tokenizer: Tokenizer, subwords: SubwordTokenizer | None):
        self.model = model
        self.config = config
        self.tokenizer = tokenizer
        self.subwords = subwords

    def align(
        self, result: dict[str, np.ndarray], text: str, edge_samples: int, *, second_pass: bool
    ) -> list[AlignedWord]:
        """Align the words of a text.

        Args:
            result: what `encode` gave for the utterance.
            text: what is said in it.
            edge_samples: of silence in front of its samples.
            second_pass: whether the text was written by the second pass, which then is asked how likely it was.

        Returns:
            one for each word of the text, in its order.
        """
        words = text.split()
        if not words:
            return []
        spelled = [self._letters(word) for word in words]
        tokens = self.tokenizer.encode(" ".join(filter(None, spelled))) if any(spelled) else np.zeros([0], np.int32)
        steps = int(result["encoded_lengths"][0])
        if self.config.is_transducer:
            first, last, rows = self._transducer(result["encoded"][0, :steps].copy(), tokens)
        else:
            first, last, rows = self._ctc(result["log_probabilities"][0, :steps], tokens)
        of_word = _word_of_each(tokens, spelled, self.tokenizer)
        if second_pass and self.subwords:
            heard = self._second_pass(result["encoded"].copy(), steps, text)
        else:
            # blank says when a label comes, not which
            labels = tempered(rows[:, 1:], 1.0)
            heard = [(labels[of_word == index], tokens[of_word == index] - 1) for index in range(len(words))]
        aligned, before = [], 0.0
        for index, word in enumerate(words):
            own = np.flatnonzero(of_word == index)
            start = self._seconds(first[own[0]], edge_samples) if len(own) else before
            before = self._seconds(last[own[-1]] + 1, edge_samples) if len(own) else before
            aligned.append(AlignedWord(word, start, before, *heard[index]))
        return aligned

    def _letters(self, word: str) -> str:
        """A word as the first pass spells it; empty where it cannot."""
        try:
            spelled = normalized(word) if self.config.cased else word
            self.tokenizer.encode(spelled)
        except InputError:
            return ""
        return spelled

    def _seconds(self, step: int | np.ndarray, edge_samples: int) -> float:
        """Where in the utterance a step begins; within the silence in front of it below 0."""
        features = self.config.features
        samples = int(step) * self.config.encoder.frames_per_step * features.hop_samples
        return (samples - edge_samples) / features.sample_rate

    def _ctc(self, steps: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and last step of each token, and the distribution where it is likeliest: [tokens, vocabulary]."""
        found = ctc_alignment(steps, tokens)
        if found is None:  # more tokens than steps: as good as any are steps of equal length
            edges = np.linspace(0, max(len(steps) - 1, 0), len(tokens) + 1).astype(np.int64)
            found = edges[:-1], edges[1:]
        peaks = [first + int(np.argmax(steps[first : last + 1, t])) for first, last, t in zip(*found, tokens)]
        first, last = found
        return first, last, steps[peaks].reshape(len(tokens), steps.shape[1])

    def _transducer(self, encoded: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The step at which each token comes out, twice, and the distribution there: [tokens, vocabulary]."""
        lattice = BeamSearch(self.model, self.config).lattice(encoded, tokens)
        count = np.arange(len(tokens))
        emitted = transducer_alignment(lattice[:, :, 0], lattice[:, count, tokens])
        return emitted, emitted, lattice[emitted, count]

    def _second_pass(self, encoded: np.ndarray, steps: int, text: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each word of a text, the decoder's distributions at the steps of its subwords."""
        subwords = required(self.subwords, "decoder with subwords")
        try:
            tokens = subwords.encode(text)[: self.config.max_subwords]
        except InputError:  # no text of the second pass's
            tokens = np.zeros([0], np.int32)
        rows = AttentionDecoder(self.model, self.config).distributions(encoded, steps, tokens)
        ends = np.asarray([len(subwords.decode(tokens[: end + 1]).split()) - 1 for end in range(len(tokens))])
        return [(rows[ends == index], tokens[ends == index]) for index in range(len(text.split()))]


def _word_of_each(tokens: np.ndarray, spelled: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """Which word each token of the spelled words belongs to, [tokens] int; -1 for spaces between words."""
    owners = [index for index, letters in enumerate(spelled) for _ in letters.split()]  # of each word of the spelling
    of_word, decoded = np.full([len(tokens)], -1), ""
    for place in range(len(tokens)):
        longer = tokenizer.decode(tokens[: place + 1])
        if longer != decoded:
            of_word[place] = owners[len(longer.split()) - 1]
        decoded = longer
    return of_word
