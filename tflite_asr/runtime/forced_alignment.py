"""Which encoder step each token of a given text belongs to: the likeliest path through the lattice (Viterbi 1967)."""

from collections.abc import Sequence

import numpy as np


def ctc_alignment(
    log_probabilities: np.ndarray, tokens: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The likeliest CTC path that spells tokens (Graves et al. 2006, section 4.1, with max in place of sum).

    Args:
        log_probabilities: [steps, vocabulary] of one utterance, label 0 being blank.
        tokens: labels, none of them blank.

    Returns:
        first and last step of each token, [tokens] int each; None where no path has room for them.
    """
    extended = np.zeros([2 * len(tokens) + 1], np.int64)  # a blank before, between and after the labels
    extended[1::2] = tokens
    skips = np.zeros([len(extended)], bool)  # from the label before, over the blank between: not to the same label
    skips[1::2] = extended[1::2] != np.append(0, extended[1:-2:2])
    best = np.full([len(extended)], -np.inf)
    came_from = np.zeros([len(log_probabilities), len(extended)], np.int8)  # how many places the best path moved on
    for step, row in enumerate(log_probabilities.astype(np.float64)):
        if step == 0:
            moves = np.full([1, len(extended)], -np.inf)
            moves[0, :2] = 0.0
        else:
            padded = np.concatenate([[-np.inf, -np.inf], best])
            moves = np.stack([best, padded[1:-1], np.where(skips, padded[:-2], -np.inf)])
        came_from[step] = np.argmax(moves, axis=0)
        best = np.max(moves, axis=0) + row[extended]
    place = len(extended) - 1
    if len(tokens) and best[place - 1] > best[place]:
        place -= 1
    if not len(log_probabilities) or best[place] == -np.inf:
        return None
    path = np.zeros([len(log_probabilities)], np.int64)
    for step in range(len(path) - 1, -1, -1):
        path[step] = place
        place -= int(came_from[step, place])
    labels = 2 * np.arange(len(tokens)) + 1  # each is on the path
    return np.searchsorted(path, labels), np.searchsorted(path, labels, side="right") - 1


def transducer_alignment(blank: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The likeliest path through a transducer's lattice (Graves 2012, section 2.4, with max in place of sum).

    A path goes from (0, 0) to (steps - 1, tokens): with a blank to the next step, with a label to the next token at the
    same step.

    Args:
        blank: [steps, tokens + 1] log probability of blank behind so many tokens.
        label: [steps, tokens] log probability of the token that is next.

    Returns:
        the step at which each token comes out, [tokens] int.
    """
    steps, tokens = label.shape
    gained = np.concatenate([np.zeros([steps, 1]), np.cumsum(label.astype(np.float64), axis=1)], axis=1)
    entered = np.zeros([steps, tokens + 1], np.int64)  # behind how many tokens the best path came to this step
    best = np.full([tokens + 1], -np.inf)
    best[0] = 0.0
    for step in range(steps):
        # the labels of one step: the best place to enter at or before each place
        entry = best - gained[step]
        highest = np.maximum.accumulate(entry)
        entered[step] = np.maximum.accumulate(np.where(entry == highest, np.arange(tokens + 1), 0))
        best = highest + gained[step] + blank[step]
    emitted = np.zeros([tokens], np.int64)
    place = tokens
    for step in range(steps - 1, -1, -1):
        first = entered[step, place]
        emitted[first:place] = step
        place = first
    return emitted
