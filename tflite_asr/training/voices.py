"""The background of speaker verification: a mixture over the speech of many voices, from the training of the base
model."""

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from tflite_asr.data.corpus import Corpus
from tflite_asr.errors import InputError
from tflite_asr.files import read_text, write_whole
from tflite_asr.layers.front_ends import make_front_end
from tflite_asr.runtime.voice import CEPSTRA, Mixture, Projection, cepstra

FILE = "voices.json"  # in a trained model's folder
COMPONENTS = 64
MOST_UTTERANCES = 1500
LEAST_VARIANCE = 1e-3  # of a cepstrum; frames vary by about 1


def background_voices(
    corpus: Corpus, seed: int, weights: Mapping[str, np.ndarray] = MappingProxyType({})
) -> Mixture | None:
    """A mixture of recorded voices, of synthetic ones where there are no others; None when there is too little speech.

    Args:
        corpus: the training speech.
        seed: of which utterances are taken, and of the mixture.
        weights: of the front end by tree path, if it has any; with random ones there is no mixture.
    """
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    front_end = _front_end(corpus, weights)
    if front_end is None:
        return None
    recorded = [u for u in corpus.utterances if not u.extra.get("synthetic")] or corpus.utterances
    chosen = np.random.default_rng([seed, 5]).permutation(len(recorded))[:MOST_UTTERANCES]
    found = (front_end(corpus.samples(recorded[index])) for index in chosen)
    pieces = [frames for frames in found if len(frames)]
    projection = None
    if corpus.config.features.kind == "log_mel":
        pieces = list(map(cepstra, pieces))
    if sum(map(len, pieces)) < 20 * COMPONENTS:
        return None
    x = np.concatenate(pieces)
    if corpus.config.features.kind != "log_mel":
        components = PCA(min(CEPSTRA, x.shape[1]), whiten=True, svd_solver="covariance_eigh").fit(x)
        axes, variances = np.asarray(components.components_), np.asarray(components.explained_variance_)
        projection = Projection(np.asarray(components.mean_), axes.T / np.sqrt(variances))
        x = (x - projection.center) @ projection.matrix
    mixture = GaussianMixture(
        COMPONENTS, covariance_type="diag", reg_covar=LEAST_VARIANCE, max_iter=50, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 50 rounds do for telling voices apart
        mixture.fit(x)
    fitted = (mixture.weights_, mixture.means_, mixture.covariances_)
    component_weights, means, variances = map(np.asarray, fitted)
    return Mixture(component_weights, means, variances, projection)


def _front_end(corpus: Corpus, weights: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray] | None:
    """A function from samples [n] to whole frames [time, width], with the silence on both sides that
    `Recognizer.features` adds; None if its weights are not known.
    """
    config, features = corpus.config, corpus.config.features
    layer = make_front_end(features)
    least = features.samples_of(1)
    layer(tf.zeros([1, least]), tf.constant([least]))
    for weight in layer.weights:
        name = weight.name.removesuffix(":0")
        if name not in weights:
            return None
        weight.assign(weights[name])

    def frames_of(samples: np.ndarray) -> np.ndarray:
        samples = np.pad(samples, config.edge_samples)
        whole = features.frames_of(len(samples))
        if not whole:
            return np.zeros([0, features.width], np.float32)
        samples = samples[: features.samples_of(whole)]
        return layer(tf.constant(samples[None]), tf.constant([len(samples)])).numpy()[0]

    return frames_of


def write_voices(
    folder: Path, corpus: Corpus, seed: int, weights: Mapping[str, np.ndarray] = MappingProxyType({})
) -> None:
    """Make the background of a training corpus and store it in the model's folder, unless it is there; arguments as of
    `background_voices`."""
    path = folder / FILE
    if path.exists():
        return
    mixture = background_voices(corpus, seed, weights)
    if mixture is not None:
        write_whole(path, (json.dumps(mixture.to_json()) + "\n").encode())


def read_voices(folder: Path) -> Mixture | None:
    """The background in a model's folder; None when it has none."""
    path = folder / FILE
    if not path.exists():
        return None
    text = read_text(path, "a mixture of voices")
    try:
        return Mixture.from_json(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a mixture of voices ({error}); delete it and train on, it is made anew"
        ) from None
