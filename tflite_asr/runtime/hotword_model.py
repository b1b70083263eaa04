"""Hotwords of a recogniser, and phrases learned from corrections. No TensorFlow."""

import functools
from collections.abc import Sequence

from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.hotwords import UNTUNED_WEIGHT, Hotwords, Spellings, TokenBonus, token_bonus
from tflite_asr.runtime.interpreter import Signatures
from tflite_asr.runtime.loaded_model import LoadedModel
from tflite_asr.text.phrases import Phrase, as_phrases
from tflite_asr.text.tokenizer import Tokenizer

LEARNED_PHRASES = "learned_phrases"  # also the name of a checkpoint's tensor


class HotwordModel(LoadedModel):
    """A model with hotwords, and with phrases that it learned."""

    def __init__(self, artifact: Artifact, model: Signatures):
        super().__init__(artifact, model)
        self._learned_phrases: list[str] = []
        self._learned_hotwords: Hotwords | None = None

    @property
    def hotword_weight(self) -> float:
        """The bonus for each letter of a hotword, in nats, as `tune-hotwords` found it."""
        return (self.artifact.hotwords or {"weight": UNTUNED_WEIGHT})["weight"]

    def hotwords(
        self, phrases: Sequence[str | tuple[str, float] | Phrase], weight: float | None = None
    ) -> Hotwords | None:
        """Prepare phrases for beam search, once for many utterances: names and other words that are likelier today than
        the model expects.

        A phrase gains a bonus where its words occur as whole words, in any case. `learned_phrases` are added to it.

        Args:
            phrases: strings, or pairs of a string and its weight relative to the others (1).
            weight: nats for each letter; None: `hotword_weight`.

        Returns:
            What the searches take; None if the weight is 0 and there are no `learned_phrases`. A weight of 0 switches
            those off.

        Raises:
            InputError: no phrases, too many, one twice, letters that the model does not have, or a weight that is not a
                number.
        """
        found = as_phrases(phrases)
        given = {phrase.text.casefold() for phrase in found}
        found += [Phrase(text) for text in self._learned_phrases if text.casefold() not in given]
        weight = self.hotword_weight if weight is None else weight
        hotwords = self._bonuses(found, weight)
        return hotwords if weight or self._learned_phrases else None

    @property
    def learned_phrases(self) -> list[str]:
        """Names learned from corrections. A beam search without hotwords takes these; a checkpoint stores them."""
        return list(self._learned_phrases)

    @learned_phrases.setter
    def learned_phrases(self, phrases: Sequence[str]) -> None:
        """Phrases that corrections taught: hotwords of every search."""
        found = as_phrases(phrases, LEARNED_PHRASES) if phrases else []
        if any(phrase.weight != 1 for phrase in found):
            raise InputError(f"{LEARNED_PHRASES}: expected phrases without weights")
        hotwords = self._bonuses(found, self.hotword_weight) if found else None
        with self.model.lock:
            self._learned_phrases, self._learned_hotwords = [phrase.text for phrase in found], hotwords

    def _bonuses(self, phrases: Sequence[Phrase], weight: float) -> Hotwords:
        """The bonuses of phrases in the first pass, and in a second pass that decodes."""
        cased = self.config.cased
        bonuses = [
            token_bonus(phrases, weight, tokenizer, spellings, normalizes=cased)
            for tokenizer, spellings in zip(self._tokenizers, self._spellings)
        ]
        return Hotwords(*bonuses)

    @property
    def _tokenizers(self) -> list[Tokenizer]:
        """The tokenizers of the first pass, and of a second pass that decodes."""
        return [self.tokenizer, self.subwords] if self.subwords else [self.tokenizer]

    @functools.cached_property
    def _spellings(self) -> list[Spellings]:
        """The spellings of the first pass's tokens, and of those of a second pass that decodes."""
        return [Spellings(tokenizer.spellings()) for tokenizer in self._tokenizers]

    def _can_spell(self, name: str) -> bool:
        """Whether both passes have the letters of a name, so that it can be a hotword."""
        try:
            self._bonuses([Phrase(name)], self.hotword_weight)
        except InputError:
            return False
        return True

    def _first_pass_bonus(self, hotwords: Hotwords | None) -> TokenBonus | None:
        """The bonus of hotwords, or of the learned phrases, in the first pass."""
        hotwords = hotwords or self._learned_hotwords
        return hotwords.first if hotwords else None
