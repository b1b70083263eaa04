from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tflite_asr.data.connect import Clip, connect
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError

RATE = 16000


def utterance(number, speaker="ann", seconds=0.5, manifest="m.jsonl"):
    return Utterance(Path(f"{number}.wav"), f"W{number}", seconds, speaker, {}, f"{manifest}:{number + 1}")


MANY = [utterance(number, "ann" if number % 3 else "bob") for number in range(300)]


def test_one_clip_an_utterance_in_the_order_given():
    assert connect(MANY, 1, seed=0) == [Clip((one,), ()) for one in MANY]


def test_every_utterance_is_in_one_clip_of_its_speaker():
    clips = connect(MANY, 5, seed=0)
    assert Counter(part.where for clip in clips for part in clip.parts) == Counter(one.where for one in MANY)
    assert all(len({part.speaker for part in clip.parts}) == 1 for clip in clips)
    assert [part for clip in clips if clip.speaker == "ann" for part in clip.parts] != [
        one for one in MANY if one.speaker == "ann"
    ]


def test_lengths_are_uniform_and_gaps_within_their_range():
    clips = connect([utterance(number) for number in range(6000)], 5, seed=1, gap_seconds=(0.1, 0.2))
    lengths = Counter(len(clip.parts) for clip in clips)
    assert sorted(lengths) == [1, 2, 3, 4, 5]
    for count in lengths.values():
        assert count == pytest.approx(len(clips) / 5, rel=0.15)
    gaps = [gap for clip in clips for gap in clip.gaps_seconds]
    assert all(len(clip.gaps_seconds) == len(clip.parts) - 1 for clip in clips)
    assert 0.1 <= min(gaps) < 0.11 and 0.19 < max(gaps) <= 0.2


def test_the_seed_decides_and_other_speakers_do_not():
    clips = connect(MANY, 5, seed=0)
    assert clips == connect(MANY, 5, seed=0)
    assert clips != connect(MANY, 5, seed=1)
    bob = connect([one for one in MANY if one.speaker == "bob"], 5, seed=0)
    assert bob == [clip for clip in clips if clip.speaker == "bob"]


def test_clips_of_several_stay_within_the_limit():
    clips = connect([utterance(number, seconds=0.6 + number % 7 / 10) for number in range(200)], 5, 0, max_seconds=2.5)
    assert max(clip.duration_seconds for clip in clips) <= 2.5
    assert max(len(clip.parts) for clip in clips) == 3
    alone = connect([utterance(0, seconds=9.0), utterance(1, seconds=9.0)], 5, 0, max_seconds=2.5)
    assert [len(clip.parts) for clip in alone] == [1, 1]


def test_without_a_speaker_the_manifest_folder_is_the_speaker():
    ones = [utterance(number, None, manifest=f"{'ab'[number % 2]}/m.jsonl") for number in range(60)]
    clips = connect(ones, 5, seed=0)
    assert max(len(clip.parts) for clip in clips) > 1
    assert all(len({part.where[0] for part in clip.parts}) == 1 for clip in clips)
    assert clips[0].speaker is None


def test_a_clip_tells_all_its_parts():
    clip = Clip((utterance(0), utterance(4, seconds=0.25)), (0.1,))
    assert (clip.text, clip.speaker, clip.where) == ("W0 W4", "ann", "m.jsonl:1, m.jsonl:5")
    assert clip.duration_seconds == pytest.approx(0.85)
    assert Clip((utterance(0), utterance(1, seconds=None)), (0.1,)).duration_seconds is None


@pytest.fixture
def recorded(tmp_path):
    """A clip of a positive and a negative constant with 0.1 s between."""
    parts = []
    for number, value in enumerate((0.5, -0.25)):
        soundfile.write(tmp_path / f"{number}.wav", np.full(8000, value), RATE)
        parts.append(Utterance(tmp_path / f"{number}.wav", "W", None, "ann", {}, f"m.jsonl:{number + 1}"))
    return Clip(tuple(parts), (0.1,))


def test_parts_are_read_with_silence_between(recorded):
    samples = recorded.read(RATE)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, np.concatenate([np.full(8000, 0.5), np.zeros(1600), np.full(8000, -0.25)]))


def test_what_is_too_long_when_joined_is_refused(recorded):
    assert len(recorded.read(RATE, max_seconds=1.1)) == 17600
    with pytest.raises(InputError, match=r"m.jsonl:1, m.jsonl:2: expected at most 1 s, the 2 clips joined last 1.10 s"):
        recorded.read(RATE, max_seconds=1.0)


def test_a_part_that_cannot_be_read_is_named(recorded):
    recorded.parts[1].audio.unlink()
    with pytest.raises(InputError, match="^m.jsonl:2: .*1.wav"):
        recorded.read(RATE)


@pytest.mark.parametrize("up_to", [0, -1])
def test_fewer_than_one_utterance_a_clip(up_to):
    with pytest.raises(InputError, match=f"got {up_to}"):
        connect(MANY, up_to, seed=0)
