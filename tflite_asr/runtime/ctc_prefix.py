"""Prefix scores of a CTC head, for a joint search with a decoder."""

from collections.abc import Iterable

import numpy as np

KEPT = 40  # labels at the end of a sequence; a text that grows may change there: "2" is spelled TWO, "21" TWENTY ONE
_Paths = tuple[np.ndarray, np.ndarray, float]


class CTCPrefixScores:
    """log P(the utterance's labels begin with a prefix), for prefixes that grow label by label (Watanabe et al. 2017,
    doi 10.1109/JSTSP.2017.2763455, section IV-B; Graves 2008, section 7.5).

    What was computed of a prefix is kept for those that continue it, so that a label costs a few operations on arrays
    of one value a step.

    Args:
        log_probabilities: [steps, vocabulary] of one utterance, label 0 being blank.
    """

    def __init__(self, log_probabilities: np.ndarray):
        self._labels = log_probabilities.astype(np.float64)
        self._blanks = np.append(0.0, np.cumsum(self._labels[:, 0]))
        self._sums: dict[int, np.ndarray] = {}
        nothing = np.full([len(self._labels) + 1], -np.inf)
        # of each prefix: log probabilities [steps + 1] of the paths that spell it within the first steps, those that
        # end in its last label and those that end in a blank, and that of the prefix
        self._known: dict[tuple[int, ...], _Paths] = {(): (nothing, self._blanks, 0.0)}

    def prefix(self, labels: tuple[int, ...]) -> float:
        """The log probability of all label sequences that begin with this one, in nats."""
        return self._of(labels)[2]

    def whole(self, labels: tuple[int, ...]) -> float:
        """The log probability of just this label sequence, in nats."""
        last, blank, _ = self._of(labels)
        return float(np.logaddexp(last[-1], blank[-1]))

    def keep(self, sequences: Iterable[tuple[int, ...]]) -> None:
        """Drop what was computed of all prefixes but the last ones of these sequences; it is computed again if need
        be."""
        last = {labels[:count] for labels in sequences for count in range(max(0, len(labels) - KEPT), len(labels) + 1)}
        self._known = {labels: self._known[labels] for labels in {(), *last} if labels in self._known}

    def _of(self, labels: tuple[int, ...]) -> _Paths:
        known = next(count for count in range(len(labels), -1, -1) if labels[:count] in self._known)
        for count in range(known + 1, len(labels) + 1):
            self._known[labels[:count]] = self._continued(labels[: count - 1], labels[count - 1])
        return self._known[labels]

    def _continued(self, before: tuple[int, ...], label: int) -> _Paths:
        """The values of a prefix with one more label.

        With y the probabilities of the labels by step, the paths that end in the label are g[t] = y[t] (g[t - 1] +
        h[t - 1]), h being the paths of the prefix before. Divided by the product of y up to t, that is a sum.
        """
        last, blank, _ = self._known[before]
        # the same label once more needs a blank between
        reached = (blank if before and before[-1] == label else np.logaddexp(last, blank))[:-1]
        if label not in self._sums:
            self._sums[label] = np.append(0.0, np.cumsum(self._labels[:, label]))
        ends, blanks = self._along(self._sums[label], reached), self._blanks
        return ends, self._along(blanks, ends[:-1]), float(np.logaddexp.reduce(reached + self._labels[:, label]))

    @staticmethod
    def _along(sums: np.ndarray, entering: np.ndarray) -> np.ndarray:
        """Paths [steps + 1] that stay on a label, whose cumulative log probabilities are `sums` [steps + 1], once they
        have entered it from `entering` [steps]."""
        return np.append(-np.inf, sums[1:] + np.logaddexp.accumulate(entering - sums[:-1]))
