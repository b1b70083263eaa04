"""The phone: utterances in time order, a window of the newest, small batches, TFLite, interruptions."""

import dataclasses
import gc
from pathlib import Path

from tflite_asr.audio.reading import Notices
from tflite_asr.config.plans import SPLIT
from tflite_asr.data.alignment import alignment_problem
from tflite_asr.data.corpus import is_too_short
from tflite_asr.data.time_order import check_time_order
from tflite_asr.personalization.average import Epoch
from tflite_asr.personalization.replay import read_replay
from tflite_asr.personalization.resources import read_trace
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.study.phone import Phone
from tflite_asr.study.speakers import in_random_order
from tflite_asr.study.task import Task, Trained


def train(task: Task, scratch: Path) -> Trained:
    """Train as utterances come; files of the window and of interruptions are in `scratch`."""
    study, speaker, mobile, subset = task.study, task.speaker, task.study.mobile, task.subset
    recognizer = Recognizer.load(task.model)
    settings = Settings(
        learning_rate=mobile.learning_rate,
        replay=mobile.replay,
        connect=speaker.connect,
        seed=study.seed,
        group_rates=subset.rates(recognizer.groups) if subset else {},
        bias_only=bool(subset and subset.bias_only),
    )
    trace = read_trace(Path(study.phone.trace)) if study.phone.trace else []
    phone = Phone(trace, study.phone, study.phone.step_seconds)
    if mobile.order == "time":
        check_time_order(speaker.adapt)
    coming = speaker.adapt if mobile.order == "time" else in_random_order(speaker, study.seed)
    config = recognizer.config
    run = _Run(recognizer, scratch, settings, mobile, phone)
    del recognizer  # the run's, which an interruption ends
    stopped = "all utterances heard"
    left_out, too_short = [], 0
    with Notices() as notices:
        for utterance in coming:
            samples = utterance.read(config.features.sample_rate, config.max_seconds, notices)
            if is_too_short(samples, config, utterance, notices):
                too_short += 1
                continue
            example = run.trainer.recognizer.example(samples, utterance.text, utterance.where)
            if problem := alignment_problem(example.tokens, len(example.frames), config):
                left_out.append(f"{utterance.where} ({problem})")
                continue
            if not run.hear(example):
                stopped = "the phone had nothing to spare until the end of the trace"
                break
        else:
            run.finish()
    run.close()
    window = run.trainer.window
    outcome = run.trainer.outcome(stopped)
    return Trained(
        run.trainer.recognizer,
        [window.read(number).frames for number in window.numbers],
        outcome.steps,
        run.seconds,
        run.history,
        {
            "stopped_because": stopped,
            "left_out": left_out,
            "too_short": too_short,
            "plan": run.settings.plan,
            "disk_bytes_max": run.disk_bytes_max,
            "interruptions": run.interruptions,
            "waited_seconds": phone.waited_seconds,
        },
    )


class _Run:
    """A trainer that an interruption ends, with its interpreter; another one resumes from the saved state."""

    def __init__(self, recognizer: Recognizer, scratch: Path, settings: Settings, pace: Pace, phone: Phone):
        self.scratch, self.pace, self.phone = scratch, pace, phone
        self.settings = dataclasses.replace(settings, plan=SPLIT) if SPLIT in recognizer.artifact.plans else settings
        self.replay = read_replay(recognizer.artifact)
        self.history: list[dict] = []
        self.seconds = 0.0
        self.disk_bytes_max = self.interruptions = 0
        self._start(recognizer)

    def hear(self, example: Example) -> bool:
        """Train on an utterance; False if the phone runs out of resources for good."""
        return self._until_done(self.trainer.hear(example))

    def finish(self) -> bool:
        return self._until_done(self.trainer.finish())

    def close(self) -> None:
        """Record the time and disk space of the trainer."""
        self.seconds += self.trainer.kept.seconds
        self.disk_bytes_max = max(self.disk_bytes_max, self.trainer.window.disk_bytes_max)

    def _start(self, recognizer: Recognizer) -> None:
        window = Window(self.scratch / "window", recognizer.artifact, self.pace.window, self.pace.window_bytes)
        self.trainer = StreamTrainer(
            recognizer,
            window,
            self.settings,
            self.pace,
            replay=self.replay,
            may_go_on=self.phone.step,
            on_epoch=self._note,
        )

    def _until_done(self, done: bool) -> bool:
        """Resume after each interruption until the trainer is done; False if the phone runs out of resources."""
        saved = self.scratch / "training.safetensors"
        while not done:
            self.interruptions += 1
            self.trainer.save(saved)
            if not self.phone.wait():
                return False
            self.close()
            path = self.trainer.recognizer.artifact.path
            del self.trainer  # its memory goes before another interpreter comes
            gc.collect()  # a runtime's signatures and its interpreter hold each other
            self._start(Recognizer.load(path))
            self.trainer.restore(saved)
            done = self.trainer.go_on()
        return True

    def _note(self, row: Epoch) -> None:
        self.history.append({**dataclasses.asdict(row), "utterances": self.trainer.window.arrived})
