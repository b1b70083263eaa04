"""The speakers of a study: what each adapts to and is tested on."""

import dataclasses
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.data.manifest import Utterance, read_manifest
from tflite_asr.errors import InputError
from tflite_asr.study.plan import Speech
from tflite_asr.text.normalization import normalized

ADAPT, TEST = "pers_adapt", "pers_test"  # values of a manifest's field `split`


@dataclass(frozen=True)
class Speaker:
    """One person's speech; adaptation and test are disjoint."""

    name: str
    adapt: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    connect: int
    unsaid: frozenset[str] = (
        frozenset()
    )  # normalized words that no utterance of `adapt` has, of those that were held out


def read_speakers(speech: Sequence[Speech], test_share: float) -> list[Speaker]:
    """Every speaker of the manifests, in the order of their first rows.

    The rows of split `pers_adapt` and `pers_test` are what a speaker adapts to and is tested on; a speaker who has
    neither is tested on the last `test_share` of the rows, at least one.
    """
    speakers = []
    for source in speech:
        rows: dict[str, list[Utterance]] = defaultdict(list)
        for utterance in read_manifest(source.manifest, source.where or None):
            if utterance.speaker is None:
                raise InputError(f"{utterance.where}: expected a 'speaker', a study is over speakers")
            rows[utterance.speaker].append(utterance)
        speakers += [_speaker(name, own, test_share, source.connect) for name, own in rows.items()]
    names = [speaker.name for speaker in speakers]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"expected every speaker once, {twice[0]} is in several manifests; leave rows out by `where`")
    return speakers


def words_of(utterance: Utterance) -> list[str]:
    """The words that are said, whatever their case, punctuation and spelling of numbers."""
    return normalized(utterance.text).split()


def without_words(speaker: Speaker, share: float, seed: int) -> Speaker:
    """The speaker without the adaptation utterances that have a held-out word: `share` of all words of the speaker, at
    least one, drawn by seed and by the speaker's name alone.
    """
    words = sorted({word for utterance in (*speaker.adapt, *speaker.test) for word in words_of(utterance)})
    count = min(max(1, round(share * len(words))), len(words) - 1)
    random = np.random.default_rng([seed, 17, zlib.crc32(speaker.name.encode())])
    unsaid = frozenset(words[index] for index in random.permutation(len(words))[:count])
    adapt = tuple(utterance for utterance in speaker.adapt if unsaid.isdisjoint(words_of(utterance)))
    if len(adapt) < 2:
        raise InputError(
            f"speaker {speaker.name}: without the {count} words held out of {len(words)}, expected 2 utterances or "
            f"more to adapt to, {len(adapt)} are left; hold out fewer words, or leave the speaker out by `where`"
        )
    return dataclasses.replace(speaker, adapt=adapt, unsaid=unsaid)


def in_random_order(speaker: Speaker, seed: int) -> list[Utterance]:
    """The speaker's adaptation utterances, shuffled by seed and by the speaker's name alone."""
    random = np.random.default_rng([seed, 3, zlib.crc32(speaker.name.encode())])
    return [speaker.adapt[index] for index in random.permutation(len(speaker.adapt))]


def _speaker(name: str, rows: list[Utterance], test_share: float, connect: int) -> Speaker:
    adapt = [row for row in rows if row.extra.get("split") == ADAPT]
    test = [row for row in rows if row.extra.get("split") == TEST]
    if not adapt and not test:
        count = max(1, round(test_share * len(rows)))
        adapt, test = rows[:-count], rows[-count:]
    if len(adapt) < 2 or not test:
        raise InputError(
            f"{rows[0].where}: speaker {name}: expected 2 utterances or more to adapt to and 1 or more to test on, "
            f"got {len(adapt)} and {len(test)}; leave the speaker out by `where`"
        )
    return Speaker(name, tuple(adapt), tuple(test), connect)
