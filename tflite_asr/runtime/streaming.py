"""An utterance in chunks: the signature `stream`, whose state is passed from chunk to chunk."""

from collections.abc import Iterable, Iterator

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import checked_frames, padded_frames
from tflite_asr.runtime.decoder import BeamSearch
from tflite_asr.runtime.interpreter import Signatures


def stream_results(
    model: Signatures, artifact: Artifact, chunks: Iterable[np.ndarray], at: dict[str, np.ndarray]
) -> Iterator[dict[str, np.ndarray]]:
    """The outputs of `stream` for frames [any, mel_bands] as they arrive, chunk by chunk, and for the rest at the end.

    Args:
        model: of the artifact.
        artifact: whose encoder streams.
        chunks: of log-mel frames.
        at: the input that says where to leave, of a model with early exits.
    """
    config = artifact.config
    remembered = _start(model, artifact)
    for frames in _cut(chunks, config.sizes.stream_frames, config.features.width):
        inputs = padded_frames(frames, config.sizes.stream_frames, config.features.width)
        result = model.run("stream", {**inputs, **at, **remembered})
        remembered = {name: result[name] for name in remembered}
        yield result


def _start(model: Signatures, artifact: Artifact) -> dict[str, np.ndarray]:
    """The state of `stream` before the first chunk."""
    if "stream" not in artifact.signatures:
        raise InputError(f"{artifact.path}: its encoder needs the whole utterance; transcribe without streaming")
    zeros = {
        tensor["name"]: np.zeros(tensor["shape"], tensor["dtype"])
        for tensor in artifact.signatures["stream"]["inputs"]
        if tensor["name"] not in ("frames", "frame_lengths", "exit")
    }
    if not artifact.config.is_transducer:
        return zeros
    labels = BeamSearch(model, artifact.config).start()
    return {**zeros, **{name: rows[:1] for name, rows in labels.items()}}


def _cut(chunks: Iterable[np.ndarray], size: int, mel_bands: int) -> Iterator[np.ndarray]:
    """The same frames in chunks of `size`, the last one perhaps shorter."""
    waiting = np.zeros([0, mel_bands], np.float32)
    for chunk in chunks:
        waiting = np.concatenate([waiting, checked_frames(chunk, mel_bands, "chunk")])
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if len(waiting):
        yield waiting
