import numpy as np
import pytest

from tflite_asr.runtime import listener
from tflite_asr.runtime.listener import listen, stream_frames


def noise(samples, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def cut(samples, sizes):
    pieces, first = [], 0
    for size in sizes:
        pieces.append(samples[first : first + size])
        first += size
    return [*pieces, samples[first:]]


@pytest.mark.parametrize("length", [300, 4000, 4240, 11111, 15000])
@pytest.mark.parametrize("sizes", [(), (1, 160, 7000), (1600,) * 6])
def test_frames_of_chunks_are_those_of_the_whole(recognizer, length, sizes):
    samples = noise(length)
    got = list(stream_frames(recognizer, cut(samples, sizes)))
    assert all(len(part) == recognizer.config.sizes.stream_frames for part in got[:-1])
    expected = recognizer.features(samples)
    np.testing.assert_allclose(np.concatenate(got)[: len(expected)], expected, atol=1e-4)
    # a recording shorter than a window ends in some more silence
    assert abs(sum(map(len, got)) - len(expected)) <= 3


def test_the_text_is_that_of_the_stream(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    samples = noise(12000)
    *_, expected = recognizer.stream([recognizer.features(samples)])
    heard = list(listen(recognizer, cut(samples, (1000, 2000, 3000))))
    assert expected and heard[-1] == (expected, True)
    assert [over for _, over in heard[:-1]] == [False] * (len(heard) - 1)


def test_with_hotwords_an_utterance_is_heard_again_by_beam_search(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    samples = noise(12000)
    hotwords = recognizer.hotwords(["ONE"], 40.0)
    *_, (said, over) = listen(recognizer, cut(samples, (1000, 2000, 3000)), hotwords=hotwords)
    assert over and "ONE" in said.split()
    frames = np.concatenate(list(stream_frames(recognizer, [samples])))
    assert said == recognizer.transcribe_frames(frames, beam=True, hotwords=hotwords)


def test_with_hotwords_an_utterance_is_over_before_it_is_too_long_for_the_model(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    most = recognizer.config.features.samples_of(recognizer.config.sizes.max_frames)
    chunks = cut(noise(3 * most), (4000,) * (3 * most // 4000))
    heard = list(listen(recognizer, chunks, hotwords=recognizer.hotwords(["ONE"])))
    assert sum(over for _, over in heard) >= 3


def test_a_pause_ends_an_utterance(recognizer, monkeypatch):
    """What is recognised is given: a word, a pause of five chunks, another word."""
    said = iter(["", "ONE", "ONE", "ONE", "ONE", "ONE", "ONE", "TWO", "TWO"])
    monkeypatch.setattr(type(recognizer), "stream", lambda self, frames: (next(said) for _ in frames))
    size = recognizer.config.sizes.stream_frames
    frames = (np.zeros([size, 40], np.float32) for _ in range(9))
    monkeypatch.setattr(listener, "stream_frames", lambda recognizer, chunks: frames)
    ended = [text for text, over in listen(recognizer, []) if over]
    assert ended == ["ONE", "TWO"]
