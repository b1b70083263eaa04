"""Two passes over an utterance: beam search as it comes, and at its end the signature `rescore` over the n-best.

score = lambda log P_rescorer + (1 - lambda) log P_transducer (Sainath et al. 2019, arXiv 1908.10992, section 2.2), and
likewise of a CTC first pass and a decoder (Watanabe et al. 2017, doi 10.1109/JSTSP.2017.2763455, equation 18).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
from tflite_asr.runtime.decoder import BeamSearch, Hypothesis
from tflite_asr.runtime.hotwords import TokenBonus
from tflite_asr.runtime.interpreter import Signatures


@dataclass(frozen=True)
class Candidate:
    """A hypothesis and what both passes say of it, log probabilities in nats."""

    tokens: tuple[int, ...]
    first: float
    second: float
    bonus: float = 0.0  # of hotwords, in nats, beside both


@dataclass(frozen=True)
class Rescoring:
    """How the passes' scores become one.

    Attributes:
        weight: lambda, of the second pass; the default is for models without a tuned one, see `tune-rescoring`.
        per_label: whether scores are divided by the number of labels and the end, so that long is not worse.
        nbest: how many hypotheses of the first pass are rescored; None: as many as the file takes.
    """

    weight: float = 0.3
    per_label: bool = False
    nbest: int | None = None

    def __post_init__(self):
        if not 0 <= self.weight <= 1:
            raise InputError(f"rescoring: expected a weight of the second pass from 0 to 1, got {self.weight}")
        if self.nbest is not None and self.nbest < 2:
            raise InputError(
                f"rescoring: expected an n-best of 2 or more, got {self.nbest}: there would be nothing to choose from"
            )

    def total(self, candidate: Candidate) -> float:
        """The scores of both passes and the bonus in one, in nats."""
        return self.weight * candidate.second + (1 - self.weight) * candidate.first + candidate.bonus

    def score(self, candidate: Candidate) -> float:
        """The score by which hypotheses are compared: the total, or the total by label."""
        return self.total(candidate) / (len(candidate.tokens) + 1 if self.per_label else 1)

    def best(self, candidates: Sequence[Candidate]) -> Candidate:
        """The candidate of the highest score among the n-best."""
        return max(candidates[: self.nbest], key=self.score)


class TwoPasses:
    """An utterance: beam search over the encoder's output, then the second pass.

    Args:
        model: of a two-pass artifact.
        config: its configuration.
        hotwords: whose bonus counts in the first pass and in what is chosen, over the labels.
    """

    def __init__(self, model: Signatures, config: ModelConfig, hotwords: TokenBonus | None = None):
        self.model = model
        self.config = config
        self._search = BeamSearch(model, config, hotwords)
        self._open = self._search.open()
        self._encoded: list[np.ndarray] = []  # steps [units] so far
        self._most = config.sizes.max_frames // config.encoder.frames_per_step

    def advance(self, result: dict[str, np.ndarray]) -> None:
        """Continue the search with the output of `encode` for the whole utterance, or of `stream` for its next chunk.

        InputError for an utterance that is longer than the second pass takes.
        """
        steps = result["encoded"][0, : int(result["encoded_lengths"][0])].copy()
        if len(self._encoded) + len(steps) > self._most:
            raise InputError(
                f"expected at most {self.config.max_seconds:.2f} s for both passes, got more; cut it at pauses"
            )
        for encoded in steps:
            self._encoded.append(encoded)
            self._open = self._search.advance(encoded, self._open)

    def nbest(self) -> list[Hypothesis]:
        """The first pass's hypotheses so far, best first."""
        return self._search.closed(self._open)

    def candidates(self) -> list[Candidate]:
        """The n-best of the whole utterance, in the first pass's order, with the second pass's scores."""
        hypotheses = self.nbest()
        second = self._rescore(hypotheses)
        return [Candidate(h.tokens, h.log_probability, float(score), h.bonus) for h, score in zip(hypotheses, second)]

    def _rescore(self, hypotheses: Sequence[Hypothesis]) -> np.ndarray:
        """Log probabilities of the hypotheses by the second pass; the rows that are left over hold no labels."""
        sizes = self.config.sizes
        encoded = np.zeros([1, self._most, self.config.encoder.units], np.float32)
        if self._encoded:
            encoded[0, : len(self._encoded)] = self._encoded
        tokens = np.zeros([sizes.beam, sizes.max_tokens], np.int32)
        counts = np.zeros([sizes.beam], np.int32)
        for row, hypothesis in enumerate(hypotheses):
            tokens[row, : len(hypothesis.tokens)], counts[row] = hypothesis.tokens, len(hypothesis.tokens)
        inputs = {
            "encoded": encoded,
            "encoded_lengths": np.asarray([len(self._encoded)], np.int32),
            "tokens": tokens,
            "token_lengths": counts,
        }
        return self.model.run(f"rescore{sizes.suffix}", inputs)["log_probabilities"][: len(hypotheses)]
