"""Files that hold state, mutated: they are refused by an InputError or read, and what is refused changes nothing."""

import json

import numpy as np
import soundfile

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError
from tflite_asr.personalization import calibration
from tflite_asr.personalization.resources import Limits, Resources, ResourceTrace, read_trace
from tflite_asr.personalization.rounds import Rounds, RoundsTrainer
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.recognizer import Recognizer

TRACE_ROW = {
    "seconds": 0,
    "available_ram_mb": 900,
    "battery_percent": 50,
    "charging": False,
    "temperature_c": 30,
    "cores": 4,
}
WRONG = (None, True, -1, 1.5, 10**30, "", "x", [], {}, [[]], float("nan"))


def mutated_bytes(content: bytes, random: np.random.Generator) -> bytes:
    """Cut, lengthened, with bytes changed, with a part of it twice or gone."""
    how, at = random.integers(5), int(random.integers(len(content)))
    size = int(random.integers(1, 40))
    if how == 0:
        return content[:at]
    if how == 1:
        return content + random.bytes(size)
    if how == 2:
        return content[:at] + random.bytes(size) + content[at + size :]
    if how == 3:
        return content[:at] + content[at : at + size] + content[at:]
    return content[:at] + content[at + size :]


def mutated_json(value, random: np.random.Generator):
    """One value somewhere of another kind, or missing."""
    value = json.loads(json.dumps(value))
    here = value
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = keys[int(random.integers(len(keys)))]
        if isinstance(here[key], dict | list) and here[key] and random.random() < 0.7:
            here = here[key]
            continue
        if random.random() < 0.3:
            del here[key]
        else:
            here[key] = WRONG[int(random.integers(len(WRONG)))]
        return value


def refused(read) -> bool:
    """Whether an InputError said no; anything else that is raised fails the test."""
    try:
        read()
    except InputError as error:
        assert str(error) and "\n" not in str(error)
        return True
    return False


def same(left, right):
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def test_checkpoints(recognizer, utterances, tmp_path):
    path = tmp_path / "c.safetensors"
    recognizer.train_step(utterances(2, 0), learning_rate=0.01)
    recognizer.save(path)
    recognizer.train_step(utterances(2, 1), learning_rate=0.01)
    whole, state, random = path.read_bytes(), recognizer.state(), np.random.default_rng(0)
    for _ in range(60):
        # more of them in the header, which is where names, shapes and dtypes are
        head = int.from_bytes(whole[:8], "little") + 8 if random.random() < 0.6 else len(whole)
        content = mutated_bytes(whole[:head], random) + whole[head:]
        path.write_bytes(content)
        if content == whole:
            continue
        assert refused(lambda: recognizer.restore(path)), "a changed checkpoint was taken"
        assert same(recognizer.state(), state), "a refused checkpoint changed the weights"


def test_descriptions(tiny_tflite, tmp_path):
    tflite = tmp_path / "tiny.tflite"
    tflite.symlink_to(tiny_tflite)
    description, random = tiny_tflite.with_suffix(".json").read_text(), np.random.default_rng(1)
    for turn in range(150):
        if turn % 2:
            content = mutated_bytes(description.encode(), random)
        else:
            content = json.dumps(mutated_json(json.loads(description), random)).encode()
        tflite.with_suffix(".json").write_bytes(content)
        refused(lambda: read_artifact(tflite))


def test_traces(tmp_path):
    path, random = tmp_path / "t.jsonl", np.random.default_rng(2)
    rows = [TRACE_ROW | {"seconds": second} for second in range(4)]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(content)
    assert len(read_trace(path)) == 4
    for turn in range(300):
        if turn % 2:
            path.write_bytes(mutated_bytes(content.encode(), random))
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in mutated_json(rows, random)))
        refused(lambda: read_trace(path))


def test_window_and_stream_state(recognizer, utterances, tmp_path):
    window = Window(tmp_path / "window", recognizer.artifact, 6, 10**6)
    trainer = StreamTrainer(recognizer, window, Settings(augment=False), Pace(window=6, stride=4, steps=2))
    for example in utterances(5, 0):
        trainer.hear(example)
    saved, random = tmp_path / "training.safetensors", np.random.default_rng(3)
    trainer.save(saved)
    state, whole = recognizer.state(), saved.read_bytes()
    for _ in range(30):
        content = mutated_bytes(whole[:4000], random) + whole[4000:]
        saved.write_bytes(content)
        assert content == whole or refused(lambda: trainer.restore(saved))
        assert same(recognizer.state(), state)
    file = sorted((tmp_path / "window").iterdir())[0]
    whole, number = file.read_bytes(), window.numbers[0]
    for _ in range(60):
        file.write_bytes(content := mutated_bytes(whole, random))
        assert content == whole or refused(lambda: window.read(number))


def test_rounds(tiny_tflite, tmp_path, monkeypatch, tmp_path_factory):
    """A bad rounds.json is refused, and weights and checkpoint stay."""
    rows = []
    for index in range(6):
        soundfile.write(tmp_path / f"{index}.wav", 0.1 * np.random.default_rng(index).standard_normal(8000), 16000)
        rows.append({"audio": f"{index}.wav", "text": "ONE", "speaker": "ann"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recognizer = Recognizer.load(tiny_tflite)
    speech = read_manifest(tmp_path / "m.jsonl")
    corpus, folder = Corpus(speech, recognizer.config), tmp_path / "out"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    path = calibration.default_path(recognizer.artifact, 1)
    measured = calibration.calibrated(recognizer.artifact, path, 1, lambda line: None)
    source = ResourceTrace([Resources(0, 9000, 90, True, 30, 4)])

    def trainer():
        settings = Settings(epochs=1, epoch_steps=1, augment=False)
        return RoundsTrainer(recognizer, (corpus, speech), settings, Rounds(2, source, Limits(), measured), folder)

    assert trainer().run() == "all 2 rounds done"
    whole, random = json.loads((folder / "rounds.json").read_text()), np.random.default_rng(4)
    state, kept = recognizer.state(), (folder / "checkpoint.safetensors").read_bytes()
    for turn in range(80):
        content = json.dumps(whole).encode()
        content = mutated_bytes(content, random) if turn % 2 else json.dumps(mutated_json(whole, random)).encode()
        (folder / "rounds.json").write_bytes(content)
        if refused(lambda: trainer().run()):
            assert same(recognizer.state(), state) and (folder / "checkpoint.safetensors").read_bytes() == kept
        recognizer.set_state(state)  # a round fewer is a state to go on from
        (folder / "checkpoint.safetensors").write_bytes(kept)
