"""Beam search of a second pass that decodes, over the signatures `decode_start` and `decode_step`."""

from dataclasses import dataclass, replace

import numpy as np

from tflite_asr.config import ModelConfig, required
from tflite_asr.runtime.first_pass_scores import FirstPassScores
from tflite_asr.runtime.hotwords import TokenBonus
from tflite_asr.runtime.interpreter import Signatures
from tflite_asr.runtime.second_pass import Candidate, Rescoring

PRE_BEAM = 3  # times the beam: next tokens that the first pass scores


@dataclass(frozen=True)
class _Cache:
    """Keys and values of the tokens so far, of each hypothesis: [layers, beam, heads, max_subwords, size] float32."""

    keys: np.ndarray
    values: np.ndarray

    def take(self, rows: list[int]) -> None:
        """Let row i continue row rows[i]."""
        if rows != list(range(len(rows))):
            for tensor in (self.keys, self.values):
                tensor[:, : len(rows)] = tensor[:, rows]

    def write(self, position: int, result: dict[str, np.ndarray]) -> None:
        """Store the output of `decode_step` for the token at a position."""
        self.keys[:, :, :, position], self.values[:, :, :, position] = (
            result["keys"][:, :, :, 0],
            result["values"][:, :, :, 0],
        )


class AttentionDecoder:
    """Beam search over subwords, one token a call for all hypotheses.

    Args:
        model: of an artifact whose second pass decodes.
        config: its configuration; `sizes.beam` hypotheses are kept.
    """

    def __init__(self, model: Signatures, config: ModelConfig):
        self.model = model
        self.config = config
        self.decoder = required(config.decoder, "decoder")

    def nbest(
        self,
        encoded: np.ndarray,
        steps: int,
        rescoring: Rescoring,
        first: FirstPassScores,
        hotwords: TokenBonus | None = None,
    ) -> list[Candidate]:
        """The best subword sequences, by the scores of both passes together.

        The likeliest next tokens by the decoder are found first. The first pass scores those alone, and the sum decides
        which of them are kept (Watanabe et al. 2017, doi 10.1109/JSTSP.2017.2763455, section IV-B).

        Args:
            encoded: [1, time, units] float32, as `encode` puts it out.
            steps: of it that are the utterance's.
            rescoring: how the scores of the passes become one.
            first: scores by the first pass; with a weight of 1 for the decoder the search does not use them.
            hotwords: whose bonus counts at every step, over the decoder's tokens.

        Returns:
            at most `sizes.beam` hypotheses, best first. Their `second` is log P(subwords, end | utterance), of an
            unfinished one without the end.
        """
        decoder, beam = self.decoder, self.config.sizes.beam
        given, cache = self._start(encoded, steps)
        open_hypotheses, ended = [Candidate((), 0.0, 0.0)], []
        states = [hotwords.start] if hotwords else []  # of the open hypotheses
        tokens = np.full([beam], decoder.start, np.int32)
        for position in range(self.config.most_subwords(steps)):
            log_probabilities = self._step(given, cache, position, tokens)
            bonuses = self._bonuses(open_hypotheses, states, hotwords) if hotwords else 0.0
            tried = self._continued(open_hypotheses, log_probabilities, bonuses, rescoring, first)
            ended += [candidate for _, ends, candidate in tried[:beam] if ends]
            grown = [(row, candidate) for row, ends, candidate in tried if not ends][:beam]
            if not grown or _settled(ended, [candidate for _, candidate in grown], rescoring):
                break
            rows, open_hypotheses = map(list, zip(*grown))
            cache.take(rows)
            if rescoring.weight < 1:
                first.keep(hypothesis.tokens for hypothesis in open_hypotheses)
            if hotwords:
                states = [hotwords.step(states[row], h.tokens[-1])[0] for row, h in zip(rows, open_hypotheses)]
            tokens[: len(rows)] = [hypothesis.tokens[-1] for hypothesis in open_hypotheses]
        if not ended:
            finals = [hotwords.final(state) for state in states] if hotwords else [0.0] * len(open_hypotheses)
            ended = [
                replace(h, first=first.whole(h.tokens), bonus=h.bonus + final)
                for h, final in zip(open_hypotheses, finals)
            ]
        return sorted(ended, key=rescoring.score, reverse=True)[:beam]

    def _continued(
        self,
        hypotheses: list[Candidate],
        log_probabilities: np.ndarray,
        bonuses: np.ndarray | float,
        rescoring: Rescoring,
        first: FirstPassScores,
    ) -> list[tuple[int, bool, Candidate]]:
        """The best continuations of the hypotheses by one token, best first by both passes: the row that each
        continues, whether it ends there, and the longer hypothesis.

        Args:
            log_probabilities: of the next tokens, [beam, vocabulary], a row for each hypothesis.
            bonuses: of hotwords, [hypotheses, vocabulary].
        """
        prefix_score = first.prefix if rescoring.weight < 1 else lambda tokens: 0.0
        second = np.asarray([[h.second] for h in hypotheses]) + log_probabilities[: len(hypotheses)].astype(np.float64)
        bonuses = np.broadcast_to(bonuses, second.shape)
        scores = rescoring.weight * second + bonuses
        scores += (1 - rescoring.weight) * np.asarray([[h.first] for h in hypotheses])
        tried = []
        for index in _highest(scores, PRE_BEAM * self.config.sizes.beam + len(hypotheses)):
            row, token = divmod(index, second.shape[1])
            said, ends = hypotheses[row].tokens, token == self.decoder.end
            said = said if ends else (*said, token)
            first_score = first.whole(said) if ends else prefix_score(said)
            scored = Candidate(said, first_score, float(second[row, token]), float(bonuses[row, token]))
            tried.append((row, ends, scored))
        return sorted(tried, key=lambda one: rescoring.total(one[2]), reverse=True)

    def _bonuses(self, hypotheses: list[Candidate], states: list[int], hotwords: TokenBonus) -> np.ndarray:
        """The bonus of each hypothesis with each next token, the end among them, [hypotheses, vocabulary]."""
        gains = np.stack([hotwords.gains(state) for state in states])
        gains[:, self.decoder.end] = [hotwords.final(state) for state in states]
        return gains + [[hypothesis.bonus] for hypothesis in hypotheses]

    def distributions(self, encoded: np.ndarray, steps: int, tokens: np.ndarray) -> np.ndarray:
        """Log probabilities of the next subword before each of given ones.

        Args:
            encoded: [1, time, units] float32, as `encode` puts it out.
            steps: of it that are the utterance's.
            tokens: [tokens] int, at most as many as the file takes.

        Returns:
            [tokens, vocabulary] float32.
        """
        decoder, beam = self.decoder, self.config.sizes.beam
        given, cache = self._start(encoded, steps)
        rows = []
        for position, before in enumerate([decoder.start, *tokens[:-1]] if len(tokens) else []):
            rows.append(self._step(given, cache, position, np.full([beam], before, np.int32))[0].copy())
        return np.stack(rows) if rows else np.zeros([0, decoder.vocabulary_size], np.float32)

    def _start(self, encoded: np.ndarray, steps: int) -> tuple[dict[str, np.ndarray], _Cache]:
        """What every step of an utterance is given, and an empty cache."""
        decoder, sizes = self.decoder, self.config.sizes
        lengths = {"encoded_lengths": np.asarray([steps], np.int32)}
        cross = self.model.run(f"decode_start{sizes.suffix}", {"encoded": encoded, **lengths})
        shape = [decoder.layers, sizes.beam, decoder.heads, self.config.max_subwords, decoder.head_size]
        return {**cross, **lengths}, _Cache(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def _step(self, given: dict[str, np.ndarray], cache: _Cache, position: int, tokens: np.ndarray) -> np.ndarray:
        """Log probabilities [beam, vocabulary] of what follows the tokens [beam] at a position."""
        at = {"tokens": tokens, "position": np.asarray([position], np.int32)}
        cached = {"keys": cache.keys, "values": cache.values}
        result = self.model.run(f"decode_step{self.config.sizes.suffix}", {**at, **cached, **given})
        cache.write(position, result)
        return result["log_probabilities"]


def _highest(scores: np.ndarray, count: int) -> list[int]:
    """The flat indices of the highest scores, highest first."""
    count = min(count, scores.size)
    found = np.argpartition(-scores, count - 1, axis=None)[:count]
    return sorted(map(int, found), key=lambda index: -scores.flat[index])


def _settled(ended: list[Candidate], grown: list[Candidate], rescoring: Rescoring) -> bool:
    """Whether the best that ended is better than every open hypothesis, whose log probability can only fall."""
    return bool(ended) and max(map(rescoring.score, ended)) > max(map(rescoring.score, grown))
