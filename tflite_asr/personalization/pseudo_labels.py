"""Pseudo-labels: transcripts by the recogniser for speech without transcripts.

Kept are those that it is sure of, word by word, and hears again in augmented views of the recording (consistency, Sohn
et al. 2020, arXiv 2001.07685; on devices, arXiv 2401.12085 and 2306.12015). Of a text that is heard far more often than
others not all are kept: what is recognised best would otherwise crowd out what is to be learned.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.data.connect import Clip
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.text.normalization import normalized

MOST_OF_A_TEXT = 1.5  # as against the median text, at least LEAST_OF_A_TEXT of each
LEAST_OF_A_TEXT = 3


@dataclass(frozen=True)
class PseudoLabelRules:
    """Which pseudo-labels are kept."""

    confidence: float = 0.95  # of every word, calibrated
    views: int = 6  # that must all be heard as the recording is


@dataclass(frozen=True)
class PseudoLabels:
    """Utterances with recognised texts, and the reasons why others were left out."""

    utterances: tuple[Utterance, ...]
    refused: dict[str, int]  # count by reason


def pseudo_labels(
    recognizer: Recognizer,
    corpus: Corpus,
    utterances: Sequence[Utterance],
    rules: PseudoLabelRules,
    random: np.random.Generator,
) -> PseudoLabels:
    """Transcribe utterances of a corpus, and keep those that are reliable enough to train on.

    Args:
        recognizer: hears them with the weights that it has.
        corpus: holds their audio.
        utterances: without transcripts; what stands there as text is not looked at.
        rules: what is kept.
        random: of the views.
    """
    from tqdm import tqdm

    heard, refused = [], Counter()
    for utterance in tqdm(utterances, desc="labelling", unit="utterance", disable=None, leave=False):
        words = recognizer.words(corpus.samples(utterance))
        text = " ".join(word.text for word in words)
        if not text:
            refused["nothing heard"] += 1
        elif min(word.confidence for word in words) < rules.confidence:
            refused["not confident"] += 1
        elif agreement(recognizer, corpus, utterance, text, rules.views, random) < 1:
            refused["views disagree"] += 1
        else:
            heard.append(dataclasses.replace(utterance, text=text))
    kept = _evenly(heard)
    if len(heard) > len(kept):
        refused["text heard often"] = len(heard) - len(kept)
    return PseudoLabels(tuple(kept), dict(refused))


def agreement(
    recognizer: Recognizer,
    corpus: Corpus,
    utterance: Utterance,
    text: str,
    views: int,
    random: np.random.Generator,
) -> float:
    """The share of augmented views of an utterance in which its text is heard; views are augmented as training does,
    by speed, level and noise.
    """
    config, clip = recognizer.config, Clip((utterance,))
    longest = config.features.samples_of(config.sizes.max_frames)
    same = 0
    for _ in range(views):
        samples = corpus.assemble(clip, random)[:longest]
        heard = recognizer.transcribe(samples, beam=recognizer.subwords is not None)
        same += heard == text or (recognizer.normalize and normalized(heard) == normalized(text))
    return same / views


def _evenly(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The utterances, of each text the first few."""
    counts = Counter(utterance.text for utterance in utterances)
    if not counts:
        return []
    most = max(LEAST_OF_A_TEXT, int(MOST_OF_A_TEXT * np.median(list(counts.values()))))
    kept, taken = [], Counter()
    for utterance in utterances:
        taken[utterance.text] += 1
        if taken[utterance.text] <= most:
            kept.append(utterance)
    return kept
