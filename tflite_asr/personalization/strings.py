"""Training strings from stored features: joined, augmented, with the silence that recognition adds."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tflite_asr.data.alignment import alignment_problem
from tflite_asr.data.frames import joined, silent_frame, vary_frames, without_tail
from tflite_asr.personalization.batches import validation_copies
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer

GAP_SECONDS = (0.05, 0.25)  # between two utterances, as `data.connect` draws it
ROOM = 0.75  # of the model's longest utterance: a string of several leaves room for slower speech and pauses


class Strings:
    """Makes examples of up to `connect` utterances.

    Args:
        recognizer: whose sizes and tokens they are made for.
        connect: most utterances of one string.
        augment: speed, level, silence, noise.
    """

    def __init__(self, recognizer: Recognizer, connect: int, augment: bool):
        self.config, self.tokenizer = recognizer.config, recognizer.labels
        self.connect, self.augment = connect, augment
        features = self.config.features
        # in frames
        self._gaps = [round(seconds * features.sample_rate / features.hop_samples) for seconds in GAP_SECONDS]

    def endless(
        self, numbers: Sequence[int], read: Callable[[int], Example], random: np.random.Generator
    ) -> Iterator[list[Example]]:
        """Pass after pass over the utterances, each in one string a pass, the strings drawn anew."""
        while True:
            yield from self._one_pass(numbers, read, random)

    def validation(
        self, numbers: Sequence[int], read: Callable[[int], Example], random: np.random.Generator
    ) -> list[Example]:
        """Every utterance once as it was recorded and, where training varies its own, in varied copies."""
        plain = [self.example(parts, None) for parts in self._one_pass(numbers, read, random)]
        if not self.augment:
            return plain
        copies = [self._one_pass(numbers, read, random) for _ in range(1, validation_copies(len(numbers)))]
        return plain + [self.example(parts, random) for copy in copies for parts in copy]

    def example(self, parts: Sequence[Example], random: np.random.Generator | None) -> Example:
        """One string; varied by `random`, as it is without."""
        config, features = self.config, self.config.features
        text = " ".join(part.text for part in parts)
        tokens = self.tokenizer.encode(text)
        pieces = [without_tail(part.frames, config) for part in parts]
        draw = random or np.random.default_rng(len(parts))
        shortest, longest = self._gaps
        frames = joined(pieces, draw.integers(shortest, longest, len(parts) - 1, endpoint=True).tolist(), features)
        if random and self.augment:
            varied = vary_frames(frames, features, random)
            frames = varied if len(varied) <= config.sizes.max_frames and self._aligned(tokens, len(varied)) else frames
        tail = min(config.tail_frames, config.sizes.max_frames - len(frames))
        frames = np.concatenate([frames, np.repeat(silent_frame(frames, features), tail, axis=0)]).astype(np.float32)
        return Example(frames, tokens, text, ", ".join(part.where for part in parts))

    def _one_pass(
        self, numbers: Sequence[int], read: Callable[[int], Example], random: np.random.Generator
    ) -> Iterator[list[Example]]:
        parts: list[Example] = []
        wanted = 0
        for index in random.permutation(len(numbers)):
            part = read(numbers[index])
            if parts and (len(parts) == wanted or not self._fits([*parts, part])):
                yield parts
                parts = []
            if not parts:
                wanted = int(random.integers(1, self.connect, endpoint=True))
            parts.append(part)
        yield parts

    def _fits(self, parts: Sequence[Example]) -> bool:
        frames = sum(len(part.frames) for part in parts)  # their tails are about as long as the gaps
        tokens = self.tokenizer.encode(" ".join(part.text for part in parts))
        shortest = sum(len(without_tail(part.frames, self.config)) for part in parts) + self._gaps[0] * (len(parts) - 1)
        fits = frames <= ROOM * self.config.sizes.max_frames and len(tokens) <= self.config.max_labels
        return fits and self._aligned(tokens, shortest)

    def _aligned(self, tokens: np.ndarray, frames: int) -> bool:
        """Whether a string of so many frames, before its silence is added, has room for the labels."""
        frames = min(frames + self.config.tail_frames, self.config.sizes.max_frames)
        return alignment_problem(tokens, frames, self.config) is None
