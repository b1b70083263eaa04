"""One personalisation from speech to report: measure, train, measure again, write everything down."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tflite_asr.data.alignment import alignable, report_left_out
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.data.time_order import check_time_order
from tflite_asr.errors import InputError
from tflite_asr.figure import check_drawing
from tflite_asr.files import read_text, write_whole
from tflite_asr.metrics import relative_reduction
from tflite_asr.out_folder import SETTINGS, check_settings, check_writable, speech_of, weights_of, write_settings
from tflite_asr.personalization.average import Epoch, Outcome
from tflite_asr.personalization.casing import with_heard_case
from tflite_asr.personalization.corrections import Corrections
from tflite_asr.personalization.replay import read_replay
from tflite_asr.personalization.rounds import CHECKPOINT, STATE, Rounds, RoundsTrainer, arriving
from tflite_asr.personalization.selector import Candidate
from tflite_asr.personalization.self_training import SelfTrainer, SelfTraining
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.trainer import personalize, split
from tflite_asr.personalization.window import Window
from tflite_asr.report import write_report
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.corrections import CORRECTION_WEIGHT
from tflite_asr.runtime.evaluation import evaluate_transcripts, examples_of
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.memory import MemoryProbe
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.voice import OwnerVoice, learn_owner


@dataclass(frozen=True)
class Speech:
    """What a personalisation learns from, of one corpus."""

    corpus: Corpus
    utterances: Sequence[Utterance]  # with transcripts; those that cannot be aligned are named and left out
    corrections: Corrections = field(default_factory=Corrections)
    unlabelled: Sequence[Utterance] = ()  # without transcripts

    @property
    def trains(self) -> bool:
        """Whether weights are trained; corrections alone teach names."""
        return bool(self.utterances or self.unlabelled)

    @property
    def transcribed(self) -> tuple[Corpus, Sequence[Utterance]]:
        return self.corpus, self.utterances


def run_session(
    recognizer: Recognizer,
    adapt: Speech,
    test: tuple[Corpus, Sequence[Utterance]],
    settings: Settings,
    folder: Path,
    *,
    voice: str,
    pace: Pace | None = None,
    rounds: Rounds | None = None,
) -> dict:
    """Personalise and write `checkpoint.safetensors`, `result.json`, `report.html` and plots into `folder`.

    Args:
        recognizer: trained in place.
        adapt: the speech to learn from. With corrections alone nothing is trained, and the names in them are learned.
            Speech without transcripts is learned from in epochs only, not with pace or rounds.
        test: the speech to measure on; joined by `settings.connect` as the training speech is.
        settings: how to train.
        folder: made if need be, once the input is known to be good. From the first epoch on it holds a checkpoint,
            at first that of an earlier run if there is one, then the best weights so far.
        voice: whose speech it is, for the report.
        pace: train as utterances come, in their order, and keep no more than a window of them, in `folder/window`;
            None: in epochs over all of them.
        rounds: train in epochs over what has come, round after round, each with what the selector chooses; not with
            pace or corrections.

    Returns:
        what result.json holds.
    """
    settings = _checked(recognizer, settings)
    adapt, left_out = _alignable(recognizer, adapt)
    held_out = _held_out(adapt, settings, rounds)
    if pace:
        check_time_order(adapt.utterances)
    corpus, utterances = test
    clips = fitting_clips(corpus, utterances, settings.connect, settings.seed, recognizer.config.max_seconds)
    examples = examples_of(recognizer, corpus, clips)
    replay = read_replay(recognizer.artifact)
    resumable = _settings(recognizer, adapt, (corpus, utterances), settings, pace, rounds) if pace or rounds else {}
    resumes = resumable and check_settings(folder, resumable, ["result.json", STATE, "window"])
    if resumes and (finished := _finished(folder, rounds)):
        return finished
    window = Window(folder / "window", recognizer.artifact, pace.window, pace.window_bytes) if pace else None
    check_writable(folder)
    check_drawing()
    if resumable:
        write_settings(folder, resumable)
    else:
        (folder / SETTINGS).unlink(missing_ok=True)  # of another run, whose results are replaced
    checkpoint = folder / CHECKPOINT
    with MemoryProbe() as probe:
        before = evaluate_transcripts(recognizer, examples, title="before")
        print(f"before: WER {before.rates.wer:.1%} on {len(examples)} test utterances", file=sys.stderr)
        words_before = _words(recognizer, examples, before.hypotheses)
        recognizer.owner = None  # of an earlier run; while training, everything is heard with what is learned
        recognizer.learned_phrases = [*recognizer.learned_phrases, *adapt.corrections.phrases]
        policy = None  # where to leave the encoder
        epochs = -(-len(adapt.utterances) // pace.stride) if pace else settings.epochs
        epochs = SelfTraining().rounds if adapt.unlabelled else epochs
        measure = "views that disagree" if adapt.unlabelled and len(adapt.utterances) < 2 else "WER"
        with _Progress(recognizer, checkpoint, epochs, measure) as progress:
            told = {"replay": replay, "on_epoch": progress.epoch, "on_step": progress.step}
            if not adapt.trains:
                trained = _told(Outcome([], recognizer.state(), 0, 0.0, "corrections alone: names are learned"))
            elif adapt.unlabelled:
                trained = _self_trained(recognizer, adapt, settings, told)
            elif rounds:
                trainer = RoundsTrainer(
                    recognizer, adapt.transcribed, settings, rounds, folder, on_round=progress.round, **told
                )
                trained, policy = _train_in_rounds(trainer, examples)
            elif pace:
                trained = _told(_hear_all(StreamTrainer(recognizer, window, settings, pace, **told), adapt))
            else:
                corrected = adapt.corrections.utterances
                trained = _told(personalize(recognizer, *adapt.transcribed, settings, corrected=corrected, **told))
        if adapt.trains:
            recognizer.owner = _owner(recognizer, adapt)
        after = evaluate_transcripts(recognizer, examples, policy=policy, title="after")
        words_after = _words(recognizer, examples, after.hypotheses)
    recognizer.save(checkpoint)
    result = {
        "model": str(recognizer.artifact.path),
        "checkpoint": str(checkpoint),
        "voice": voice,
        "normalized": recognizer.normalize,
        "wer_before": before.rates.wer,
        "wer_after": after.rates.wer,
        "cer_before": before.rates.cer,
        "cer_after": after.rates.cer,
        "relative_wer_reduction": relative_reduction(before.rates.wer, after.rates.wer),
        **trained,
        "peak_rss_mb": probe.peak_rss_mb,
        "peak_private_mb": probe.peak_private_mb,
        "owner_voice": recognizer.owner is not None,
        "test_utterances_of_owner": after.owner_utterances,
        "skipped_updates": recognizer.skipped_updates,
        "adapt_utterances": len(adapt.utterances) - held_out,
        "validation_utterances": held_out,
        "corrections": adapt.corrections.to_json(),
        "left_out_utterances": len(left_out),
        "test_utterances": len(examples),
        "test_too_long": len(corpus.too_long),
        "test_too_short": len(corpus.too_short),
        "settings": dataclasses.asdict(settings)
        | (dataclasses.asdict(pace) if pace else {})
        | (rounds.settings() if rounds else {}),
        "memory": probe.samples,
        "pairs": [
            {"reference": reference, "before": old, "after": new, "before_words": old_words, "after_words": new_words}
            for reference, old, new, old_words, new_words in zip(
                before.references, before.hypotheses, after.hypotheses, words_before, words_after
            )
        ],
    }
    if window:
        result["disk_bytes_max"] = window.disk_bytes_max
    result["report"] = str(folder / "report.html")
    write_whole(folder / "result.json", (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())
    write_report(folder, result)  # after all that was measured is on the disk
    return result


def _checked(recognizer: Recognizer, settings: Settings) -> Settings:
    """The settings with the model's learning rate where they have none; InputError for what the model does not have."""
    unknown = sorted(settings.group_rates.keys() - set(recognizer.groups))
    if unknown:
        raise InputError(f"no such layer group: {', '.join(unknown)}; there are {', '.join(recognizer.groups)}")
    recognizer.plan(settings.plan)  # InputError now if there is none
    return dataclasses.replace(settings, learning_rate=settings.rate(recognizer.config))


