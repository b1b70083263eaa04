"""A small CTC encoder on a waveform stem with a decoder: what each pass hears, and how the first one trains."""

from pathlib import Path

import numpy as np

from tflite_asr.data.frames import in_time, joined
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Rescoring

MODEL = Path(__file__).parent / "decoder.tflite"
PIECES = ("<unk>", "<s>", "</s>", "\u2581", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abcdefghij")
EDGE = 800  # samples of silence on both sides; the longest recording leaves room for fewer
LENGTHS = (8_000, 12_000, 19_500)  # samples of recordings of a tone that rises
TEXTS = ("Dr. B", "3 tea", "it's 21.")  # which the first pass spells as they are said
SPEEDS = (0.9, 1.1)
BATCHES = [[0, 1], [2], [1, 2]]
STEPS, LEARNING_RATE, CLIP_NORM = 20, 0.02, 5.0
JOINT_WEIGHT = 0.5


def write_model() -> None:
    """decoder.tflite and decoder.json: random weights, with hypotheses that end and others that do not."""
    import dataclasses

    import tf_keras as keras

    from tflite_asr.config import SubwordConfig, preset
    from tflite_asr.export import Quantization, SplitOptions, export
    from tflite_asr.models.build import build_model

    tiny = preset("tiny_english")
    encoder = dataclasses.replace(tiny.encoder, layers=2)
    decoder = dataclasses.replace(tiny.decoder, layers=1, vocabulary_size=len(PIECES), subwords=SubwordConfig(PIECES))
    sizes = dataclasses.replace(tiny.sizes, max_tokens=20)
    keras.utils.set_random_seed(6)
    model = build_model(dataclasses.replace(tiny, encoder=encoder, decoder=decoder, sizes=sizes, edge_samples=EDGE))
    weights = model.named_weights()
    random = np.random.default_rng(6)
    for name, weight in weights.items():
        weight.assign_add((1.0 if "embedding" in name else 0.2) * random.standard_normal(weight.shape))
    let_end({name: weight for name, weight in weights.items() if name.startswith("decoder/")}, decoder.end)
    quantization = Quantization(trainable="encoder_1,ctc")
    export(model, MODEL, optimizer="sgd", split=SplitOptions(parts=1), pull=False, quantization=quantization)


def let_end(weights: dict, end: int, seed: int = 2) -> None:
    """Weights of a decoder that goes from one subword to another and comes to an end in some recordings."""
    random = np.random.default_rng(seed)
    for name in sorted(weights):
        shape = weights[name].shape
        if "gain" in name:
            weights[name].assign(np.full(shape, 3.0 if name == "decoder/gain" else 1.0))
        elif name == "decoder/embedding":
            lengths = np.where(np.arange(shape[0]) == end, 0.45, 0.3)
            weights[name].assign(lengths[:, None] * random.standard_normal(shape))
        else:
            weights[name].assign((0.9 if "outer_kernel" in name else 0.5) * random.standard_normal(shape))


def second_pass() -> dict:
    """What Kotlin has to find too."""
    recognizer = Recognizer.load(MODEL)
    recordings = [tone(length) for length in LENGTHS]
    frames = [recognizer.features(recording) for recording in recordings]
    return {
        "lengths": LENGTHS,
        "texts": TEXTS,
        "frames": [powers(x) for x in frames],
        "in_time": {str(speed): powers(in_time(frames[0], speed)) for speed in SPEEDS},
        "joined": powers(joined([frames[0], frames[1][:5]], [3], recognizer.config.features)),
        "greedy": [recognizer.transcribe_frames(x) for x in frames],
        "beam": [recognizer.transcribe_frames(x, beam=True) for x in frames],
        "nbest": [nbest(recognizer, x) for x in frames],
        "joint": [nbest(recognizer, x, Rescoring(JOINT_WEIGHT)) for x in frames],
        "joint_weight": JOINT_WEIGHT,
        "by_first": [recognizer.transcribe_two_pass(x, Rescoring(0.0, per_label=True)) for x in frames],
        "two_pass": [recognizer.transcribe_two_pass(x) for x in frames],
        "batches": BATCHES,
        "learning_rate": LEARNING_RATE,
        "clip_norm": CLIP_NORM,
        "steps": {plan: _steps(plan) for plan in ("train", "split")},
    }


def tone(length: int) -> np.ndarray:
    """[length] samples, by a formula that both sides have."""
    seconds = np.arange(length) / 16_000
    return (0.3 * np.sin(2 * np.pi * (200 * seconds + 1_500 * seconds**2)) * np.cos(9 * seconds)).astype(np.float32)


def powers(frames: np.ndarray) -> dict:
    """Root mean squares of frames [time, width]."""
    squares = np.square(frames, dtype=np.float64)
    return {"by_frame": np.sqrt(squares.mean(axis=1)).tolist(), "by_unit": np.sqrt(squares.mean(axis=0)).tolist()}


def nbest(recognizer: Recognizer, frames: np.ndarray, rescoring: Rescoring | None = None) -> dict:
    """The second pass's hypotheses for frames [time, width], and what both passes say of them."""
    found = recognizer.candidates(frames, rescoring=rescoring)
    return {
        "tokens": [list(c.tokens) for c in found],
        "first": [c.first for c in found],
        "second": [c.second for c in found],
    }


def _steps(plan: str) -> dict:
    """Losses of training steps by a plan, and what the second pass makes of the encoder after them."""
    recognizer = Recognizer.load(MODEL)
    examples = [recognizer.example(tone(length), text) for length, text in zip(LENGTHS, TEXTS)]
    before = recognizer.loss(examples).tolist()
    results = [_step(recognizer, [examples[index] for index in BATCHES[n % len(BATCHES)]], plan) for n in range(STEPS)]
    return {
        "tokens": [example.tokens.tolist() for example in examples],
        "losses_before": before,
        "train_losses": [result.loss for result in results],
        "gradient_norms": [result.gradient_norm for result in results],
        "losses_after": recognizer.loss(examples).tolist(),
        "nbest_after": [nbest(recognizer, example.frames) for example in examples],
    }


def _step(recognizer: Recognizer, examples: list[Example], plan: str):
    return recognizer.train_step(examples, learning_rate=LEARNING_RATE, clip_norm=CLIP_NORM, plan=plan)
