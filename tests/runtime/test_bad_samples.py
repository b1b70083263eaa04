"""What `Recognizer` says to samples and frames that are not what it takes."""

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.recognizer import Recognizer

GOOD = (0.1 * np.sin(np.arange(4000))).astype(np.float32)
SAMPLES = [
    ((GOOD * 32768).astype(np.int16), "got int16; divide by 32768"),
    ((GOOD * 2**31).astype(np.int32), "got int32; divide by 2147483648"),
    ((GOOD * 128 + 128).astype(np.uint8), "got uint8; subtract 128 and divide by 128"),
    (GOOD > 0, "got bool"),
    (np.stack([GOOD, GOOD], 1), r"one channel \[n\], got shape \[4000, 2\]"),
    (np.float32(0.5), r"got shape \[\]"),
    (np.append(GOOD, np.nan), "1 are NaN or infinite"),
    (GOOD * 32768, "got a peak of 3276"),
    (GOOD[:0], "got no samples"),
    ([], "got no samples"),
    ((GOOD * 32768).astype(int).tolist(), "got int64"),
    ([[0.1], [0.1, 0.2]], "lists of different lengths"),
    (None, "got NoneType"),
    ("mine.wav", "got str"),
]


@pytest.fixture(scope="module")
def recognizer(tiny_tflite):
    return Recognizer.load(tiny_tflite)


@pytest.mark.parametrize(("samples", "message"), SAMPLES)
def test_samples(recognizer, samples, message):
    for call in (recognizer.features, recognizer.transcribe, lambda samples: recognizer.example(samples, "HI")):
        with pytest.raises(InputError, match=message) as caught:
            call(samples)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [list, tuple, np.float64, np.float16, np.float32])
def test_floats_of_every_kind_are_taken(recognizer, kind):
    samples = kind(GOOD.tolist()) if kind in (list, tuple) else GOOD.astype(kind)
    np.testing.assert_allclose(recognizer.features(samples), recognizer.features(GOOD), atol=0.1)


def test_silence_is_heard_but_not_learned(recognizer):
    recognizer.transcribe(np.zeros(4000, np.float32))
    with pytest.raises(InputError, match="u7: expected speech, got silence"):
        recognizer.example(np.zeros(4000, np.float32), "HI", "u7")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frames: frames.astype(np.int16), "got int16"),
        (lambda frames: frames[:, :5], r"frames \[time, 40\], got shape"),
        (lambda frames: frames[0], r"frames \[time, 40\], got shape"),
        (lambda frames: np.where(frames == frames.max(), np.inf, frames), "finite"),
        (lambda frames: None, "NoneType"),
    ],
)
def test_frames(recognizer, change, message):
    bad = change(recognizer.features(GOOD))
    tokens = np.asarray([1], np.int32)
    calls = [
        lambda: recognizer.hears_owner(bad),
        lambda: recognizer.transcribe_frames(bad),
        lambda: recognizer.transcribe_early(bad, ExitPolicy(0)),
        lambda: list(recognizer.stream([bad])),
    ]
    if bad is not None and message != "finite":  # a training step skips what is not finite
        calls += [
            lambda: recognizer.loss([Example(bad, tokens, "A")]),
            lambda: recognizer.train_step([Example(bad, tokens, "A")]),
        ]
    before = recognizer.state()
    for call in calls:
        with pytest.raises(InputError, match=message):
            call()
    for name, value in recognizer.state().items():
        np.testing.assert_array_equal(before[name], value)