def _alignable(recognizer: Recognizer, adapt: Speech) -> tuple[Speech, list[str]]:
    """The speech without utterances that cannot be aligned, its transcripts in the case that is heard; and those."""
    kept, left_out = alignable(*adapt.transcribed)
    report_left_out(left_out, len(adapt.utterances))
    corrected = with_heard_case(recognizer, adapt.corpus, adapt.corrections.utterances)
    corrections = dataclasses.replace(adapt.corrections, utterances=tuple(corrected))
    kept = with_heard_case(recognizer, adapt.corpus, kept)
    return dataclasses.replace(adapt, utterances=kept, corrections=corrections), left_out


def _held_out(adapt: Speech, settings: Settings, rounds: Rounds | None) -> int:
    """How many utterances with transcripts validate."""
    if not adapt.utterances or (adapt.unlabelled and len(adapt.utterances) < 2):
        return 0
    heard_first = arriving(adapt.utterances, rounds.count, settings.seed)[0] if rounds else adapt.utterances
    return len(split(heard_first, settings.validation_share, settings.seed)[1])


def _words(recognizer: Recognizer, examples: Sequence[Example], texts: Sequence[str]) -> list[list[dict]]:
    """The words of what was recognised, for the report: text, times and confidence, in thousandths."""
    return [
        [
            {name: value if isinstance(value, str) else round(value, 3) for name, value in vars(word).items()}
            for word in recognizer.timed_words(example.frames, text)
        ]
        for example, text in zip(examples, texts)
    ]


