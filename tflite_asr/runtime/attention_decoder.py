"""Beam search of a second pass that decodes, over the signatures `decode_start` and `decode_step`."""

from dataclasses import dataclass, replace

import numpy as np

from tflite_asr.config import ModelConfig, required
from tflite_asr.runtime.decoder import Hypothesis
from tflite_asr.runtime.hotwords import TokenBonus
from tflite_asr.runtime.interpreter import Signatures


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

    def nbest(self, encoded: np.ndarray, steps: int, hotwords: TokenBonus | None = None) -> list[Hypothesis]:
        """The likeliest subword sequences, best first by log probability a token, the end included.

        Args:
            encoded: [1, time, units] float32, as `encode` puts it out.
            steps: of it that are the utterance's.
            hotwords: whose bonus counts at every step, over the decoder's tokens.

        Returns:
            at most `sizes.beam` hypotheses, with log P(subwords, end | utterance), an unfinished one's without the end.
        """
        decoder, beam = self.decoder, self.config.sizes.beam
        longest = self.config.most_subwords(steps)
        lengths = np.asarray([steps], np.int32)
        suffix = self.config.sizes.suffix
        cross = self.model.run(f"decode_start{suffix}", {"encoded": encoded, "encoded_lengths": lengths})
        shape = [decoder.layers, beam, decoder.heads, self.config.max_subwords, decoder.head_size]
        cache = _Cache(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
        open_hypotheses, ended = [Hypothesis((), 0.0)], []
        states = [hotwords.start] if hotwords else []  # of the open hypotheses
        tokens = np.full([beam], decoder.start, np.int32)
        for position in range(longest):
            result = self.model.run(
                f"decode_step{suffix}",
                {
                    "tokens": tokens,
                    "position": np.asarray([position], np.int32),
                    "keys": cache.keys,
                    "values": cache.values,
                    **cross,
                    "encoded_lengths": lengths,
                },
            )
            cache.write(position, result)
            likelihoods = np.asarray([[h.log_probability] for h in open_hypotheses])
            likelihoods = likelihoods + result["log_probabilities"][: len(open_hypotheses)].astype(np.float64)
            bonuses = self._bonuses(open_hypotheses, states, hotwords) if hotwords else np.zeros_like(likelihoods)
            scores = likelihoods + bonuses
            count = min(beam + len(open_hypotheses), scores.size)  # of which each hypothesis may end once
            best = np.argpartition(-scores, count - 1, axis=None)[:count]
            grown, rows = [], []
            for rank, index in enumerate(sorted(best, key=lambda index: -scores.flat[index])):
                row, token = divmod(int(index), scores.shape[1])
                before, likelihood = open_hypotheses[row].tokens, float(likelihoods.flat[index])
                bonus = float(bonuses.flat[index])
                if token != decoder.end and len(grown) < beam:
                    grown.append(Hypothesis((*before, token), likelihood, bonus))
                    rows.append(row)
                elif token == decoder.end and rank < beam:
                    ended.append(Hypothesis(before, likelihood, bonus))
            if not grown or self._settled(ended, grown):
                break
            cache.take(rows)
            open_hypotheses = grown
            if hotwords:
                states = [hotwords.step(states[row], h.tokens[-1])[0] for row, h in zip(rows, grown)]
            tokens[: len(grown)] = [hypothesis.tokens[-1] for hypothesis in grown]
        if hotwords and not ended:
            ended = [replace(h, bonus=h.bonus + hotwords.final(state)) for h, state in zip(open_hypotheses, states)]
        return sorted(ended or open_hypotheses, key=_a_token, reverse=True)[:beam]

    def _bonuses(self, hypotheses: list[Hypothesis], states: list[int], hotwords: TokenBonus) -> np.ndarray:
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
        suffix, lengths = self.config.sizes.suffix, np.asarray([steps], np.int32)
        cross = self.model.run(f"decode_start{suffix}", {"encoded": encoded, "encoded_lengths": lengths})
        shape = [decoder.layers, beam, decoder.heads, self.config.max_subwords, decoder.head_size]
        cache = _Cache(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
        rows = []
        for position, before in enumerate([decoder.start, *tokens[:-1]] if len(tokens) else []):
            inputs = {"tokens": np.full([beam], before, np.int32), "position": np.asarray([position], np.int32)}
            cached = {"keys": cache.keys, "values": cache.values, "encoded_lengths": lengths}
            result = self.model.run(f"decode_step{suffix}", {**inputs, **cached, **cross})
            cache.write(position, result)
            rows.append(result["log_probabilities"][0].copy())
        return np.stack(rows) if rows else np.zeros([0, decoder.vocabulary_size], np.float32)

    def _settled(self, ended: list[Hypothesis], grown: list[Hypothesis]) -> bool:
        """Whether no open hypothesis is still likelier a token than the best that ended."""
        return bool(ended) and max(map(_a_token, ended)) > max(map(_a_token, grown))


def _a_token(hypothesis: Hypothesis) -> float:
    return hypothesis.score / (len(hypothesis.tokens) + 1)
