"""Compares two-pass models: exports them without training, tunes them on development speech, measures them on test
speech."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from signatures.optimizers import OPTIMIZERS, State
from tflite_asr.audio.reading import Notices
from tflite_asr.benchmark.recognition import recognise
from tflite_asr.benchmark.traced import TracedSignatures
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance, read_manifest
from tflite_asr.errors import InputError
from tflite_asr.export import all_signatures, export
from tflite_asr.export.quantization import Quantization
from tflite_asr.models.storage import load_model
from tflite_asr.models.two_pass import TwoPass
from tflite_asr.processes import json_of, python_module
from tflite_asr.runtime.artifact import read_artifact, write_description
from tflite_asr.runtime.evaluation import examples_of
from tflite_asr.runtime.interpreter import Signatures
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.tuning import best_of, try_rescorings


@dataclass(frozen=True)
class Run:
    """A trained model, and how it is stored."""

    name: str
    folder: Path
    quantize: str  # as `Quantization.mode`


@dataclass(frozen=True)
class Speech:
    """Rows of a manifest."""

    manifest: str
    where: str | None

    def utterances(self) -> list[Utterance]:
        """The rows as utterances."""
        return read_manifest(self.manifest, self.where)


def compare(runs: Sequence[Run], development: Speech, test: Speech, folder: Path, *, keras: bool) -> list[dict]:
    """A row for each run, its file written as `folder`/NAME.tflite, without training signatures.

    Args:
        runs: of two-pass models.
        development: speech to tune rescoring on; test: speech to measure on.
        keras: whether TensorFlow recognises the test speech too, before conversion and quantisation.

    Returns:
        name, model, quantize, weight of the second pass, and what `recognition.measure` returns; with `keras`,
        keras_first_pass_wer and keras_rescored_wer.
    """
    models = [_two_pass(run.folder) for run in runs]  # all of them, before the first is exported
    heard = development.utterances()
    test.utterances()
    rows = []
    for run, model in zip(runs, models):
        path = folder / f"{run.name}.tflite"
        export(model, path, quantization=Quantization(run.quantize, "none"))
        row = {"name": run.name, "model": str(path), "quantize": run.quantize, "weight": _tune(path, heard)}
        row |= _measured(path, test)
        if keras:
            row |= _through_keras(model, path, test)
        rows.append(row)
    return rows


def _two_pass(folder: Path) -> TwoPass:
    model = load_model(folder)
    if not model.config.rescorer:
        raise InputError(f"{folder}: expected a two-pass model, {model.config.name} has no rescorer")
    return model


def _tune(path: Path, utterances: Sequence[Utterance]) -> float:
    """Find how much the second pass counts, and write it into the description; lambda."""
    recognizer = Recognizer.load(path)
    with Notices() as notices:
        corpus = Corpus(utterances, recognizer.config, notices, measuring=True)
    clips = fitting_clips(corpus, corpus.utterances, 1, 0, recognizer.config.max_seconds)
    best = best_of(try_rescorings(recognizer, examples_of(recognizer, corpus, clips))).rescoring
    write_description(dataclasses.replace(recognizer.artifact, rescoring=dataclasses.asdict(best)))
    return best.weight


def _measured(path: Path, test: Speech) -> dict:
    """The figures that `benchmark.recognition` prints."""
    speech = [test.manifest, *([test.where] if test.where else [])]
    command = python_module("tflite_asr.benchmark.recognition", str(path), *speech)
    return json_of(command, str(path))


def _through_keras(model: TwoPass, path: Path, test: Speech) -> dict:
    """The file's word error rates with the model's signatures run by TensorFlow in place of the file's."""
    signatures = TracedSignatures(all_signatures(model, State({}, OPTIMIZERS["sgd"]), []))
    # it has what recognition uses of an interpreter
    recognizer = Recognizer(read_artifact(path), cast(Signatures, signatures))
    found = recognise(recognizer, test.manifest, test.where)
    return {"keras_first_pass_wer": found.first.wer, "keras_rescored_wer": found.rescored.wer}
