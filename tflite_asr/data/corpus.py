"""Speech held in memory and checked when it is loaded, and clips assembled from it."""

import sys
from collections.abc import Sequence

import numpy as np

from tflite_asr.audio.decoding import TooLongError
from tflite_asr.audio.reading import Notify
from tflite_asr.config import ModelConfig
from tflite_asr.data.alignment import listed
from tflite_asr.data.augment import SPEEDS, add_noise, vary_recording, vary_speed
from tflite_asr.data.connect import Clip
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.text.labels import label_tokenizer
from tflite_asr.text.subwords import decoder_tokenizer


class Corpus:
    """Utterances held in memory as 16-bit samples, checked when they are loaded.

    Args:
        utterances: what to load; their transcripts must fit the model's vocabulary and sizes. Recordings too short to
            hold a word are left out of `utterances`, with a notice. A text may be empty where there is no transcript.
        config: of the model.
        notify: called with what was done to the audio.
        measuring: transcripts may have any length, for nothing is learned from them; recordings longer than the
            model takes are named and left out.
        leave_out_longer: recordings and transcripts longer than the model takes are named and left out, in place of
            an error.
        second_pass: utterances have to be spelled for the second pass too; see `labels`.

    Attributes:
        utterances: those that were loaded.
        too_long: with `measuring`, the rows that were left out for it, each with its length.
        too_short: the rows that were left out for it.
        noise: recordings [n] float32 that `assemble` puts under speech.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        config: ModelConfig,
        notify: Notify | None = None,
        *,
        measuring: bool = False,
        leave_out_longer: bool = False,
        second_pass: bool = False,
    ):
        self.config = config
        self.utterances: list[Utterance] = []
        self.too_long: list[str] = []
        self.too_short: list[str] = []
        self.noise: list[np.ndarray] = []
        self.tokenizer = label_tokenizer(config)
        self._second_tokenizer = decoder_tokenizer(config) if second_pass else None
        self._any_text = measuring
        rate = config.features.sample_rate
        self._samples: dict[str, np.ndarray] = {}
        from tqdm import tqdm

        for utterance in tqdm(utterances, desc="reading", unit="file", disable=None, leave=False):
            text = Clip((utterance,)).text
            tokens = self.tokenizer.encode(text, where=utterance.where) if text else ()
            if len(tokens) > config.max_labels and not measuring:
                if leave_out_longer:
                    self.too_long.append(f"{utterance.where} ({len(tokens)} tokens)")
                    continue
                raise InputError(
                    f"{utterance.where}: expected at most {config.max_labels} tokens, the transcript has {len(tokens)}"
                )
            try:
                samples = utterance.read(rate, config.max_seconds, notify)
            except TooLongError as error:
                if not (measuring or leave_out_longer):
                    raise
                self.too_long.append(f"{utterance.where} ({error.seconds:.2f} s)")
                continue
            if is_too_short(samples, config, utterance, notify):
                self.too_short.append(utterance.where)
                continue
            self.utterances.append(utterance)
            self._samples[utterance.where] = np.round(samples * 32767).astype(np.int16)
        self._check_left_out(len(utterances))

    def _check_left_out(self, total: int) -> None:
        """Name recordings that are too long, on standard error; InputError when all recordings were left out."""
        least, most = f"{self.config.min_seconds:g} s", f"{self.config.max_seconds:g} s"
        left_out = [*self.too_long, *self.too_short]
        if left_out and not self.utterances:
            if not self.too_long:
                raise InputError(f"{left_out[0]}: expected recordings of {least} or more, all {total} are shorter")
            if not self.too_short:
                raise InputError(
                    f"expected recordings of at most {most}, all {total} are longer: {listed(left_out)}; cut them"
                )
            raise InputError(
                f"expected recordings of {least} to {most}, all {total} are longer or shorter: {listed(left_out)}"
            )
        if self.too_long:
            rows = listed(self.too_long)
            or_tokens = "" if self._any_text else f" or {self.config.max_labels} tokens"
            print(
                f"notice: {len(self.too_long)} of {total} recordings left out, longer than {most}{or_tokens}: {rows}",
                file=sys.stderr,
            )

    def labels(self, text: str) -> list[np.ndarray]:
        """The labels of a text: token ids [tokens] int32 of the first pass, then of the second pass if the corpus was
        loaded for it.
        """
        tokenizers = [self.tokenizer, *([self._second_tokenizer] if self._second_tokenizer else [])]
        return [tokenizer.encode(text) for tokenizer in tokenizers]

    def samples(self, utterance: Utterance) -> np.ndarray:
        """[n] float32 in [-1, 1]."""
        return self._samples[utterance.where].astype(np.float32) / 32767

    def assemble(self, clip: Clip, random: np.random.Generator | None = None) -> np.ndarray:
        """[n] float32: the clip's parts and gaps; with `random`, at a random speed, level, with noise, of `noise` as
        well, and pauses.
        """
        rate = self.config.features.sample_rate
        speed = float(random.choice(SPEEDS)) if random else 1.0
        pieces = [vary_speed(self.samples(clip.parts[0]), speed)]
        for part, gap in zip(clip.parts[1:], clip.gaps_seconds):
            pieces += [np.zeros(int(gap * rate), np.float32), vary_speed(self.samples(part), speed)]
        if random:
            pieces = [piece * 10 ** (random.uniform(-6, 6) / 20) for piece in pieces]
        samples = np.concatenate(pieces)
        return vary_recording(add_noise(samples, self.noise, random), rate, random) if random else samples


def is_too_short(samples: np.ndarray, config: ModelConfig, utterance: Utterance, notify: Notify | None = None) -> bool:
    """Whether an utterance's samples [n] are too few to hold a word; if so, `notify` is called."""
    if len(samples) >= round(config.min_seconds * config.features.sample_rate):
        return False
    if notify:
        notify(f"left out recordings shorter than {config.min_seconds:g} s, which hold no whole word", utterance.where)
    return True
