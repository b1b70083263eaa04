"""Recognition of a stream: the text after every chunk, at each exit and by both passes; what a listener hears in a stream with
pauses.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import of_exits
import of_second_pass
import of_words

from tflite_asr.audio.endpoints import EndpointRules
from tflite_asr.runtime.listener import Heard, endpointer_for, listen, stream_frames
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Rescoring
from tflite_asr.runtime.streaming import stream_results

MODEL = Path(__file__).parent / "two_pass.tflite"
FRAMES = (7, 0, 24, 50)  # sizes of chunks, by turns
SAMPLES = (1600, 0, 333, 8000)
RESCORINGS = (Rescoring(0.0), Rescoring(), Rescoring(1.0), Rescoring(1.0, per_label=True), Rescoring(1.0, nbest=2))
RULES = EndpointRules(leading_silence_seconds=1.0, trailing_silence_seconds=0.25)
HOTWORDS, HOTWORD_WEIGHT = ("TREE", "OH"), 0.6
NAMES, NAME_WEIGHT = ("E", "THE NOSE"), 20.0  # for the small model
TONE_PAUSES = (6_000, 3_000, 16_000)  # samples behind each tone


def write_model() -> None:
    """two_pass.tflite and two_pass.json: random weights that emit labels and blanks in turn, all of them constants."""
    import dataclasses

    import tf_keras as keras

    from tflite_asr.config import preset
    from tflite_asr.export import Quantization, export
    from tflite_asr.models.build import build_model

    tiny = preset("tiny_two_pass")
    encoder = dataclasses.replace(tiny.encoder, layers=2)
    sizes = dataclasses.replace(tiny.sizes, max_tokens=80)  # room for all that it emits
    keras.utils.set_random_seed(2)
    model = build_model(dataclasses.replace(tiny, encoder=encoder, sizes=sizes))
    random = np.random.default_rng(2)
    for name, weight in model.named_weights().items():
        if name.startswith("rescorer") or not name.endswith(("kernel", "embedding")):
            weight.assign_add((0.3 if name.startswith("rescorer") else 0.1) * random.standard_normal(weight.shape))
    model.joint.encoder_kernel.assign(3 * model.joint.encoder_kernel)
    model.joint.output_kernel.assign(6 * model.joint.output_kernel)
    model.joint.output_bias.assign(5.0 * np.eye(1, model.config.vocabulary_size, dtype=np.float32)[0])
    export(model, MODEL, optimizer="sgd", pull=False, quantization=Quantization(trainable="none"))


def streaming() -> dict:
    """What Kotlin has to find too."""
    early, shipped = Recognizer.load(of_exits.MODEL), Recognizer.load("commands")
    utterances = [of_exits.noise(length) for length in of_exits.LENGTHS]
    return {
        "chunks": {"frames": FRAMES, "samples": SAMPLES},
        "exits": [{"utterances": [_streamed(early, frames, exit) for frames in utterances]} for exit in (0, 1)],
        "names": NAMES,
        "name_weight": NAME_WEIGHT,
        "rescorings": [vars(rescoring) for rescoring in RESCORINGS],
        "two_pass": _two_pass(utterances),
        "shipped": _streamed_samples(shipped, of_words.stream()),
        "listened": _listened(early, shipped),
    }


def _streamed(recognizer: Recognizer, frames: np.ndarray, exit: int) -> dict:
    """Frames [time, width] by chunks: the text after each, and the tokens of the whole."""
    chunks = cut(frames, FRAMES)
    results = stream_results(recognizer.model, recognizer.artifact, chunks, {"exit": np.int32([exit])})
    return {**_texts(chunks, lambda fed: recognizer.stream(fed, exit=exit)), "tokens": _tokens(results)}


def _streamed_samples(recognizer: Recognizer, samples: np.ndarray) -> dict:
    """The same of samples [n]."""
    chunks = cut(samples, SAMPLES)
    results = stream_results(recognizer.model, recognizer.artifact, stream_frames(recognizer, chunks), {})
    found = _texts(chunks, lambda fed: recognizer.stream(stream_frames(recognizer, fed)))
    return {**found, "tokens": _tokens(results)}


def _tokens(results: Iterable[dict[str, np.ndarray]]) -> list[int]:
    return [int(token) for result in results for token in result["tokens"][0, : result["token_lengths"][0]]]


def _two_pass(utterances: list[np.ndarray]) -> list[dict]:
    """Of each utterance: the first pass by chunks, what both say of its n-best, and what they choose."""
    recognizer = Recognizer.load(MODEL)
    hotwords = recognizer.hotwords(NAMES, NAME_WEIGHT)
    rows = []
    for frames in utterances:
        candidates = recognizer.candidates(frames)
        row = _texts(cut(frames, FRAMES), recognizer.stream_two_pass)
        rows.append(
            {
                **row,
                "candidates": [list(c.tokens) for c in candidates],
                "first": [c.first for c in candidates],
                "second": [c.second for c in candidates],
                "chosen": [recognizer.transcribe_two_pass(frames, rescoring) for rescoring in RESCORINGS],
                "hotwords": recognizer.transcribe_two_pass(frames, hotwords=hotwords),
            }
        )
    return rows


def _texts(chunks: list[np.ndarray], stream: Callable[[Iterable[np.ndarray]], Iterator[str]]) -> dict:
    """The text so far behind each chunk, and that at the end."""
    after, text = [], ""

    def fed() -> Iterator[np.ndarray]:
        for chunk in chunks:
            yield chunk
            after.append(text)  # all that the chunk completes was taken before the next one is asked for

    for told in stream(fed()):
        text = told
    return {"after": after, "text": text}


def cut(values: np.ndarray, sizes: tuple[int, ...]) -> list[np.ndarray]:
    """The same values in chunks of these sizes, by turns; the last one has what is left."""
    pieces, first = [], 0
    while first < len(values):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(values[first : first + size])
        first += size
    return pieces


def _listened(early: Recognizer, shipped: Recognizer) -> dict:
    """What is heard in streams with pauses, by the shipped model, by one that is left early and by one that does not
    stream.
    """
    whole, samples = Recognizer.load(of_second_pass.MODEL), of_words.stream()
    hotwords = shipped.hotwords(HOTWORDS, HOTWORD_WEIGHT)
    return {
        "rules": vars(RULES),
        "hotwords": HOTWORDS,
        "hotword_weight": HOTWORD_WEIGHT,
        "pauses": TONE_PAUSES,
        "shipped": _heard(shipped, samples),
        "with_hotwords": _heard(shipped, samples, hotwords=hotwords),
        "early": _heard(early, samples, exit=0),
        "whole": _heard(whole, tones()),
    }


def tones() -> np.ndarray:
    """[n] samples: tones of the small model with a decoder, each with a pause behind it."""
    pieces = [(of_second_pass.tone(n), np.zeros(p, np.float32)) for n, p in zip(of_second_pass.LENGTHS, TONE_PAUSES)]
    return np.concatenate([samples for piece in pieces for samples in piece])


def _heard(recognizer: Recognizer, samples: np.ndarray, **how) -> list[dict]:
    endpointer = endpointer_for(recognizer.config, RULES)
    return [_row(one) for one in listen(recognizer, cut(samples, SAMPLES), endpointer=endpointer, **how)]


def _row(heard: Heard) -> dict:
    """The text so far, or an utterance that is over."""
    if not heard.over:
        return {"text": heard.text}
    place = {name: value for name, value in vars(heard.endpoint).items() if name != "decided_seconds"}
    return {"text": heard.text, "endpoint": place, "words": of_words.numbers_of(heard.words)}
