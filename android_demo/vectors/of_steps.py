"""What the shipped `commands` does with shipped speech: features, transcripts, training steps, averages, voices."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tflite_asr.metrics import error_rates
from tflite_asr.personalization.average import KeptAverage, mean_finite
from tflite_asr.personalization.replay import read_replay
from tflite_asr.personalization.settings import Settings
from tflite_asr.personalization.steps import Steps
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.decoder import BeamSearch
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.voice import learn_owner

BATCHES = [[0, 9, 20, 33], [5, 41, 60], [2, 77, 13, 50]]  # shipped utterances; the second batch is not full
SHIFT = 7  # they get the words of others, so that losses are tens of nats and float noise is small beside them
STEPS = {"train": 10, "split": 20}  # by plan
TRANSCRIBED = 12  # shipped utterances
LEARNING_RATE, CLIP_NORM, PULL = 1e-3, 20.0, 0.01
GROUP_RATES = {"encoder_0": 0.0, "joint": 0.5}
EPOCHS, EPOCH_STEPS = 5, 4  # of the moving average
VOICE = range(20, 40)  # shipped utterances that the owner's voice is learned from


def parity() -> dict:
    """The numbers that Kotlin has to find too."""
    recognizer = Recognizer.load("commands")
    replay = read_replay(recognizer.artifact)
    references = [example.text for example in replay[:TRANSCRIBED]]
    garbled = [text[:-2] + " OH" for text in references]
    return {
        "artifact_sha256": recognizer.artifact.tflite_sha256,
        "references": references,
        "frame_sums": [float(np.sum(example.frames, dtype=np.float64)) for example in replay[:TRANSCRIBED]],
        "chirp_frame_means": recognizer.features(chirp()).mean(axis=1).tolist(),
        "greedy": [recognizer.transcribe_frames(example.frames) for example in replay[:TRANSCRIBED]],
        "damped": damped_transcripts(recognizer, replay),
        "garbled": garbled,
        "garbled_wer": error_rates(references, garbled).wer,
        "garbled_cer": error_rates(references, garbled).cer,
        "shift": SHIFT,
        "batches": BATCHES,
        "learning_rate": LEARNING_RATE,
        "clip_norm": CLIP_NORM,
        "pull": PULL,
        "group_rates": GROUP_RATES,
        "steps": {plan: steps(replay, plan, count) for plan, count in STEPS.items()},
        "average": average(replay),
        "voice": voice(replay),
    }


def damped_transcripts(recognizer: Recognizer, replay: Sequence[Example]) -> dict:
    """Of utterances that are hard enough for mistakes."""
    frames = [damped(example).frames for example in replay[:TRANSCRIBED]]
    best = [BeamSearch(recognizer.model, recognizer.config).best(x)[0] for x in frames]
    return {
        "greedy": [recognizer.transcribe_frames(x) for x in frames],
        "beam": [recognizer.tokenizer.decode(hypothesis.tokens) for hypothesis in best],
        "log_probabilities": [hypothesis.log_probability for hypothesis in best],
    }


def trained(recognizer: Recognizer, replay: Sequence[Example], plan: str, count: int) -> list:
    """The results of so many steps."""
    wrong = with_others_words(replay)
    rates = {"learning_rate": LEARNING_RATE, "clip_norm": CLIP_NORM, "pull": PULL, "group_rates": GROUP_RATES}
    batches = [[wrong[index] for index in BATCHES[number % len(BATCHES)]] for number in range(count)]
    return [recognizer.train_step(batch, plan=plan, **rates) for batch in batches]


def steps(replay: Sequence[Example], plan: str, count: int) -> dict:
    """Losses of training steps by a plan, and where the weights are after them."""
    recognizer = Recognizer.load("commands")
    examples = with_others_words(replay)[:TRANSCRIBED]
    before = recognizer.loss(examples).tolist()
    results = trained(recognizer, replay, plan, count)
    return {
        "losses_before": before,
        "train_losses": [result.loss for result in results],
        "gradient_norms": [result.gradient_norm for result in results],
        "losses_after": recognizer.loss(examples).tolist(),
        "distances": {name: row["distance"] for name, row in recognizer.parameters().items()},
    }


def average(replay: Sequence[Example]) -> dict:
    """Epochs by the split plan on damped utterances: what the moving average of the weights recognises,
    which is kept.
    """
    recognizer = Recognizer.load("commands")
    hard = [damped(example) for example in replay]
    validation = hard[:TRANSCRIBED]
    settings = Settings(plan="split", learning_rate=LEARNING_RATE, group_rates=GROUP_RATES)
    kept = KeptAverage(recognizer, settings, lambda row: None, sum(len(x.text.split()) for x in validation))
    kept.begin(validation)
    taker = Steps(recognizer, settings)
    size = recognizer.config.sizes.batch
    for epoch in range(1, EPOCHS + 1):
        first = TRANSCRIBED + (epoch - 1) * EPOCH_STEPS * size
        batches = [hard[first + number * size :][:size] for number in range(EPOCH_STEPS)]
        losses = [taker.take(batch, LEARNING_RATE).loss for batch in batches]
        kept.update(epoch, epoch * EPOCH_STEPS, mean_finite(losses), validation, moved=False)
    recognizer.set_state(kept.best_state)
    fields = ("epoch", "step", "train_loss", "validation_loss", "validation_wer", "best")
    return {
        "epochs": EPOCHS,
        "epoch_steps": EPOCH_STEPS,
        "history": [{field: getattr(row, field) for field in fields} for row in kept.history],
        "heard_with_the_best": [recognizer.transcribe_frames(x.frames) for x in validation],
        "losses_with_the_best": recognizer.loss(validation).tolist(),
    }


def voice(replay: Sequence[Example]) -> dict:
    """An owner's voice learned from tilted utterances; who is heard with which weights after training that
    garbles all.
    """
    recognizer = Recognizer.load("commands")
    trained(recognizer, replay, "split", STEPS["split"])
    recognizer.owner = learn_owner(recognizer.background, [tilted(replay[index]).frames for index in VOICE])
    owners = [tilted(example) for example in replay[:TRANSCRIBED]]
    heard = [*owners, *replay[:TRANSCRIBED]]
    return {
        "learned_from": list(VOICE),
        "threshold": recognizer.owner.threshold,
        "scores": [recognizer.owner.score(example.frames) for example in heard],
        "owners": [int(recognizer.hears_owner(example.frames)) for example in heard],
        "heard": [recognizer.transcribe_frames(example.frames) for example in heard],
        "by_beam": [recognizer.transcribe_frames(example.frames, beam=True) for example in heard],
    }


def with_others_words(replay: Sequence[Example]) -> list[Example]:
    """Each utterance with the tokens of another."""
    return [
        dataclasses.replace(example, tokens=replay[(index + SHIFT) % len(replay)].tokens)
        for index, example in enumerate(replay)
    ]


def damped(example: Example) -> Example:
    """An utterance that is harder to recognise."""
    return dataclasses.replace(example, frames=example.frames * np.float32(0.3))


def tilted(example: Example) -> Example:
    """An utterance of another spectrum, as if somebody else said it."""
    bands = np.arange(example.frames.shape[1])
    return dataclasses.replace(example, frames=(example.frames + 0.8 * np.cos(bands / 5)).astype(np.float32))


def chirp() -> np.ndarray:
    """Half a second of a tone that rises, by a formula that both sides have."""
    seconds = np.arange(8000) / 16000
    return (0.3 * np.sin(2 * np.pi * (200 * seconds + 1500 * seconds**2))).astype(np.float32)
