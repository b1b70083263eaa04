import dataclasses

import numpy as np
import pytest

from tflite_asr.data.frames import in_time, played_faster
from tflite_asr.personalization.replay import read_replay
from tflite_asr.runtime.decoder import BeamSearch, Hypothesis
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.views import likeliest, views
from tflite_asr.runtime.voice import OwnerVoice


@pytest.mark.parametrize(
    ("hypotheses", "expected", "searched"),
    [
        ([(-0.1, 0.0), (-0.05, 0.0)], 0, 1),  # sure of it
        ([(-3.0, 0.0), (-2.0, 0.0), (-4.0, 0.0)], 1, 3),
        ([(-3.0, 0.0), (-2.0, 0.0), (-2.5, 1.0)], 2, 3),  # a hotword in it
        ([(-3.0, 5.0), (-0.1, 0.0), (-0.05, 9.0)], 0, 2),
        ([(-np.inf, 0.0), (-np.inf, 0.0)], 0, 2),
    ],
)
def test_the_likeliest_hypothesis_wins_and_no_more_is_searched_than_matters(hypotheses, expected, searched):
    made = [Hypothesis((number,), *scores) for number, scores in enumerate(hypotheses)]
    rest = iter(made)
    assert likeliest(rest) is made[expected]
    assert list(rest) == made[searched:]


@pytest.fixture(scope="module")
def replay():
    return read_replay(Recognizer.load("commands").artifact)[:12]


def test_views_are_slower_and_faster_lower_and_higher(replay):
    recognizer = Recognizer.load("commands")
    config, frames = recognizer.config, replay[0].frames
    found = list(views(frames, config))
    length = len(frames)
    assert [len(view) for view in found] == [length, round(length / 0.9), round(length / 1.11), length, length]
    np.testing.assert_array_equal(found[0], frames)
    for factor, moved, lower in zip((0.9, 1.11), found[1:3], found[3:]):
        np.testing.assert_array_equal(moved, in_time(frames, factor))
        np.testing.assert_allclose(in_time(lower, factor), played_faster(frames, factor, config.features), atol=1e-6)
    longest = np.zeros([config.sizes.max_frames, config.features.width], np.float32)
    length = len(longest)
    assert [len(view) for view in views(longest, config)] == [length, round(length / 1.11), length, length]


def with_owner(owner_views: bool) -> Recognizer:
    """A recogniser that takes everybody for its owner."""
    recognizer = Recognizer.load("commands")
    recognizer.artifact = dataclasses.replace(recognizer.artifact, owner_views=owner_views)
    recognizer.owner = OwnerVoice(recognizer.background, recognizer.background, -1.0)
    return recognizer


def damaged(state: dict[str, np.ndarray], name: str, noise: float) -> dict[str, np.ndarray]:
    """The state with noise on one tensor."""
    random = np.random.default_rng(3)
    return {**state, name: (state[name] + noise * random.standard_normal(state[name].shape)).astype(np.float32)}


def expected_text(recognizer: Recognizer, frames: np.ndarray) -> str:
    """What docs/signatures.md says."""
    search, found = BeamSearch(recognizer.model, recognizer.config), []
    for view in views(frames, recognizer.config):
        best = search.best(view)[0]
        found.append((best.log_probability, recognizer.tokenizer.decode(best.tokens)))
        if best.log_probability >= -0.1:
            break
    return max(found)[1]


def test_the_owner_is_recognised_in_views(replay):
    learned, owned = Recognizer.load("commands"), with_owner(True)
    for recognizer in (learned, owned):
        recognizer.set_state(damaged(recognizer.state(), "joint_output_kernel", 0.6))
    plain = [learned.transcribe_frames(example.frames, beam=True) for example in replay]
    found = [owned.transcribe_frames(example.frames, beam=True) for example in replay]
    assert found == [expected_text(learned, example.frames) for example in replay]
    assert sum(text != other for text, other in zip(found, plain)) > 3  # so it says something
    alone = with_owner(False)
    alone.set_state(learned.state())
    owned.owner = None
    for recognizer in (alone, owned):  # a model without views, and one whose owner nobody knows
        assert [recognizer.transcribe_frames(example.frames, beam=True) for example in replay] == plain


def test_others_are_recognised_in_one_view(replay):
    shipped, owned = Recognizer.load("commands"), with_owner(True)
    owned.set_state(damaged(owned.state(), "joint_output_kernel", 0.6))
    owned.owner = dataclasses.replace(owned.owner, threshold=1.0)  # nobody is the owner
    texts = [shipped.transcribe_frames(example.frames, beam=True) for example in replay]
    assert [owned.transcribe_frames(example.frames, beam=True) for example in replay] == texts