def _settings(
    recognizer: Recognizer,
    adapt: Speech,
    test: tuple[Corpus, Sequence[Utterance]],
    settings: Settings,
    pace: Pace | None,
    rounds: Rounds | None,
) -> dict:
    """What a run that can be gone on with has to have in common with the one that began it."""
    values = dataclasses.asdict(settings) | {"freeze": settings.group_rates}
    del values["group_rates"]
    more = {**(dataclasses.asdict(pace) if pace else {}), **({"rounds": rounds.count} if rounds else {})}
    return {
        "the model": recognizer.artifact.tflite_sha256,
        "the weights to start from (--checkpoint)": weights_of(recognizer.state()),
        "the speech of --adapt": speech_of(adapt.utterances),
        "the speech of --corrections": speech_of(adapt.corrections.utterances),
        "the speech of --test": speech_of(test[1]),
        **{f"--{name.replace('_', '-')}": value for name, value in (values | more).items()},
    }


def _finished(folder: Path, rounds: Rounds | None) -> dict | None:
    """The result of a run that came to its end, or None."""
    path = folder / "result.json"
    if not path.exists():
        return None
    text = read_text(path, "the result of a run")
    try:
        result = json.loads(text)
        done = result["finished"] if rounds else True
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{path}: not the result of a personalisation ({error}); remove it or give another --out"
        ) from None
    if done:
        print(f"{folder}: finished already, nothing is trained", file=sys.stderr)
    return result if done else None


def _hear_all(trainer: StreamTrainer, adapt: Speech) -> Outcome:
    """Train on the utterances one after the other, on corrections last."""
    trainer.window.forget_all()  # what an earlier run left may be another person's
    weighted = [(utterance, 1) for utterance in adapt.utterances]
    weighted += [(utterance, CORRECTION_WEIGHT) for utterance in adapt.corrections.utterances]
    for utterance, weight in weighted:
        example = trainer.recognizer.example(adapt.corpus.samples(utterance), utterance.text, utterance.where)
        trainer.hear(dataclasses.replace(example, weight=weight))
    trainer.finish()
    return trainer.outcome(f"all {len(weighted)} utterances heard")


