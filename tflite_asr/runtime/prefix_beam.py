"""Beam search over the label probabilities of a CTC head."""

import numpy as np

from tflite_asr.runtime.decoder import Hypothesis
from tflite_asr.runtime.hotwords import TokenBonus


def prefix_beam_search(
    log_probabilities: np.ndarray, beam: int, max_tokens: int, hotwords: TokenBonus | None = None
) -> list[Hypothesis]:
    """CTC prefix search with a beam (Graves et al. 2006, section 3.2; Hannun et al. 2014, algorithm 1, without a
    language model): alignments of one label sequence add up.

    Args:
        log_probabilities: [steps, vocabulary] of one utterance, label 0 being blank.
        beam: label sequences kept after each step.
        max_tokens: longest label sequence.
        hotwords: whose bonus counts in what is kept, over the labels.

    Returns:
        at most `beam` hypotheses, best first.
    """
    # of each label sequence: log probability of the alignments that end in blank, and of those that end in its last
    # label
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    # of each label sequence that was found: the state of the hotwords' automaton, and the bonus
    walked: dict[tuple[int, ...], tuple[int, float]] = {(): (hotwords.start if hotwords else 0, 0.0)}
    for row in log_probabilities.astype(np.float64):
        # a label outside the best `beam` leads to no sequence that would be kept
        labels = _best_labels(row, beam)
        found: dict[tuple[int, ...], tuple[float, float]] = {}
        for tokens, (blank, last) in kept.items():
            total = float(np.logaddexp(blank, last))
            _add(found, tokens, total + row[0], last + row[tokens[-1]] if tokens else -np.inf)
            if len(tokens) == max_tokens:
                continue
            if hotwords:
                state, bonus = walked[tokens]
                labels = _best_labels(row + hotwords.gains(state), beam)
                for label in labels:
                    following, gain = hotwords.step(state, label)
                    walked[(*tokens, label)] = following, bonus + gain
            for label in labels:
                # the same label once more needs a blank between
                before = blank if tokens and label == tokens[-1] else total
                _add(found, (*tokens, label), -np.inf, before + row[label])
        if hotwords:
            best = sorted(found, key=lambda tokens: -np.logaddexp(*found[tokens]) - walked[tokens][1])[:beam]
            walked = {tokens: walked[tokens] for tokens in best}
        else:
            best = sorted(found, key=lambda tokens: -np.logaddexp(*found[tokens]))[:beam]
        kept = {tokens: found[tokens] for tokens in best}
    likelihoods = {tokens: float(np.logaddexp(*scores)) for tokens, scores in kept.items()}
    if not hotwords:
        return [Hypothesis(tokens, likelihood) for tokens, likelihood in likelihoods.items()]
    ended = [
        Hypothesis(tokens, likelihoods[tokens], bonus + hotwords.final(state))
        for tokens, (state, bonus) in walked.items()
    ]
    return sorted(ended, key=lambda hypothesis: -hypothesis.score)


def _best_labels(scores: np.ndarray, beam: int) -> list[int]:
    """The labels of the highest scores [vocabulary], best first, without blank."""
    return [int(label) for label in np.argsort(-scores[1:])[:beam] + 1]


def best_path(log_probabilities: np.ndarray) -> list[int]:
    """The best label of each step [steps, vocabulary], repeats joined, then blanks dropped."""
    path = np.argmax(log_probabilities, axis=1).tolist()
    return [label for label, before in zip(path, [0, *path]) if label not in (before, 0)]


def _add(found: dict[tuple[int, ...], tuple[float, float]], tokens: tuple[int, ...], blank: float, last: float) -> None:
    known_blank, known_last = found.get(tokens, (-np.inf, -np.inf))
    found[tokens] = float(np.logaddexp(known_blank, blank)), float(np.logaddexp(known_last, last))
