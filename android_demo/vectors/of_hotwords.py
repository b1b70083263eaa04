"""Hotwords: the automaton over letters, what it adds to tokens, and each beam search with it."""

from collections.abc import Sequence

import numpy as np
import of_exits
import of_second_pass

from tflite_asr.errors import InputError
from tflite_asr.runtime.decoder import Hypothesis
from tflite_asr.runtime.hotwords import Spellings, TokenBonus, token_bonus
from tflite_asr.runtime.prefix_beam import prefix_beam_search
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Candidate
from tflite_asr.text.phrase_automaton import PhraseAutomaton
from tflite_asr.text.phrases import as_phrases
from tflite_asr.text.subwords import BYTES, SPACE, SPECIAL, SubwordTokenizer

PHRASES = (("a", 0.7), ("ab", 1.5), ("b a", 2.0), ("bb ab", 0.3), ("\u00e9a b", 1.1))
LETTERS = ("", " ", "a", "b", "'")
PIECES = (
    *SPECIAL,
    *BYTES,
    *f"{SPACE}nguyeNGUYEs'.6oixt\u00e9\u00c9",
    f"{SPACE}N",
    "gu",
    "yen",
    f"{SPACE}ng",
    "EN",
    "\u0130",
)
LISTS = (
    [["Nguyen", 1.0]],
    [["NGUYEN", 0.5], ["\u00c9ngu 66", 2.0], ["n", 0.25]],
    [["Nguyen", 1.0], ["Zoe", 1.0]],
    [["nguyen", 1.0], ["NGUYEN", 2.0]],
)
FIRST_PASS = [["E", 1.0], ["The Bee", 2.0], ["QQ", 3.0]]  # for models with random weights
DECODED = [["Hi", 1.0], ["dACE", 0.5], ["HI IT 3", 2.0]]
FIRST_LETTER = 1 + len(SPECIAL) + len(BYTES)  # id of the first piece that is no byte
WEIGHTS = (0.0, 0.5, 3.0, 20.0)


def hotwords() -> dict:
    """What Kotlin has to find too."""
    random = np.random.default_rng(17)
    transducer, decoder = Recognizer.load(of_exits.MODEL), Recognizer.load(of_second_pass.MODEL)
    return {
        "phrases": _listed(PHRASES),
        "texts": [_bonuses("".join(random.choice(list("ab '\u00e9."), 24))) for _ in range(20)],
        "pieces": PIECES,
        "lists": [_rows(phrases, random) for phrases in LISTS],
        "letters": LETTERS,
        "searches": [_search(seed) for seed in range(5)],
        "first_pass": _listed(FIRST_PASS),
        "decoded": _listed(DECODED),
        "weights": WEIGHTS,
        "transducer": [_heard(transducer, weight) for weight in WEIGHTS],
        "decoder": [_decoded(decoder, weight) for weight in WEIGHTS],
    }


def _listed(phrases: Sequence) -> list[dict]:
    return [{"text": text, "weight": weight} for text, weight in phrases]


def _nbest(hypotheses: list[Hypothesis]) -> dict:
    return {
        "tokens": [list(hypothesis.tokens) for hypothesis in hypotheses],
        "log_probabilities": [hypothesis.log_probability for hypothesis in hypotheses],
        "bonuses": [hypothesis.bonus for hypothesis in hypotheses],
    }


def _decoder_nbest(candidates: list[Candidate]) -> dict:
    return {
        "tokens": [list(candidate.tokens) for candidate in candidates],
        "second": [candidate.second for candidate in candidates],
        "bonuses": [candidate.bonus for candidate in candidates],
    }


def _bonuses(text: str) -> dict:
    """The bonus of every prefix of a text, as it may go on and as it ends."""
    automaton = PhraseAutomaton(PHRASES)
    state, bonus, row = automaton.start, 0.0, {"text": text, "bonuses": [], "finished": []}
    for character in text:
        state, gain = automaton.walk(state, character)
        bonus += gain
        row["bonuses"].append(bonus)
        row["finished"].append(bonus + automaton.finished(state))
    return row


def _rows(phrases: list, random: np.random.Generator) -> dict:
    """What a list adds to subwords behind random ones, or why it is refused."""
    tokenizer = SubwordTokenizer(PIECES, offset=1)
    try:
        spellings = Spellings(tokenizer.spellings())
        bonus = token_bonus(as_phrases(phrases), 1.5, tokenizer, spellings, normalizes=True)
    except InputError as error:
        return {"phrases": _listed(phrases), "refused": str(error)}
    tokens = random.integers(FIRST_LETTER, tokenizer.vocabulary_size, 14).tolist()
    tokens[6:6] = tokenizer.encode("nguyen's").tolist()
    state, rows = bonus.start, []
    for token in tokens:
        rows.append(bonus.gains(state).tolist())
        state, _ = bonus.step(state, token)
    return {"phrases": _listed(phrases), "tokens": tokens, "rows": rows, "final": bonus.final(state)}


def _search(seed: int) -> dict:
    logits = 1.5 * np.random.default_rng(seed).standard_normal([9, len(LETTERS)])
    rows = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
    bonus = TokenBonus(PhraseAutomaton(PHRASES), Spellings(LETTERS))
    found = prefix_beam_search(rows, 6, 5, bonus)
    return {
        "log_probabilities": rows.tolist(),
        "beam": 6,
        "max_tokens": 5,
        "nbest": _nbest(found),
    }


def _heard(recognizer: Recognizer, weight: float) -> dict:
    """The first pass's texts of utterances of noise."""
    listed = recognizer.hotwords(FIRST_PASS, weight)
    frames = [of_exits.noise(length) for length in of_exits.LENGTHS]
    return {"texts": [recognizer.transcribe_frames(x, beam=True, hotwords=listed) for x in frames]}


def _decoded(recognizer: Recognizer, weight: float) -> dict:
    """Of tones: the first pass's texts, the second one's n-best, and what both choose."""
    listed = recognizer.hotwords(DECODED, weight)
    frames = [recognizer.features(of_second_pass.tone(length)) for length in of_second_pass.LENGTHS]
    found = [recognizer.candidates(x, listed) for x in frames]
    return {
        "beam": [recognizer.transcribe_frames(x, beam=True, hotwords=listed) for x in frames],
        "nbest": [_decoder_nbest(candidates) for candidates in found],
        "two_pass": [recognizer.transcribe_two_pass(x, hotwords=listed) for x in frames],
    }
