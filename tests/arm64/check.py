"""What the device side computes on this machine, written to a folder.

    python check.py measure OUT SPEECH.jsonl MODEL.tflite...   features, transcripts, training by each plan, checkpoints
    python check.py restore OUT SPEECH.jsonl MODEL.tflite... --from OTHER   the checkpoints of another machine's OUT

OUT/measure.json and OUT/restore.json hold it by model. `--runtime` names the package of the interpreter.
"""

import argparse
import importlib
import json
import platform
import time
from pathlib import Path

import numpy as np

from tflite_asr.benchmark.equality import difference
from tflite_asr.data.connect import Clip
from tflite_asr.data.manifest import read_manifest
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.recognizer import Recognizer

CLIPS = 16  # fourteen words, and the first six as two strings
TRANSCRIBED = (0, 4, 10, 14, 15)  # of them: three words and the strings
STEPS = {"tiny": 20}
MOST_STEPS = 2  # of the others


class Check:
    """One model on this machine.

    Args:
        model: its .tflite.
        clips: utterances to use, those that are too long for the model left out.
        interpreter: the runtime's `Interpreter` class.
    """

    def __init__(self, model: Path, clips: list[Clip], interpreter: type):
        self._path, self._interpreter = model, interpreter
        self._recognizer = self._load()
        features, sizes = self._recognizer.config.features, self._recognizer.config.sizes
        samples = [clip.read(features.sample_rate) for clip in clips]
        fits = [len(some) <= features.samples_of(sizes.max_frames) for some in samples]
        self._transcribed = [index for index in TRANSCRIBED if fits[index]]
        self._examples = {i: self._recognizer.example(samples[i], clips[i].text) for i in range(len(clips)) if fits[i]}

    def measure(self, out: Path) -> dict:
        """Everything; the checkpoints that training leaves go to OUT/MODEL.PLAN.safetensors."""
        plans = {plan: self._train(plan, out) for plan in sorted(self._recognizer.artifact.plans)}
        return {
            "features": [example.frames.tolist() for example in self._examples.values()],
            "transcripts": self._transcripts(),
            "plans": plans,
            "split_to_whole": {plan: self._split_to_whole(plan, out) for plan in plans if plan.startswith("split")},
        }

    def restore(self, out: Path, other: Path) -> dict:
        """Losses by plan with another machine's checkpoints, saved again as OUT/MODEL.PLAN.again.safetensors."""
        losses = {}
        for plan in sorted(self._recognizer.artifact.plans):
            recognizer = self._load()
            recognizer.restore(self._checkpoint(plan, other))
            recognizer.save(self._checkpoint(f"{plan}.again", out))
            losses[plan] = self._losses(recognizer)
        return losses

    def _load(self) -> Recognizer:
        return Recognizer.load(self._path, interpreter=self._interpreter)

    def _checkpoint(self, plan: str, folder: Path) -> Path:
        return folder / f"{self._path.stem}.{plan}.safetensors"

    def _split_to_whole(self, plan: str, out: Path) -> float:
        """How far the weights after a plan in parts are from those after the same step in one call, relative."""
        whole = plan.replace("split", "train")
        return difference(self._state_of(plan, out), self._state_of(whole, out))

    def _state_of(self, plan: str, out: Path) -> dict[str, np.ndarray]:
        recognizer = self._load()
        recognizer.restore(self._checkpoint(plan, out))
        return recognizer.state()

    def _transcripts(self) -> dict[str, list[str]]:
        """By the way they were made, at each exit."""
        recognizer, found = self._recognizer, {}
        frames = [self._examples[index].frames for index in self._transcribed]
        found["beam search"] = [recognizer.transcribe_frames(some, beam=True) for some in frames]
        for exit in range(len(recognizer.artifact.exits)):
            at = f" at exit {exit}" if len(recognizer.artifact.exits) > 1 else ""
            found[f"greedy{at}"] = [recognizer.transcribe_early(some, ExitPolicy(exit=exit))[0] for some in frames]
            if "stream" in recognizer.artifact.signatures:
                found[f"by chunks{at}"] = [list(recognizer.stream([some], exit=exit))[-1] for some in frames]
        return found

    def _train(self, plan: str, out: Path) -> dict:
        recognizer, examples = self._load(), list(self._examples.values())
        size = recognizer.config.sizes.batch
        pull = 0.01 if recognizer.artifact.pulls else 0.0
        losses = []
        for step in range(STEPS.get(self._path.stem, MOST_STEPS)):
            batch = [examples[(step * size + row) % len(examples)] for row in range(size)]
            losses.append(recognizer.train_step(batch, learning_rate=1e-3, pull=pull, plan=plan).loss)
        recognizer.save(self._checkpoint(plan, out))
        return {"losses": losses, "losses_after": self._losses(recognizer)}

    def _losses(self, recognizer: Recognizer) -> list[float]:
        return recognizer.loss(list(self._examples.values())[: 2 * recognizer.config.sizes.batch]).tolist()


def speech(manifest: Path) -> list[Clip]:
    """The words of the manifest, then strings of them, `CLIPS` in all."""
    words = read_manifest(manifest)
    strings = [Clip(tuple(words[first : first + 3]), (0.1, 0.1)) for first in (0, 3)]
    clips = [*(Clip((word,)) for word in words[: CLIPS - len(strings)]), *strings]
    assert len(clips) == CLIPS, f"{manifest}: expected {CLIPS - len(strings)} utterances, got {len(words)}"
    return clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "restore"])
    parser.add_argument("out", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--from", dest="other", type=Path)
    parser.add_argument("--runtime", default="ai_edge_litert")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    interpreter = importlib.import_module(f"{args.runtime}.interpreter").Interpreter
    found, clips = {}, speech(args.speech)
    for model in args.models:
        start = time.monotonic()
        check = Check(model, clips, interpreter)
        found[model.stem] = check.measure(args.out) if args.what == "measure" else check.restore(args.out, args.other)
        print(f"{args.what} {model.stem} on {platform.machine()}: {time.monotonic() - start:.0f} s", flush=True)
    (args.out / f"{args.what}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
