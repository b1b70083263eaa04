"""Matches phrases in a text by an automaton over letters (Aho and Corasick 1975, doi 10.1145/360825.360855)."""

import unicodedata
from collections import deque
from collections.abc import Iterable

ROOT = 0


class PhraseAutomaton:
    """A prefix automaton over the characters of words, which gives a bonus for each letter of a phrase on the way.

    A phrase is found where its words stand as whole words: it begins at the start or behind a space and ends before a
    character that does not continue a word, or at the end. The bonus of a text is

        sum of b(phrase) over the phrases that were found before its last character
        + sum of b(prefix) over the prefixes of phrases that it ends with,

    where b(phrase) is its weight times its letters, b(prefix) the highest weight of a phrase that begins so times the
    letters of the prefix. So what was given for a phrase that is left unfinished is taken back, at the end of an
    utterance by `finished`. States are numbers; `start` is the one before an utterance.

    Args:
        phrases: (words in lower case with one space between them, weight in nats a letter), each once.
    """

    def __init__(self, phrases: Iterable[tuple[str, float]]):
        self._children: list[dict[str, int]] = [{}]
        self._fails: list[int] = [ROOT]
        self._pending: list[float] = [0.0]  # of the prefixes that a text which is here ends with
        self._complete: list[float] = [0.0]  # of the phrases that end here, if the word ends as well
        self.start = self._add("", 0.0)
        for text, weight in phrases:
            self._complete[self._add(text, weight)] += weight * letters(text)
        self._link()

    def __len__(self) -> int:
        return len(self._children)

    def _add(self, text: str, weight: float) -> int:
        """The state behind a phrase, whose prefixes become states as well."""
        state = ROOT
        for place, character in enumerate(f" {text}"):
            following = self._children[state].get(character)
            if following is None:
                following = self._children[state][character] = len(self._children)
                self._children.append({})
                self._fails.append(ROOT)
                self._pending.append(0.0)
                self._complete.append(0.0)
            state = following
            self._pending[state] = max(self._pending[state], weight * letters(text[:place]))
        return state

    def _link(self) -> None:
        """Compute the failure link of each state, the longest proper suffix that is a state too, and its pending bonus;
        breadth first.
        """
        waiting = deque(self._children[ROOT].values())
        while waiting:
            state = waiting.popleft()
            for character, child in self._children[state].items():
                suffix = self.next(self._fails[state], character)
                self._fails[child] = suffix
                self._pending[child] += self._pending[suffix]
                self._complete[child] += self._complete[suffix]
                waiting.append(child)

    def next(self, state: int, character: str) -> int:
        """The state behind one more character, in lower case."""
        while True:
            following = self._children[state].get(character)
            if following is not None:
                return following
            if state == ROOT:
                return ROOT
            state = self._fails[state]

    def expected(self, state: int) -> set[str]:
        """The characters that continue a phrase that has begun."""
        found: set[str] = set()
        while state != ROOT:
            found.update(self._children[state])
            state = self._fails[state]
        return found

    def walk(self, state: int, text: str) -> tuple[int, float]:
        """The state behind more text, in lower case, and the bonus for it in nats."""
        bonus = -self._pending[state]
        for character in text:
            if not continues_word(character):
                bonus += self._complete[state]
            state = self.next(state, character)
        return state, bonus + self._pending[state]

    def pending(self, state: int) -> float:
        """The bonus that is taken back when no phrase continues."""
        return self._pending[state]

    def complete(self, state: int) -> float:
        """The weights of the phrases that end here, if the word ends as well."""
        return self._complete[state]

    def finished(self, state: int) -> float:
        """The bonus for the end of the utterance: that of unfinished phrases is taken back."""
        return self._complete[state] - self._pending[state]


def letters(text: str) -> int:
    """The characters without spaces, which a bonus is given for."""
    return len(text) - text.count(" ")


def continues_word(character: str) -> bool:
    """Whether it continues a word: letters, marks and digits."""
    return unicodedata.category(character)[0] in "LMN"


def lower(text: str) -> str:
    """A text in lower case, each character for itself and as one."""
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)
