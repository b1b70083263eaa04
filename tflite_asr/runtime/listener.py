"""Speech as it comes from a microphone: chunks of samples in, the text so far out."""

from collections.abc import Iterable, Iterator

import numpy as np

from tflite_asr.runtime.hotwords import Hotwords
from tflite_asr.runtime.recognizer import Recognizer

PAUSE_SECONDS = 1.2  # without a new label: an utterance is over


def listen(
    recognizer: Recognizer, chunks: Iterable[np.ndarray], *, hotwords: Hotwords | None = None
) -> Iterator[tuple[str, bool]]:
    """Transcribe samples [any] float32 in [-1, 1] at the model's rate as they come.

    Yields:
        the text of the utterance so far, and whether the utterance is over. After a pause the encoder starts anew:
        it has not learnt to listen longer than the model's longest utterance. With hotwords the last text of an
        utterance is what beam search with them hears in the whole; before it gets longer than the model takes whole, it
        is over.
    """
    features, sizes = recognizer.config.features, recognizer.config.sizes
    pause_chunks = PAUSE_SECONDS * features.sample_rate / (sizes.stream_frames * features.hop_samples)
    longest = sizes.max_frames - sizes.stream_frames
    frames = stream_frames(recognizer, chunks)
    more = True
    while more:
        said, unchanged = "", 0
        more = False
        kept: list[np.ndarray] = []
        for text in recognizer.stream(_kept(frames, kept) if hotwords else frames):
            unchanged = unchanged + 1 if text == said else 0
            said = text
            if (said and unchanged >= pause_chunks) or sum(map(len, kept)) > longest:
                more = True
                break
            yield said, False
        if said and hotwords:
            said = recognizer.transcribe_frames(np.concatenate(kept), beam=True, hotwords=hotwords)
        if said:
            yield said, True


def _kept(frames: Iterable[np.ndarray], kept: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The same frames, which are added to a list as they go by."""
    for some in frames:
        kept.append(some)
        yield some


def stream_frames(recognizer: Recognizer, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Log-mel frames [stream_frames, mel_bands] of samples as they come, the last ones fewer.

    Together they are the frames that `Recognizer.features` makes of the whole, the silence at its end among them.
    """
    features, size = recognizer.config.features, recognizer.config.sizes.stream_frames
    taken, needed = size * features.hop_samples, features.samples_of(size)
    waiting = np.zeros([0], np.float32)
    for chunk in chunks:
        waiting = np.concatenate([waiting, chunk])
        while len(waiting) >= needed:
            yield recognizer.features(waiting[:needed])[:size]
            waiting = waiting[taken:]
    waiting = np.pad(waiting, (0, recognizer.config.tail_frames * features.hop_samples))
    while features.frames_of(len(waiting)):
        part = waiting[:needed]
        yield recognizer.features(part)[: features.frames_of(len(part))]
        waiting = waiting[taken:]
