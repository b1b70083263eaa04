"""Beam search over the label probabilities of a CTC head, and what they say of a given text."""

from collections.abc import Sequence

import numpy as np

from tflite_asr.runtime.decoder import Hypothesis


def prefix_beam_search(log_probabilities: np.ndarray, beam: int, max_tokens: int) -> list[Hypothesis]:
    """CTC prefix search with a beam (Graves et al. 2006, section 3.2; Hannun et al. 2014, algorithm 1, without a
    language model): alignments of one label sequence add up.

    Args:
        log_probabilities: [steps, vocabulary] of one utterance, label 0 being blank.
        beam: label sequences kept after each step.
        max_tokens: longest label sequence.

    Returns:
        at most `beam` hypotheses, best first.
    """
    # of each label sequence: log probability of the alignments that end in blank, and of those that end in its last
    # label
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    for row in log_probabilities.astype(np.float64):
        # a label outside the best `beam` leads to no sequence that would be kept
        labels = [int(label) for label in np.argsort(-row[1:])[:beam] + 1]
        found: dict[tuple[int, ...], tuple[float, float]] = {}
        for tokens, (blank, last) in kept.items():
            total = float(np.logaddexp(blank, last))
            _add(found, tokens, total + row[0], last + row[tokens[-1]] if tokens else -np.inf)
            if len(tokens) == max_tokens:
                continue
            for label in labels:
                # the same label once more needs a blank between
                before = blank if tokens and label == tokens[-1] else total
                _add(found, (*tokens, label), -np.inf, before + row[label])
        best = sorted(found, key=lambda tokens: -np.logaddexp(*found[tokens]))[:beam]
        kept = {tokens: found[tokens] for tokens in best}
    return [Hypothesis(tokens, float(np.logaddexp(*scores))) for tokens, scores in kept.items()]


def best_path(log_probabilities: np.ndarray) -> list[int]:
    """The best label of each step [steps, vocabulary], repeats joined, then blanks dropped."""
    path = np.argmax(log_probabilities, axis=1).tolist()
    return [label for label, before in zip(path, [0, *path]) if label not in (before, 0)]


def label_log_probability(log_probabilities: np.ndarray, tokens: Sequence[int]) -> float:
    """log P(tokens | utterance), in nats: the sum over all CTC paths that spell them (Graves et al. 2006, section 4.1);
    minus infinity where no path has room for them.

    Args:
        log_probabilities: [steps, vocabulary] of one utterance, label 0 being blank.
        tokens: labels, none of them blank.
    """
    extended = np.zeros([2 * len(tokens) + 1], np.int64)  # a blank before, between and after the labels
    extended[1::2] = tokens
    skips = np.zeros([len(extended)], bool)  # from the label before, over the blank between: not to the same label
    skips[1::2] = extended[1::2] != np.append(0, extended[1:-2:2])
    ends = np.full([len(extended) + 2], -np.inf)
    ends[1] = 0.0  # before the first step: in front of the first blank
    for row in log_probabilities.astype(np.float64):
        stays, next_one = ends[2:], ends[1:-1]
        skipped = np.where(skips, ends[:-2], -np.inf)
        ends[2:] = np.logaddexp(np.logaddexp(stays, next_one), skipped) + row[extended]
        ends[:2] = -np.inf
    return float(np.logaddexp.reduce(ends[-2:] if len(tokens) else ends[-1:]))


def _add(found: dict[tuple[int, ...], tuple[float, float]], tokens: tuple[int, ...], blank: float, last: float) -> None:
    known_blank, known_last = found.get(tokens, (-np.inf, -np.inf))
    found[tokens] = float(np.logaddexp(known_blank, blank)), float(np.logaddexp(known_last, last))
