"""Common parts of the commands that train: loading speech, and resuming from a folder."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tflite_asr.config import ModelConfig
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.data.manifest import Utterance

RESULTS = ("history.jsonl", "resume", "weights.safetensors")  # what tells that a training was begun in a folder


def load_speech(
    config: "ModelConfig",
    training: Sequence["Utterance"],
    development: Sequence["Utterance"],
    *,
    noise: Sequence[str] = (),
    **options: bool,
) -> tuple["Corpus", "Corpus | None"]:
    """The training speech that can be aligned, and the development speech, if any. Prints what is left out.

    Args:
        config: of the model.
        training, development: rows of manifests.
        noise: files that are mixed with the training speech.
        options: of `Corpus`, for the training speech.

    Raises:
        InputError: a file cannot be read, or no utterance can be aligned.
    """
    from tflite_asr.audio.reading import Notices, read_audio
    from tflite_asr.data.alignment import alignable, report_left_out
    from tflite_asr.data.corpus import Corpus

    with Notices() as notices:
        corpus = Corpus(training, config, notices, **options)
        corpus.noise = [read_audio(file, config.features.sample_rate, notify=notices) for file in noise]
        loaded = corpus.utterances
        corpus.utterances, left_out = alignable(corpus, loaded, tail=False)
        held_out = Corpus(development, config, notices, measuring=True) if development else None
    report_left_out(left_out, len(loaded))
    return corpus, held_out


def check_resumes(folder: Path, config: "ModelConfig") -> None:
    """InputError when the folder holds another model than the one to train: it would be overwritten."""
    import json

    from tflite_asr.config import ModelConfig
    from tflite_asr.errors import InputError
    from tflite_asr.files import read_text

    path = folder / "config.json"
    if not path.exists():
        return
    try:
        found = ModelConfig.from_json(json.loads(read_text(path, "the description of a model")))
    except ValueError as error:  # InputError among them
        raise InputError(f"{path}: not the description of a model ({error}); give another --out or remove it") from None
    if found != config:
        wanted = f"{config.name} as the options make it"
        raise InputError(f"{path}: expected {wanted}, got another model; give another --out or remove it")


def finished_row(folder: Path, epochs: int) -> dict | None:
    """The last row of the history of a training that has done so many epochs; None if it has to continue."""
    import json

    from tflite_asr.errors import InputError
    from tflite_asr.files import read_text

    path = folder / "history.jsonl"
    if not path.exists():
        return None
    text = read_text(path, "the history of a training")
    try:
        rows = [json.loads(line) for line in text.splitlines()]
        return rows[-1] if rows and rows[-1]["epoch"] >= epochs else None
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: not the history of a training ({error}); remove it or give another --out") from None


@contextlib.contextmanager
def training_errors(folder: Path) -> Iterator[None]:
    """TensorFlow's words for a full disk, a folder that cannot be written, a file of resume/ that is gone or torn, as
    an InputError.
    """
    from tensorflow import errors

    from tflite_asr.errors import InputError

    try:
        yield
    except (
        errors.ResourceExhaustedError,
        errors.PermissionDeniedError,
        errors.NotFoundError,
        errors.DataLossError,
    ) as error:
        raise InputError(f"{folder}: cannot train into it: {' '.join(error.message.split())}") from None
