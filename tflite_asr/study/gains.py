"""The change of WER by trained layer groups in a study: the table `gains` of NAME.json, for the selector."""

import json
from pathlib import Path

from tflite_asr.errors import InputError
from tflite_asr.files import read_text
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.study.subsets import subsets
from tflite_asr.study.task import MOBILE


def read_gains(folder: Path, artifact: Artifact) -> list[dict]:
    """The table of a finished study of this artifact: groups, relative_wer_reduction and speakers a row.

    Runs in which groups learned as a whole count: all of them (`mobile`) and the subsets but that of biases.
    """
    study, summary = (_read(folder / name) for name in ("study.json", "summary.json"))
    if study.get("tflite_sha256") != artifact.tflite_sha256:
        raise InputError(f"{folder}: a study of another artifact than {artifact.path}")
    names = [group["name"] for group in artifact.groups]
    learned = {MOBILE: names}
    learned |= {f"{MOBILE}_{part.name}": list(part.groups) for part in subsets(names) if not part.bias_only}
    gains = [
        {"groups": groups, **{key: summary[run][key] for key in ("relative_wer_reduction", "speakers")}}
        for run, groups in learned.items()
        if run in summary
    ]
    if not gains:
        raise InputError(f"{folder}: expected runs under mobile conditions; `simulate --subsets` makes them")
    return gains


def _read(path: Path) -> dict:
    text = read_text(path, "a result of `tflite-asr simulate`")
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: expected a result of `tflite-asr simulate`, cannot read it: {error}") from None
