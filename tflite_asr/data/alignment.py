"""Checks whether a text can be aligned with an utterance; training leaves out those that cannot.

A CTC path spends an encoder step on each label, and one more, on a blank, between two equal ones (Graves et al. 2006,
section 3.1): labels + equal neighbours <= steps, at every exit with a CTC head. A transducer's lattice takes any number
of labels, but its decoders stop after `max_symbols_per_step` labels at a step: labels <= steps * max_symbols_per_step,
or what is learned could never be written down. A second pass that trains stops after `tokens_per_second`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError

if TYPE_CHECKING:
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.data.manifest import Utterance
    from tflite_asr.runtime.batch import Example

MOST_NAMED = 10  # rows that a notice lists


def steps_at_exits(config: ModelConfig, frames: int) -> list[int]:
    """Encoder steps of `frames` feature frames at each exit, the last one included."""
    return [config.encoder.steps_after(group, frames) for group in (*config.exits, config.encoder.layers - 1)]


def ctc_problem(tokens: np.ndarray, frames: int, config: ModelConfig) -> str | None:
    """Why no CTC path spells tokens [labels] within `frames` frames at some exit; None when every CTC exit has one."""
    if config.trains_second_pass:
        return None
    steps = steps_at_exits(config, frames)
    if config.is_transducer:
        steps = steps[:-1]  # the last exit is a transducer's
    needed = len(tokens) + int(np.count_nonzero(tokens[1:] == tokens[:-1]))
    if not steps or needed <= min(steps):
        return None
    return f"{len(tokens)} characters need {needed} encoder steps, the audio has {min(steps)}"


def alignment_problem(tokens: np.ndarray, frames: int, config: ModelConfig) -> str | None:
    """Why tokens [labels] cannot be learned from `frames` frames, the silence at the end among them; None when they
    can.
    """
    if problem := ctc_problem(tokens, frames, config):
        return problem
    if config.trains_second_pass:
        most = config.most_subwords(frames)
        return f"{len(tokens)} subwords, the decoder stops after {most} for this audio" if len(tokens) > most else None
    most = steps_at_exits(config, frames)[-1] * config.sizes.max_symbols_per_step
    if config.is_transducer and len(tokens) > most:
        return f"{len(tokens)} characters, its encoder steps allow {most}"
    return None


def check_alignable(examples: Sequence["Example"], config: ModelConfig) -> None:
    """InputError for an utterance that no CTC path spells: it has no gradient, and no loss that could be averaged."""
    for example in examples:
        if problem := ctc_problem(example.tokens, len(example.frames), config):
            raise InputError(f"{example.where or 'utterance'}: cannot be aligned: {problem}; leave it out")


def alignable(
    corpus: "Corpus", utterances: Sequence["Utterance"], *, tail: bool = True
) -> tuple[list["Utterance"], list[str]]:
    """Split utterances into those to learn from and those that cannot be aligned.

    Args:
        corpus: holds the audio.
        utterances: some of the corpus.
        tail: whether the silence that `Recognizer.features` adds is there to be aligned; training on a server does
            without.

    Returns:
        the utterances that can be aligned, in their order, and for each of the others its row and the reason.
    """
    kept, left_out = [], []
    for utterance in utterances:
        config, samples = corpus.config, len(corpus.samples(utterance))
        tokens = corpus.tokenizer.encode(utterance.text)
        problem = alignment_problem(tokens, utterance_frames(config, samples), config)
        if not tail:
            problem = problem or ctc_problem(tokens, utterance_frames(config, samples, tail=False), config)
        if problem:
            left_out.append(f"{utterance.where} ({problem})")
        else:
            kept.append(utterance)
    return kept, left_out


def utterance_frames(config: ModelConfig, samples: int, *, tail: bool = True) -> int:
    """Feature frames of an utterance of `samples` samples."""
    frames = config.features.frames_of(samples) + (config.tail_frames if tail else 0)
    return min(frames, config.sizes.max_frames)


def report_left_out(left_out: Sequence[str], total: int) -> None:
    """Name utterances that cannot be aligned, on standard error; InputError when none of `total` is left."""
    if not left_out:
        return
    if len(left_out) == total:
        raise InputError(
            f"expected utterances whose text fits into their audio, none of {total} does: {listed(left_out)}"
        )
    print(
        f"notice: {len(left_out)} of {total} utterances left out, their text does not fit into their audio: "
        f"{listed(left_out)}",
        file=sys.stderr,
    )


def listed(rows: Sequence[str]) -> str:
    """The first rows of a list, and how many more there are."""
    more = len(rows) - MOST_NAMED
    return ", ".join(rows[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
