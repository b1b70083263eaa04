"""Beam search over the signatures `encode`, `predict` and `join`."""

from dataclasses import dataclass, replace

import numpy as np

from tflite_asr.config import ModelConfig, required
from tflite_asr.runtime.batch import padded_frames
from tflite_asr.runtime.hotwords import TokenBonus
from tflite_asr.runtime.interpreter import Signatures


@dataclass(frozen=True)
class Hypothesis:
    """A label sequence and log P(labels | frames), summed over the alignments that the beam kept."""

    tokens: tuple[int, ...]
    log_probability: float
    bonus: float = 0.0  # of hotwords, in nats

    @property
    def score(self) -> float:
        """The score by which hypotheses are compared, in nats."""
        return self.log_probability + self.bonus


@dataclass(frozen=True)
class _Open:
    """A hypothesis and the prediction network's state after it."""

    tokens: tuple[int, ...]
    log_probability: float
    predicted: np.ndarray  # [units]
    hidden: np.ndarray  # [units]
    cell: np.ndarray  # [units]
    bonus: float = 0.0  # of hotwords so far
    state: int = 0  # of their automaton

    @property
    def score(self) -> float:
        return self.log_probability + self.bonus


class BeamSearch:
    """Time-synchronous beam search (Graves 2012, algorithm 1, with a bound on labels a step).

    Equal label sequences are merged by adding their probabilities.

    Args:
        model: of a transducer's artifact.
        config: its configuration; `sizes.beam` hypotheses are kept.
        hotwords: whose bonus counts in what is kept, over the labels.
    """

    def __init__(self, model: Signatures, config: ModelConfig, hotwords: TokenBonus | None = None):
        self.model = model
        self.config = config
        self.hotwords = hotwords
        self.beam = config.sizes.beam

    def start(self) -> dict[str, np.ndarray]:
        """The prediction network before any label: predicted, hidden, cell, each [beam, units], rows alike."""
        return self.model.run("predict", {"tokens": np.zeros([self.beam], np.int32), **self._zero_states()})

    def _zero_states(self) -> dict[str, np.ndarray]:
        prediction = required(self.config.prediction, "prediction network")
        return {
            "hidden": np.zeros([self.beam, prediction.hidden_size], np.float32),
            "cell": np.zeros([self.beam, prediction.cell_size], np.float32),
        }

    def best(self, frames: np.ndarray) -> list[Hypothesis]:
        """frames [time, mel_bands] -> the n-best, best first; n is at most the beam."""
        sizes = self.config.sizes
        inputs = padded_frames(frames, sizes.max_frames, self.config.features.width)
        result = self.model.run(f"encode{sizes.suffix}", inputs)
        return self.best_of_encoded(result["encoded"][0, : result["encoded_lengths"][0]].copy())

    def best_of_encoded(self, encoded: np.ndarray) -> list[Hypothesis]:
        """The same from the encoder's output [steps, units]."""
        kept = self.open()
        for step in encoded:
            kept = self.advance(step, kept)
        return self.closed(kept)

    def lattice(self, encoded: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Log probabilities at every node of the lattice of a given text.

        Args:
            encoded: the encoder's output [steps, units].
            tokens: [tokens] int.

        Returns:
            [steps, tokens + 1, vocabulary] float64: at each step behind so many tokens.
        """
        hypotheses = self.open()
        for token in tokens:
            hypotheses += self._extend([(hypotheses[-1], int(token), 0.0)])
        batches = [hypotheses[first : first + self.beam] for first in range(0, len(hypotheses), self.beam)]
        return np.asarray([np.concatenate([self._join(step, batch) for batch in batches]) for step in encoded])

    def open(self) -> list[_Open]:
        """The hypotheses before an utterance: one, without labels."""
        start = self.start()
        state = self.hotwords.start if self.hotwords else 0
        return [_Open((), 0.0, start["predicted"][0], start["hidden"][0], start["cell"][0], state=state)]

    def closed(self, hypotheses: list[_Open]) -> list[Hypothesis]:
        """The n-best of those that are open, best first; of hotwords that are unfinished the bonus is taken back."""
        final = self.hotwords.final if self.hotwords else lambda state: 0.0
        found = [Hypothesis(h.tokens, h.log_probability, h.bonus + final(h.state)) for h in hypotheses]
        return sorted(found, key=lambda hypothesis: -hypothesis.score)

    def advance(self, encoded: np.ndarray, hypotheses: list[_Open]) -> list[_Open]:
        """One encoder step [units]: from each hypothesis labels until blank."""
        sizes = self.config.sizes
        done: dict[tuple[int, ...], _Open] = {}
        for emitted in range(sizes.max_symbols_per_step + 1):
            log_probabilities = self._join(encoded, hypotheses)
            for hypothesis, row in zip(hypotheses, log_probabilities):
                _merge(done, hypothesis, hypothesis.log_probability + float(row[0]))
            if emitted == sizes.max_symbols_per_step:
                break
            scores = np.asarray([h.score for h in hypotheses])[:, None] + log_probabilities[:, 1:]
            if self.hotwords:
                scores += [self.hotwords.gains(hypothesis.state)[1:] for hypothesis in hypotheses]
            scores[[len(h.tokens) >= sizes.max_tokens for h in hypotheses]] = -np.inf
            # only what may still get into the beam is worth another label
            ended = sorted((h.score for h in done.values()), reverse=True)
            floor = ended[self.beam - 1] if len(ended) >= self.beam else -np.inf
            order = np.argsort(-scores, axis=None)[: self.beam]
            chosen = [divmod(int(i), scores.shape[1]) for i in order if scores.flat[i] > floor]
            if not chosen:
                break
            hypotheses = self._extend(
                [(hypotheses[row], label + 1, float(log_probabilities[row, label + 1])) for row, label in chosen]
            )
        return sorted(done.values(), key=lambda hypothesis: -hypothesis.score)[: self.beam]

    def _join(self, encoded: np.ndarray, hypotheses: list[_Open]) -> np.ndarray:
        """[hypotheses, vocabulary] log probabilities."""
        predicted = np.zeros([self.beam, len(hypotheses[0].predicted)], np.float32)
        predicted[: len(hypotheses)] = [hypothesis.predicted for hypothesis in hypotheses]
        inputs = {"encoded": np.tile(encoded, [self.beam, 1]), "predicted": predicted}
        return self.model.run("join", inputs)["log_probabilities"][: len(hypotheses)].astype(np.float64)

    def _extend(self, extensions: list[tuple[_Open, int, float]]) -> list[_Open]:
        """Each hypothesis with one more label, whose log probability is given."""
        states = self._zero_states()
        tokens = np.zeros([self.beam], np.int32)
        for row, (hypothesis, label, _) in enumerate(extensions):
            tokens[row], states["hidden"][row], states["cell"][row] = label, hypothesis.hidden, hypothesis.cell
        result = self.model.run("predict", {"tokens": tokens, **states})
        grown = []
        for row, (hypothesis, label, log_probability) in enumerate(extensions):
            state, gain = self.hotwords.step(hypothesis.state, label) if self.hotwords else (0, 0.0)
            grown.append(
                _Open(
                    (*hypothesis.tokens, label),
                    hypothesis.log_probability + log_probability,
                    result["predicted"][row].copy(),
                    result["hidden"][row].copy(),
                    result["cell"][row].copy(),
                    hypothesis.bonus + gain,
                    state,
                )
            )
        return grown


def _merge(done: dict[tuple[int, ...], _Open], hypothesis: _Open, score: float) -> None:
    known = done.get(hypothesis.tokens)
    if known is not None:
        score = float(np.logaddexp(known.log_probability, score))
    done[hypothesis.tokens] = replace(hypothesis, log_probability=score)
