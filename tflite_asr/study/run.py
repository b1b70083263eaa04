"""Runs a study: every speaker in every environment. Each result is written when done and not computed again."""

import dataclasses
import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tflite_asr.data.alignment import report_left_out
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError
from tflite_asr.figure import check_drawing
from tflite_asr.files import read_bytes, read_text, write_whole
from tflite_asr.personalization.resources import read_trace
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.study.engines import run_tasks
from tflite_asr.study.plan import Study
from tflite_asr.study.speakers import read_speakers, without_words
from tflite_asr.study.subsets import Subset, subsets
from tflite_asr.study.summary import summarize
from tflite_asr.study.task import MOBILE, SERVER, Task
from tflite_asr.study.worker import run_task


def run_study(study: Study, folder: Path, *, engine: str = "local", workers: int = 1) -> dict:
    """Write `study.json`, `speakers/NAME/RUN.json`, `summary.json` and `report.html` into `folder`.

    A folder with the same study is resumed; InputError if it holds another study.

    Returns:
        the summary.
    """
    from tflite_asr.study.report import write_study_report

    check_drawing()
    tasks = _tasks(study)
    _check_window(study)
    if study.phone.trace:
        read_trace(Path(study.phone.trace))
    folder.mkdir(parents=True, exist_ok=True)
    _check_same(folder, study)
    paths = {id(task): _path(folder, task) for task in tasks}
    waiting = [task for task in tasks if not paths[id(task)].exists()]
    finished = len(tasks) - len(waiting)
    if finished:
        print(f"{finished} of {len(tasks)} runs are done already", file=sys.stderr)

    def done(task: Task, result: dict) -> None:
        nonlocal finished
        path = _path(folder, task)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, _json(result))
        finished += 1
        report_left_out(result["left_out"], len(task.speaker.adapt) - result["too_short"])
        change = f"WER {result['wer_before']:.1%} to {result['wer_after']:.1%}"
        print(f"{finished}/{len(tasks)} {task.speaker.name} {task.run}: {change}", file=sys.stderr, flush=True)

    if waiting:
        run_tasks(engine, run_task, waiting, workers, done)
    results = [_read(path) for path in paths.values()]
    summary = {**summarize(results, study.seed, study.phone.ram_mb), "engine": engine, "out": str(folder)}
    summary["report"] = str(folder / "report.html")
    write_whole(folder / "summary.json", _json(summary))
    write_study_report(folder, summary, results)
    return summary


def _tasks(study: Study) -> list[Task]:
    parts = _parts(study)
    speakers = read_speakers(study.speech, study.test_share)
    if study.hold_out_words:
        speakers = [without_words(speaker, study.hold_out_words, study.seed) for speaker in speakers]
    others = ()
    if study.others:
        others = tuple(read_manifest(study.others.manifest, study.others.where or None))
        own = {speaker.name for speaker in speakers}
        others = tuple(row for row in others if row.speaker not in own)
        if not others:
            raise InputError(f"{study.others.manifest}: expected speech of others than the study's speakers")
    tasks = []
    for speaker in speakers:
        if study.environment != SERVER:
            tasks.append(Task(study, speaker, MOBILE, others=others))
            tasks += [Task(study, speaker, f"{MOBILE}_{part.name}", part, others) for part in parts]
        if study.environment != MOBILE:
            tasks.append(Task(study, speaker, SERVER, others=others))
    return tasks


def _parts(study: Study) -> list[Subset]:
    """The subsets that are compared with training everything."""
    found = subsets([group["name"] for group in read_artifact(study.model).groups]) if study.subsets else []
    if study.adapters:
        found.append(_small_update(study.adapters))
    return found


def _small_update(path: str) -> Subset:
    """Adapters or low-rank updates, which train alone in an export of their own."""
    artifact = read_artifact(path)
    groups = tuple(dict.fromkeys(row["group"] for row in artifact.trainable))
    if artifact.low_rank:
        return Subset("lora", groups, model=path)
    if not groups or not all(group.startswith("adapter") for group in groups):
        raise InputError(
            f"{path}: expected a model whose adapters or low-rank updates train and nothing else, as `export "
            f"--adapters N` or `export --lora RANK` makes it; there train {', '.join(groups) or 'none'}"
        )
    return Subset("adapters", groups, model=path)


def _check_window(study: Study) -> None:
    batch = read_artifact(study.model).config.sizes.batch
    if study.environment != SERVER and study.mobile.window < batch:
        raise InputError(f"study: mobile.window: expected a batch of {batch} or more, got {study.mobile.window}")


def _check_same(folder: Path, study: Study) -> None:
    """Store the study's settings; results of different settings must not be mixed.

    The settings of an environment may change while the folder has none of its results.
    """
    settings: dict[str, Any] = dataclasses.asdict(study) | {"tflite_sha256": read_artifact(study.model).tflite_sha256}
    for speech in (*settings["speech"], *([settings["others"]] if settings["others"] else [])):
        speech["sha256"] = hashlib.sha256(read_bytes(speech.pop("manifest"), "a manifest")).hexdigest()
    # where the file is; and more runs are of the same study
    for free in ("model", "environment", "subsets", "adapters"):
        del settings[free]
    path, settings = folder / "study.json", json.loads(_json(settings))
    noted = {"hold_out_words": 0.0, **_read(path)} if path.exists() else settings  # a folder may be older than these
    for name in sorted(noted.keys() | settings.keys()):
        if noted.get(name) == settings.get(name):
            continue
        results = f"speakers/*/{SERVER if name == 'server' else MOBILE}*.json"
        if name not in ("server", "mobile", "phone"):
            raise InputError(
                f"{path}: another study is in this folder, begun with another {name} ({_short(noted.get(name))}, now "
                f"{_short(settings.get(name))}); give another --out"
            )
        if any(folder.glob(results)):
            raise InputError(
                f"{path}: other settings of {name} than this folder's {results}; give another --out or remove those"
            )
    write_whole(path, _json(settings))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 160 else text[:157] + "..."


def _path(folder: Path, task: Task) -> Path:
    return (
        folder
        / "speakers"
        / quote(task.speaker.name, safe=" ", errors="surrogatepass").replace(".", "%2E")
        / f"{task.run}.json"
    )


def _read(path: Path) -> dict:
    text = read_text(path, "a result")
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: not a result ({error}); remove it to run it again") from None


def _json(value: dict) -> bytes:
    return (json.dumps(_finite(value), indent=1, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    """The same with None for NaN and infinity, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
