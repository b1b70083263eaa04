import numpy as np
import pytest

from tflite_asr.audio.endpoints import EndpointRules
from tflite_asr.audio.segments import Sound
from tflite_asr.errors import InputError
from tflite_asr.runtime.listener import endpointer_for, listen, stream_frames


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


class Loud:
    """A detector for samples that are noise or nothing: loud ones are speech."""

    step_seconds = 0.01

    def __init__(self):
        self.waiting = np.zeros(0, np.float32)

    def process(self, samples):
        self.waiting = np.concatenate([self.waiting, samples])
        steps = len(self.waiting) // 160
        rows, self.waiting = self.waiting[: steps * 160].reshape(steps, 160), self.waiting[steps * 160 :]
        return np.max(np.abs(rows), axis=1) - 0.01

    def reset(self):
        self.waiting = np.zeros(0, np.float32)


def heard_in(recognizer, chunks, hotwords=None, words=True, **rules):
    endpointer = endpointer_for(recognizer.config, EndpointRules(**rules), Loud())
    return list(listen(recognizer, chunks, endpointer=endpointer, hotwords=hotwords, words=words))


def silence(seconds):
    return np.zeros(round(seconds * 16000), np.float32)


def test_an_utterance_is_streamed_and_then_transcribed_whole(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    samples = noise(12000)
    *_, streamed = recognizer.stream([recognizer.features(samples)])
    heard = heard_in(recognizer, cut(samples, (1000, 2000, 3000)))
    assert streamed and heard[-2].text == streamed and not any(one.over for one in heard[:-1])
    assert heard[-1].text == recognizer.transcribe(samples) and heard[-1].endpoint.rule == "end"


def test_the_text_so_far_is_told_when_it_is_another_one(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    samples = noise(16000)
    heard = [one.text for one in heard_in(recognizer, cut(samples, (1000,) * 16), words=False)]
    so_far = list(dict.fromkeys(recognizer.stream(stream_frames(recognizer, [samples]))))
    assert heard[:-1] == [text for text in so_far if text] and len(so_far) > 2


@pytest.mark.parametrize("size", [160, 100000])
def test_a_pause_ends_an_utterance(recognizer, talkative, size):
    recognizer.set_state(talkative(recognizer.state()))
    words = noise(5600), noise(4800, seed=1)
    samples = np.concatenate([silence(0.5), words[0], silence(1.5), words[1], silence(0.1)])
    chunks = [samples[first : first + size] for first in range(0, len(samples), size)]
    ended = [one for one in heard_in(recognizer, [*chunks, silence(0)], trailing_silence_seconds=0.2) if one.over]
    expected = recognizer.transcribe(np.concatenate([silence(0.4), words[0], silence(0.1)]))
    assert ended[0].text == expected and ended[0].endpoint.rule == "trailing_silence"
    assert (ended[0].endpoint.start_seconds, ended[0].endpoint.end_seconds) == pytest.approx((0.1, 0.95))
    last = recognizer.transcribe(np.concatenate([silence(0.4), words[1], silence(0.1)]))
    assert [one.text for one in ended] == [text for text in (expected, last) if text]


def test_speech_without_a_pause_is_cut_to_what_the_model_takes(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    ended = [one for one in heard_in(recognizer, cut(noise(48000), (1600,) * 20)) if one.over]
    assert len(ended) > 3 and {one.endpoint.rule for one in ended[:-1]} == {"longest"}
    assert all(before.endpoint.end_seconds == after.endpoint.start_seconds for before, after in zip(ended, ended[1:]))
    # the cut is at a quiet step, so an utterance is at least half as long as it may be
    assert all(one.endpoint.end_seconds - one.endpoint.start_seconds > 0.4 for one in ended[:-1])


def test_a_model_that_does_not_stream_is_heard_utterance_by_utterance(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    del recognizer.artifact.signatures["stream"]
    samples = noise(8000)
    (heard,) = heard_in(recognizer, [samples])
    assert heard.over and heard.text == recognizer.transcribe(samples)


def test_hotwords_count_when_an_utterance_is_over(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    samples, hotwords = noise(12000), recognizer.hotwords(["ONE"], 40.0)
    *_, last = heard_in(recognizer, cut(samples, (1000, 2000, 3000)), hotwords=hotwords)
    assert last.over and "ONE" in last.text.split()
    assert last.text == recognizer.transcribe(samples, hotwords=hotwords)


def test_words_of_an_utterance_that_is_over_have_times_in_the_stream(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    samples = np.concatenate([silence(2.0), noise(8000)])
    *so_far, last = heard_in(recognizer, cut(samples, (1000,) * 30))
    alone = recognizer.words(samples[25600:])  # 0.4 s before speech
    assert last.endpoint.start_seconds == pytest.approx(1.6)
    assert [word.text for word in last.words] == [word.text for word in alone] == last.text.split() != []
    assert [word.confidence for word in last.words] == [word.confidence for word in alone]
    for name in ("start_seconds", "end_seconds"):
        found, expected = ([getattr(word, name) for word in words] for words in (last.words, alone))
        assert found == pytest.approx([1.6 + seconds for seconds in expected])
    assert so_far and not any(one.words for one in so_far)
    *_, without = heard_in(recognizer, [samples], words=False)
    assert without.text == last.text and not without.words


@pytest.mark.parametrize("rate", [16001, 48000])
def test_a_chunk_of_another_rate_is_refused(recognizer, rate):
    heard = listen(recognizer, [Sound(noise(800), 16000), noise(800), Sound(noise(800), rate)])
    with pytest.raises(InputError, match=f"^chunk: expected samples at 16000 Hz, got {rate} Hz; resample them$"):
        list(heard)


@pytest.mark.parametrize("chunks", [[], [np.zeros(0, np.float32)] * 3, [silence(7.0)]])
def test_nothing_and_silence_are_no_utterance(recognizer, chunks):
    assert heard_in(recognizer, chunks) == [] and list(listen(recognizer, chunks)) == []


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (np.zeros([800, 2], np.float32), "chunk: expected samples of one channel"),
        (np.zeros(800, np.int16), "chunk: expected samples from -1 to 1 as float32, got int16; divide by 32768"),
        (np.full(800, np.nan, np.float32), "chunk: expected finite samples, 800 are NaN"),
    ],
)
def test_chunks_that_are_no_samples_are_refused(recognizer, chunk, message):
    with pytest.raises(InputError, match=message):
        heard_in(recognizer, [noise(800), chunk])
