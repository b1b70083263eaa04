"""Hotwords in a beam search: the bonus of each next token for a hypothesis that may spell a phrase of a list.

The bonus is added to log P(tokens | utterance) at every step, before hypotheses are pruned (shallow fusion; Zhao et al.
2019, "Shallow-fusion end-to-end contextual biasing", section 3). The automaton of `text.phrase_automaton` walks over
characters, and a token is walked as the characters that it stands for. So a phrase is found however the tokens cut it:
in letters, in any of the ways that subwords spell it, and in any case.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.text.phrase_automaton import ROOT, PhraseAutomaton, continues_word, lower
from tflite_asr.text.phrases import Phrase
from tflite_asr.text.tokenizer import CharacterTokenizer, Tokenizer

UNTUNED_WEIGHT = 1.0  # nats a letter, until `tune-hotwords` has found a better one
HIGHEST = "\U0010ffff"  # sorts behind any other character


class Spellings:
    """The texts of a vocabulary's tokens, in lower case and in alphabetical order.

    Args:
        texts: of each token id; "" of one that is no part of a text.
    """

    def __init__(self, texts: Sequence[str]):
        self.texts = [lower(text) for text in texts]
        self.silent = np.asarray([not text for text in texts], bool)
        self.ends_word = np.asarray([bool(text) and not continues_word(text[0]) for text in texts], bool)
        self.with_inner_space = [token for token, text in enumerate(texts) if " " in text[1:]]
        self.letters = frozenset("".join(self.texts))
        self.order = sorted(range(len(texts)), key=self.texts.__getitem__)
        self._sorted = [self.texts[token] for token in self.order]

    def range(self, prefix: str, low: int = 0, high: int | None = None) -> tuple[int, int]:
        """Where in `order` the tokens stand that begin with a prefix, of those from low up to high."""
        low = bisect.bisect_left(self._sorted, prefix, low, high)
        return low, bisect.bisect_left(self._sorted, prefix + HIGHEST, low, high)

    def behind(self, text: str, low: int, high: int) -> int:
        """The end of the tokens from low on that are just this text."""
        return bisect.bisect_right(self._sorted, text, low, high)


class TokenBonus:
    """The bonus for each token of a vocabulary, of hypotheses that each keep a state of the automaton.

    A step costs the same for one phrase and for thousands: what a state adds to the tokens that go on with a phrase is
    worked out when a hypothesis first gets there, and all other tokens of the vocabulary are one addition of arrays.
    """

    def __init__(self, automaton: PhraseAutomaton, spellings: Spellings):
        self.start = automaton.start
        self._automaton = automaton
        self._spellings = spellings
        self._near: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._outside = np.zeros([len(spellings.texts)])  # inside a word that belongs to no phrase
        tokens, gains = self._worked_out(ROOT, {" "})
        self._outside[tokens] = gains

    def step(self, state: int, token: int) -> tuple[int, float]:
        """The state behind a token, and the bonus for it in nats."""
        return self._automaton.walk(state, self._spellings.texts[token])

    def gains(self, state: int) -> np.ndarray:
        """The bonus for each token behind a state, [vocabulary] float64: that of `step`."""
        if state not in self._near:
            self._near[state] = self._worked_out(state, self._automaton.expected(state))
        tokens, gains = self._near[state]
        row = self._outside - self._automaton.pending(state)
        row[self._spellings.ends_word] += self._automaton.complete(state)
        row[self._spellings.silent] = 0.0
        row[tokens] = gains
        return row

    def final(self, state: int) -> float:
        """The bonus for the end of the utterance: that of unfinished phrases is taken back."""
        return self._automaton.finished(state)

    def _worked_out(self, state: int, expected: set[str]) -> tuple[np.ndarray, np.ndarray]:
        """The tokens that go on from a state with one of the expected characters and stay on the way to the end of the
        token or of a phrase, and the bonus for each. Any other leaves the way, as it would from any state.
        """
        automaton, spellings = self._automaton, self._spellings
        found = set(spellings.with_inner_space)
        waiting = [(automaton.next(state, first), first, *spellings.range(first)) for first in expected]
        while waiting:
            reached, prefix, low, high = waiting.pop()
            if automaton.complete(reached):
                found.update(spellings.order[low:high])
            elif low < high:
                longer = spellings.behind(prefix, low, high)
                found.update(spellings.order[low:longer])
                for character in automaton.expected(reached):
                    following, text = automaton.next(reached, character), prefix + character
                    waiting.append((following, text, *spellings.range(text, longer, high)))
        tokens = sorted(found)
        return np.asarray(tokens, np.int64), np.asarray([self.step(state, token)[1] for token in tokens])


@dataclass(frozen=True)
class Hotwords:
    """A list of phrases as a recogniser's searches take it: in the tokens of its first pass, and of a second pass that
    decodes by itself.
    """

    first: TokenBonus
    second: TokenBonus | None = None


def token_bonus(
    phrases: Sequence[Phrase], weight: float, tokenizer: Tokenizer, spellings: Spellings, *, normalizes: bool
) -> TokenBonus:
    """The bonus over a tokenizer's tokens; InputError for a phrase in letters that they do not have, or a weight that
    is none.

    Args:
        phrases: of the list.
        weight: nats a letter, times each phrase's own weight.
        tokenizer: whose `spellings` these are.
        spellings: of its tokens.
        normalizes: whether a phrase is also expected as it is said, its numbers in words.
    """
    if not 0 <= weight < math.inf:
        raise InputError(f"hotwords: expected a weight of 0 or more, got {weight}")
    spelled: dict[str, float] = {}
    for phrase in phrases:
        for text in _texts(phrase, tokenizer, spellings, normalizes):
            spelled[text] = max(spelled.get(text, 0.0), weight * phrase.weight)
    return TokenBonus(PhraseAutomaton((text, value) for text, value in spelled.items() if value), spellings)


def _texts(phrase: Phrase, tokenizer: Tokenizer, spellings: Spellings, normalizes: bool) -> set[str]:
    """How a tokenizer's tokens spell a phrase, in lower case."""
    if isinstance(tokenizer, CharacterTokenizer):
        return {lower(tokenizer.decode(tokenizer.encode(phrase.text, where=phrase.where)))}
    written = [lower(phrase.text)]
    if normalizes:
        from tflite_asr.text.normalization import normalized

        written.append(lower(normalized(phrase.text)))
    known = spellings.letters | {" "}
    found = {text for text in written if text and known.issuperset(text)}
    if not found:
        lacking = ", ".join(map(repr, sorted(set(written[0]) - known)))
        raise InputError(
            f"{phrase.where or 'hotwords'}: {lacking} not among the letters of the model's subwords; spell the phrase "
            f"without"
        )
    return found
