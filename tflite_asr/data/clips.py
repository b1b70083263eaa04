"""Utterances joined into clips that fit the model, by how long the audio is and not by what a manifest says."""

import dataclasses
from collections.abc import Sequence

from tflite_asr.data.connect import Clip, connect
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance


def fitting_clips(
    corpus: Corpus, utterances: Sequence[Utterance], up_to: int, seed: int, max_seconds: float
) -> list[Clip]:
    """`connect`, with the utterances of a clip that has more tokens than the model takes each on its own.

    Args:
        corpus: holds the utterances' audio.
        utterances, up_to, seed, max_seconds: see `connect`.
    """
    rate, most = corpus.config.features.sample_rate, corpus.config.sizes.max_tokens
    measured = [dataclasses.replace(u, duration_seconds=len(corpus.samples(u)) / rate) for u in utterances]
    clips: list[Clip] = []
    for clip in connect(measured, up_to, seed, max_seconds):
        fits = len(corpus.tokenizer.encode(clip.text)) <= most
        clips += [clip] if fits else [Clip((part,)) for part in clip.parts]
    return clips