def _self_trained(recognizer: Recognizer, adapt: Speech, settings: Settings, told: dict) -> dict:
    """Train on speech without transcripts as well; for the result."""
    corrected = adapt.corrections.utterances
    trainer = SelfTrainer(
        recognizer, *adapt.transcribed, adapt.unlabelled, settings, SelfTraining(), corrected=corrected, **told
    )
    trained = _told(trainer.train())
    unlabelled = {
        "utterances": len(adapt.unlabelled),
        "validated_by": trainer.validated_by,
        "learned": any(row["best"] for row in trained["history"][1:]),
        "rounds": trainer.refused,
    }
    return trained | {"unlabelled": unlabelled}


def _train_in_rounds(trainer: RoundsTrainer, test: Sequence[Example]) -> tuple[dict, ExitPolicy | None]:
    """All rounds that the device has to spare for; for the result, and where the encoder is left now."""

    def measure() -> dict:
        return {
            "test_wer": evaluate_transcripts(trainer.recognizer, test, policy=trainer.policy, title="round").rates.wer
        }

    stopped = trainer.run(measure)
    history = trainer.history()
    told = {
        "steps": sum(row["steps"] for row in trainer.done),
        "epochs": max((row["epoch"] for row in history), default=0),
        "seconds": sum(row["seconds"] for row in trainer.done),
        "stopped_because": stopped,
        "finished": trainer.finished,
        "history": history,
        "rounds": trainer.done,
        "resources": trainer.readings,
    }
    return told, trainer.policy


def _told(outcome: Outcome) -> dict:
    """For the result."""
    return {
        "steps": outcome.steps,
        "epochs": max(0, len(outcome.history) - 1),
        "seconds": outcome.seconds,
        "stopped_because": outcome.stopped_because,
        "history": [row.to_json() for row in outcome.history],
    }


def _owner(recognizer: Recognizer, adapt: Speech) -> OwnerVoice | None:
    """The voice that the weights were trained on."""
    if recognizer.background is None:
        return None
    heard = (*adapt.utterances, *adapt.corrections.utterances, *adapt.unlabelled)
    return learn_owner(recognizer.background, [recognizer.features(adapt.corpus.samples(u)) for u in heard])


class _Progress:
    """A progress bar on a terminal, a line an epoch elsewhere; the best weights go to disk as soon as they are."""

    def __init__(self, recognizer: Recognizer, checkpoint: Path, epochs: int, measure: str = "WER"):
        from tqdm import tqdm

        self.recognizer, self.checkpoint, self.epochs, self.measure = recognizer, checkpoint, epochs, measure
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(total=1, unit="step", disable=not self.terminal)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def round(self, number: int, chosen: Candidate) -> None:
        learns = ", ".join(chosen.trainable_groups)
        cost = f"{chosen.predicted_peak_mb:.0f} MB and {chosen.predicted_step_seconds:.2f} s a step"
        print(f"round {number}: plan {chosen.plan}, exit {chosen.exit}, {learns}: expected {cost}", file=sys.stderr)

    def step(self, number: int, steps: int, loss: float) -> None:
        if number == 1:
            self.bar.reset(steps)
        self.bar.set_postfix(loss=f"{loss:.2f}")
        self.bar.update()

    def epoch(self, row: Epoch) -> None:
        if row.best and (row.epoch or not self.checkpoint.exists()):
            self.recognizer.save(self.checkpoint)
        loss = "" if row.train_loss is None else f"loss {row.train_loss:.2f}, "
        line = (
            f"epoch {row.epoch}/{self.epochs}: {loss}validation loss {row.validation_loss:.2f}, "
            f"{self.measure} {row.validation_wer:.1%}{' *' if row.best else ''}"
        )
        if self.terminal:
            self.bar.set_description(line)
        else:
            print(line, file=sys.stderr, flush=True)
