"""The background of speaker verification: a mixture over the speech of many voices, made where the base is trained."""

import json
from pathlib import Path

import numpy as np

from tflite_asr.data.corpus import Corpus
from tflite_asr.errors import InputError
from tflite_asr.files import read_text, write_whole
from tflite_asr.ops.log_mel import log_mel
from tflite_asr.runtime.voice import Mixture, cepstra

FILE = "voices.json"  # in a trained model's folder
COMPONENTS = 64
MOST_UTTERANCES = 1500
LEAST_VARIANCE = 1e-3  # of a cepstrum; frames vary by about 1


def background_voices(corpus: Corpus, seed: int) -> Mixture | None:
    """A mixture of recorded voices, of synthetic ones where there are no others; None when there is too little speech."""
    if corpus.config.features.kind != "log_mel":
        return None  # cepstra are those of log-mel frames
    from sklearn.mixture import GaussianMixture

    recorded = [u for u in corpus.utterances if not u.extra.get("synthetic")] or corpus.utterances
    chosen = np.random.default_rng([seed, 5]).permutation(len(recorded))[:MOST_UTTERANCES]
    features = corpus.config.features
    pieces = []
    for index in chosen:
        samples = corpus.samples(recorded[index])
        whole = features.frames_of(len(samples))
        if whole:
            samples = samples[: features.samples_of(whole)]
            pieces.append(cepstra(log_mel(samples[None], features).numpy()[0]))
    x = np.concatenate(pieces) if pieces else np.zeros([0, 1], np.float32)
    if len(x) < 20 * COMPONENTS:
        return None
    mixture = GaussianMixture(COMPONENTS, covariance_type="diag", reg_covar=LEAST_VARIANCE, max_iter=50, random_state=seed)
    mixture.fit(x)
    return Mixture(mixture.weights_, mixture.means_, mixture.covariances_)


def write_voices(folder: Path, corpus: Corpus, seed: int) -> None:
    """Make the background of a training corpus and store it in the model's folder, unless it is there."""
    path = folder / FILE
    if path.exists():
        return
    mixture = background_voices(corpus, seed)
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
        raise InputError(f"{path}: not a mixture of voices ({error}); delete it and train on, it is made anew") from None
