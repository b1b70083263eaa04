"""Utterances joined into clips that fit the model, by the duration of the audio, not by the manifest's."""

import dataclasses
from collections.abc import Sequence

from tflite_asr.data.alignment import alignment_problem, utterance_frames
from tflite_asr.data.connect import Clip, connect
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance


def fitting_clips(
    corpus: Corpus, utterances: Sequence[Utterance], up_to: int, seed: int, max_seconds: float
) -> list[Clip]:
    """`connect`, with the utterances of a clip that does not fit the model, or cannot be aligned, each on its own.

    Args:
        corpus: holds the utterances' audio.
        utterances, up_to, seed, max_seconds: see `connect`.
    """
    rate = corpus.config.features.sample_rate
    measured = [dataclasses.replace(u, duration_seconds=len(corpus.samples(u)) / rate) for u in utterances]
    clips: list[Clip] = []
    for clip in connect(measured, up_to, seed, max_seconds):
        clips += [clip] if len(clip.parts) == 1 or _fits(corpus, clip) else [Clip((part,)) for part in clip.parts]
    return clips


def _fits(corpus: Corpus, clip: Clip) -> bool:
    """Whether the model takes a joined text, and its audio has room for it."""
    config, tokens = corpus.config, corpus.tokenizer.encode(clip.text)
    rate = config.features.sample_rate
    samples = sum(len(corpus.samples(part)) for part in clip.parts) + sum(int(gap * rate) for gap in clip.gaps_seconds)
    frames = utterance_frames(config, samples)
    return len(tokens) <= config.max_labels and alignment_problem(tokens, frames, config) is None
