"""A small model of two lengths whose second pass trains: what each length hears, what is learned, and transcripts with
the case of what was heard.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from of_runs import FIELDS, SPEECH
from of_second_pass import EDGE, let_end, nbest, powers, tone

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance, read_manifest
from tflite_asr.personalization.average import Epoch
from tflite_asr.personalization.batches import epoch_batches
from tflite_asr.personalization.casing import with_heard_case
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.trainer import personalize, split
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.batch import Example, sized_for
from tflite_asr.runtime.evaluation import evaluate_transcripts
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.text.casing import with_case_of

MODEL = Path(__file__).parent / "second.tflite"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = ("<unk>", "<s>", "</s>", "\u2581", *LETTERS.upper(), *LETTERS, ".", ",", "'")
DECODER_SEED = 12  # its hypotheses differ from recording to recording
SHORT = 24  # frames of the shorter of the two lengths
LENGTHS = (6_000, 8_000, 12_000, 19_500)  # samples of recordings of a tone that rises; the first two are short ones
TEXTS = ("ACE", "Bad, I", "a bad egg", "DEAF HEAD")
BATCHES = [[0, 1], [2], [3, 0], [1]]
STEPS, LEARNING_RATE, CLIP_NORM = 20, 0.02, 5.0
PLANS = ("train", "split")
SETTINGS = Settings(
    epochs=2, epoch_steps=3, connect=2, validation_share=0.15, least_to_hold_out=2, learning_rate=0.01, seed=5
)
PACE = Pace(window=9, window_bytes=1_000_000, stride=5, steps=3)
HEARD = (
    ("TURN LEFT MISTER SMITH", "Turn left, Mr. Smith."),
    ("TURN LEFT MISTER SMITH", "Turn lift, Mr. Smyth!"),
    ("i am twenty one", "I am 21."),
    ("I AM TWENTY TWO", "I am 21."),
    ("AND I SAID I'M FINE", "said fine"),
    ("YES NO", "Yes, no, and so on."),
    ("WELL KNOWN", "A well-known,"),
    ("HELLO THERE", ""),
    ("HELLO THERE", "..."),
    ("WHAT IS IT", "What is it?"),
    ("ONE TWO TWO THREE", "Two, one THREE"),
    ("IT'S FIVE PERCENT OF $20", "It\u2019s 5%\u00a0of twenty dollars; i'll"),
    ("... ?!", "Oh."),
)
WORDS = ("a", "B", "Mr.", "i'll", "20,", "well-known")  # of what random texts are made, so that many alignments tie


def write_model() -> None:
    """second.tflite and second.json: random weights of a decoder whose hypotheses come to an end."""
    import tf_keras as keras

    from tflite_asr.config import SubwordConfig, preset
    from tflite_asr.export import Quantization, SplitOptions, export
    from tflite_asr.models.build import build_model

    tiny = preset("tiny_english")
    subwords = {"vocabulary_size": len(PIECES), "subwords": SubwordConfig(PIECES), "tokens_per_second": 12.0}
    config = dataclasses.replace(
        tiny,
        encoder=dataclasses.replace(tiny.encoder, layers=2),
        decoder=dataclasses.replace(tiny.decoder, layers=1, **subwords),
        sizes=dataclasses.replace(tiny.sizes, lengths=(SHORT,)),
        edge_samples=EDGE,
    )
    keras.utils.set_random_seed(6)
    model = build_model(config)
    weights = model.named_weights()
    random = np.random.default_rng(6)
    for name, weight in weights.items():
        weight.assign_add((1.0 if "embedding" in name else 0.2) * random.standard_normal(weight.shape))
    let_end(
        {name: weight for name, weight in weights.items() if name.startswith("decoder/")},
        config.decoder.end,
        DECODER_SEED,
    )
    quantization = Quantization(trainable="decoder_encoder_0")
    export(model, MODEL, optimizer="sgd", split=SplitOptions(parts=1), pull=False, quantization=quantization)


def second_pass_training() -> dict:
    """What Kotlin has to find too."""
    recognizer = Recognizer.load(MODEL)
    frames = [recognizer.features(tone(length)) for length in LENGTHS]
    return {
        "lengths": LENGTHS,
        "texts": TEXTS,
        "sizes": [_sizes(recognizer, count) for count in (SHORT, SHORT + 1)],
        "frames": [powers(x) for x in frames],
        "greedy": [recognizer.transcribe_frames(x) for x in frames],
        "beam": [recognizer.transcribe_frames(x, beam=True) for x in frames],
        "nbest": [nbest(recognizer, x) for x in frames],
        "two_pass": [recognizer.transcribe_two_pass(x) for x in frames],
        "batches": BATCHES,
        "learning_rate": LEARNING_RATE,
        "clip_norm": CLIP_NORM,
        "steps": {plan: _steps(plan) for plan in PLANS},
        "cased": [
            {"text": text, "written": written, "as": with_case_of(text, written)}
            for text, written in [*HEARD, *_drawn()]
        ],
        "settings": {
            field: getattr(SETTINGS, field)
            for field in ("epochs", "epoch_steps", "connect", "validation_share", "learning_rate", "seed")
        },
        "pace": dataclasses.asdict(PACE),
        "epochs": _epochs(),
        "stream": _stream(),
    }


def _sizes(recognizer: Recognizer, frames: int) -> dict:
    """Of the signatures for so many frames."""
    config = recognizer.config.shortest(frames)
    names = ("max_frames", "max_tokens", "suffix")
    return {name: getattr(config.sizes, name) for name in names} | {"max_labels": config.max_labels}


def _drawn() -> list[tuple[str, str]]:
    """Random texts and what was heard of them."""
    random = np.random.default_rng(8)
    return [tuple(" ".join(random.choice(WORDS, random.integers(1, 8))) for _ in range(2)) for _ in range(60)]


def _steps(plan: str) -> dict:
    """Losses of training steps by a plan, on batches of both lengths, and what both passes make of the weights."""
    recognizer = Recognizer.load(MODEL)
    examples = [recognizer.example(tone(length), text) for length, text in zip(LENGTHS, TEXTS)]
    batches = [[examples[index] for index in batch] for batch in BATCHES]
    before = recognizer.loss(examples).tolist()
    results = [
        recognizer.train_step(batches[n % len(batches)], learning_rate=LEARNING_RATE, clip_norm=CLIP_NORM, plan=plan)
        for n in range(STEPS)
    ]
    return {
        "written": [example.text for example in examples],
        "tokens": [example.tokens.tolist() for example in examples],
        "suffixes": [sized_for(batch, recognizer.config).sizes.suffix for batch in batches],
        "losses_before": before,
        "train_losses": [result.loss for result in results],
        "gradient_norms": [result.gradient_norm for result in results],
        "losses_after": recognizer.loss(examples).tolist(),
        "nbest_after": [nbest(recognizer, example.frames) for example in examples],
    }


def _start() -> tuple[Recognizer, Corpus, Sequence[Utterance]]:
    """The spoken words of `of_runs` that this model can hold, cased as they are heard."""
    recognizer, utterances = Recognizer.load(MODEL), read_manifest(SPEECH / "manifest.jsonl")
    corpus = Corpus(utterances, recognizer.config)
    return recognizer, corpus, with_heard_case(recognizer, corpus, utterances)


def _epochs() -> dict:
    """Epochs over the words, validated by both passes."""
    recognizer, corpus, utterances = _start()
    training, _ = split(utterances, SETTINGS.validation_share, SETTINGS.seed)
    drawn = np.random.default_rng([SETTINGS.seed, 1])
    batches = epoch_batches(recognizer, corpus, training, [], SETTINGS, 1, drawn)
    outcome = personalize(recognizer, corpus, utterances, SETTINGS)
    examples = [recognizer.example(corpus.samples(u), u.text) for u in utterances]
    return {
        "written": [utterance.text for utterance in utterances],
        "batches": [{"texts": [example.text for example in batch]} for batch in batches],
        "history": _rows(outcome.history),
        "wer": evaluate_transcripts(recognizer, examples).rates.wer,
    }


def _stream() -> dict:
    """The words one after the other, a window of them kept as features."""
    recognizer, corpus, utterances = _start()
    with tempfile.TemporaryDirectory() as folder:
        window = Window(Path(folder), recognizer.artifact, PACE.window, PACE.window_bytes)
        trainer = StreamTrainer(recognizer, window, SETTINGS, PACE)
        for utterance in utterances:
            trainer.hear(recognizer.example(corpus.samples(utterance), utterance.text, utterance.where))
        trainer.finish()
        kept: list[Example] = [window.read(number) for number in window.numbers]
        outcome = trainer.outcome("")
    return {"kept": [example.text for example in kept], "history": _rows(outcome.history)}


def _rows(history: Sequence[Epoch]) -> list[dict]:
    return [{field: getattr(row, field) for field in FIELDS} for row in history]
