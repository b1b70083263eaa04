import numpy as np
import pytest
from scipy.fft import dct
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from tflite_asr.errors import InputError
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.voice import CEPSTRA, KEYS, RELEVANCE, Mixture, OwnerVoice, cepstra, learn_owner


def mixture(seed, components=5, width=3):
    random = np.random.default_rng(seed)
    weights = random.uniform(0.5, 1, components)
    return Mixture(
        weights / weights.sum(), random.normal(0, 2, [components, width]), random.uniform(0.3, 2, [components, width])
    )


def speech(voice, seed, count=8):
    """Utterances [time, 40] of a voice: loud frames with the voice's spectrum among quiet ones."""
    spectrum = np.random.default_rng(voice).normal(0, 0.5, 40)
    random = np.random.default_rng([voice, seed])
    made = []
    for _ in range(count):
        frames = random.normal(0, 0.6, [60, 40]) + spectrum
        frames[::3] -= 4
        made.append(frames.astype(np.float32))
    return made


@pytest.fixture(scope="module")
def background():
    frames = np.concatenate([cepstra(x) for voice in range(30, 50) for x in speech(voice, 0, 3)])
    fitted = GaussianMixture(8, covariance_type="diag", random_state=0).fit(frames)
    return Mixture(fitted.weights_, fitted.means_, fitted.covariances_)


def test_log_components_are_weighted_gaussians():
    some = mixture(0)
    x = np.random.default_rng(1).normal(0, 2, [7, 3])
    expected = [
        [
            np.log(w) + multivariate_normal(m, np.diag(v)).logpdf(row)
            for w, m, v in zip(some.weights, some.means, some.variances)
        ]
        for row in x
    ]
    np.testing.assert_allclose(some.log_components(x), expected, rtol=1e-9, atol=1e-9)
    assert some.log_likelihood(x) == pytest.approx(np.mean(np.log(np.sum(np.exp(expected), axis=1))), rel=1e-9)


def test_adapted_means_are_the_papers():
    some = mixture(2)
    x = np.random.default_rng(3).normal(1, 2, [40, 3])
    adapted = some.adapted(x)
    for k in range(5):
        shares = []
        for row in x:
            densities = [
                w * multivariate_normal(m, np.diag(v)).pdf(row)
                for w, m, v in zip(some.weights, some.means, some.variances)
            ]
            shares.append(densities[k] / sum(densities))
        count, mean = sum(shares), np.average(x, axis=0, weights=shares)
        alpha = count / (count + RELEVANCE)
        np.testing.assert_allclose(adapted.means[k], alpha * mean + (1 - alpha) * some.means[k], rtol=1e-5, atol=1e-6)
    assert adapted.weights is some.weights and adapted.variances is some.variances


def test_cepstra_are_the_cosine_transform_of_the_loud_frames():
    (frames,) = speech(0, 0, 1)
    loud = np.delete(frames, np.arange(0, 60, 3), axis=0)
    np.testing.assert_allclose(
        cepstra(frames), dct(loud, norm="ortho", axis=1)[:, :CEPSTRA] / [np.sqrt(0.5), *[1] * 23], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("frames", [np.zeros([1, 40], np.float32), np.full([9, 40], -3, np.float32)])
def test_cepstra_of_one_frame_and_of_silence_are_finite(frames):
    found = cepstra(frames)
    assert len(found) and np.isfinite(found).all()


def test_the_owner_is_told_from_others(background):
    owner = learn_owner(background, speech(1, 0, 10))
    assert sum(owner.speaks(frames) for frames in speech(1, 1, 20)) >= 19
    assert sum(owner.speaks(frames) for voice in range(2, 12) for frames in speech(voice, 1, 4)) <= 2


def test_too_few_utterances_are_no_voice(background):
    assert learn_owner(background, speech(1, 0, 4)) is None


def test_an_owner_like_everybody_is_no_voice():
    random = np.random.default_rng(0)
    frames = [random.standard_normal([60, 40]) for _ in range(5)]
    many = np.concatenate([cepstra(random.standard_normal([60, 40])) for _ in range(500)])
    everybody = Mixture(np.ones(1), many.mean(axis=0, keepdims=True), many.var(axis=0, keepdims=True))
    assert learn_owner(everybody, frames) is None  # moved means fit what they were moved by and nothing else


def test_json_keeps_the_mixture(background):
    again = Mixture.from_json(background.to_json())
    for name in KEYS:
        np.testing.assert_allclose(getattr(again, name), getattr(background, name), atol=1e-4)
    assert again.projection is None


@pytest.fixture
def owned(tiny_tflite, background):
    """A recogniser of the tiny file that came with a background."""
    recognizer = Recognizer.load(tiny_tflite)
    recognizer.background = background
    recognizer.owner = learn_owner(background, speech(1, 0, 10))
    return recognizer


def test_another_voice_is_heard_with_the_shipped_weights(owned, talkative, tiny_tflite):
    owned.set_state(talkative(owned.state()))
    mine, other = speech(1, 1, 1)[0], speech(5, 1, 1)[0]
    assert owned.hears_owner(mine) and not owned.hears_owner(other)
    shipped = Recognizer.load(tiny_tflite)
    learned = Recognizer.load(tiny_tflite)
    learned.set_state(owned.state())
    for beam in (False, True):
        assert owned.transcribe_frames(mine, beam=beam) == learned.transcribe_frames(mine, beam=beam)
        assert owned.transcribe_frames(other, beam=beam) == shipped.transcribe_frames(other, beam=beam)
    assert learned.transcribe_frames(other) != shipped.transcribe_frames(other)  # so the above says something


def test_the_owners_voice_is_in_the_checkpoint(owned, tiny_tflite, background, tmp_path):
    path = tmp_path / "c.safetensors"
    owned.save(path)
    again = Recognizer.load(tiny_tflite)
    again.background = background
    again.restore(path)
    assert isinstance(again.owner, OwnerVoice) and again.owner.threshold == np.float32(owned.owner.threshold)
    np.testing.assert_array_equal(again.owner.owner.means, owned.owner.owner.means.astype(np.float32))
    owned.owner = None
    owned.save(path)
    again.restore(path)
    assert again.owner is None


def test_a_voice_without_a_background_to_compare_with_is_refused(owned, tiny_tflite, tmp_path):
    path = tmp_path / "c.safetensors"
    owned.save(path)
    with pytest.raises(InputError, match="unexpected tensors.*owner_voice"):
        Recognizer.load(tiny_tflite).restore(path)
