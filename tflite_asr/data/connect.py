"""Connected speech from single words: clips of one speaker, joined with short pauses between them."""

import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflite_asr.audio.reading import Notify
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError


@dataclass(frozen=True)
class Clip:
    """Utterances of one speaker joined to one, with silent gaps between them."""

    parts: tuple[Utterance, ...]
    gaps_seconds: tuple[float, ...] = ()  # one fewer than there are parts

    @property
    def text(self) -> str:
        """The text, with each run of white space replaced by one space."""
        return " ".join(" ".join(part.text for part in self.parts).split())

    @property
    def speaker(self) -> str | None:
        """The speaker of all parts."""
        return self.parts[0].speaker

    @property
    def where(self) -> str:
        """The places of the parts in their manifests."""
        return ", ".join(part.where for part in self.parts)

    @property
    def duration_seconds(self) -> float | None:
        """The duration with gaps; None if a part's duration is unknown."""
        durations = [part.duration_seconds for part in self.parts]
        known = [duration for duration in durations if duration is not None]
        return sum(known) + sum(self.gaps_seconds) if len(known) == len(durations) else None

    def read(self, sample_rate: int, max_seconds: float | None = None, notify: Notify | None = None) -> np.ndarray:
        """[samples] float32 from -1 to 1; see `read_audio` for the arguments."""
        pieces = []
        for index, part in enumerate(self.parts):
            if index:
                pieces.append(np.zeros(round(self.gaps_seconds[index - 1] * sample_rate), np.float32))
            pieces.append(part.read(sample_rate, max_seconds, notify))
        samples = np.concatenate(pieces)
        if max_seconds is not None and len(samples) > round(max_seconds * sample_rate):
            raise InputError(
                f"{self.where}: expected at most {max_seconds:g} s, the {len(self.parts)} clips joined last "
                f"{len(samples) / sample_rate:.2f} s; give the right 'duration' in the manifest or join fewer"
            )
        return samples


def connect(
    utterances: Sequence[Utterance],
    up_to: int,
    seed: int,
    max_seconds: float | None = None,
    gap_seconds: tuple[float, float] = (0.05, 0.25),
) -> list[Clip]:
    """Join the utterances of each speaker, in a shuffled order, into clips; each utterance is in exactly one.

    What a speaker's clips are depends on the seed and on that speaker's utterances alone. Speakers come in the
    order of their first utterance; utterances without a speaker count as one speaker a manifest folder.

    Args:
        utterances: what to join.
        up_to: most utterances of a clip; their number is drawn uniformly from 1 to this. With 1 every utterance
            is its own clip, in the order given.
        seed: of the order, the numbers and the gaps.
        max_seconds: how long a clip of several utterances may get where the durations are known.
        gap_seconds: the range the gap between two utterances is drawn from.
    """
    if up_to < 1:
        raise InputError(f"connect: expected to join up to 1 or more utterances, got {up_to}")
    if up_to == 1:
        return [Clip((utterance,)) for utterance in utterances]
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        groups[_voice(utterance)].append(utterance)
    clips = []
    for voice, group in groups.items():
        random = np.random.default_rng([seed, zlib.crc32(voice.encode())])
        shuffled = [group[index] for index in random.permutation(len(group))]
        clips += _strings(shuffled, up_to, random, max_seconds, gap_seconds)
    return clips


def _voice(utterance: Utterance) -> str:
    """Equal for utterances that may be joined."""
    if utterance.speaker is not None:
        return f"speaker {utterance.speaker}"
    manifest, _, _ = utterance.where.rpartition(":")
    return f"folder {Path(manifest).parent}"


def _strings(
    utterances: list[Utterance],
    up_to: int,
    random: np.random.Generator,
    max_seconds: float | None,
    gap_seconds: tuple[float, float],
) -> list[Clip]:
    clips: list[Clip] = []
    wanted = 0  # utterances that the last clip is to have
    for utterance in utterances:
        if clips and len(clips[-1].parts) < wanted:
            gap = float(random.uniform(*gap_seconds))
            longer = Clip((*clips[-1].parts, utterance), (*clips[-1].gaps_seconds, gap))
            if max_seconds is None or (longer.duration_seconds or 0.0) <= max_seconds:
                clips[-1] = longer
                continue
        clips.append(Clip((utterance,)))
        wanted = int(random.integers(1, up_to, endpoint=True))
    return clips
