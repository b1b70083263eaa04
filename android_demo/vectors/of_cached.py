"""Training steps of the shipped `commands` from stored outputs of the lower groups: losses, weights, sizes."""

import of_steps

from tflite_asr.config.plans import CACHED
from tflite_asr.personalization.replay import read_replay
from tflite_asr.runtime.recognizer import Recognizer

STEPS = 12
GROUP_RATES = {"joint": 0.5}


def cached() -> dict:
    """By the bits that an activation is stored in."""
    return {"steps": STEPS, "group_rates": GROUP_RATES, "bits": {str(bits): trained(bits) for bits in (8, 32)}}


def trained(bits: int) -> dict:
    """The results of steps, and where the weights are after them."""
    recognizer = Recognizer.load("commands")
    examples = of_steps.with_others_words(read_replay(recognizer.artifact))
    used = sorted({index for batch in of_steps.BATCHES for index in batch})
    rows = dict(zip(used, recognizer.cache([examples[index] for index in used], bits=bits)))
    batches = [[rows[index] for index in batch] for batch in of_steps.BATCHES]
    rates = {"learning_rate": of_steps.LEARNING_RATE, "clip_norm": of_steps.CLIP_NORM, "pull": of_steps.PULL}
    results = [
        recognizer.train_step(batches[step % len(batches)], plan=CACHED, group_rates=GROUP_RATES, **rates)
        for step in range(STEPS)
    ]
    return {
        "train_losses": [result.loss for result in results],
        "gradient_norms": [result.gradient_norm for result in results],
        "distances": {name: row["distance"] for name, row in recognizer.parameters().items()},
        "values": sum(row.read()["x"].size for row in rows.values()),
    }
