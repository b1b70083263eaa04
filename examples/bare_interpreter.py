"""Call the signatures of an exported file through the bare TFLite interpreter: no line of this package runs.

    python examples/bare_interpreter.py tflite_asr/assets/commands.tflite turn_left.wav "TURN LEFT"

The file is mono, 16 kHz, 16 bits. Features, labels, one training step and the loss after it. A host in another language
does the same; NAME.json beside the file has shapes, characters and groups.
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main(model: Path, recording: Path, text: str) -> None:
    description = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    inputs = {row["name"]: row["shape"] for row in description["signatures"]["train"]["inputs"]}
    characters = description["tokenizer"]["characters"]  # id 1 is the first of them, 0 the blank
    features, tail = description["model"]["features"], description["model"]["tail_frames"]
    interpreter = Interpreter(str(model))

    with wave.open(str(recording)) as file:
        spoken = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    batch, most, bands = inputs["frames"]
    samples = np.zeros([1, features["window_samples"] + (most - 1) * features["hop_samples"]], np.float32)
    samples[0, : len(spoken)] = spoken
    count = (len(spoken) - features["window_samples"]) // features["hop_samples"] + 1 + tail  # silence at the end

    frames = interpreter.get_signature_runner("features")(samples=samples)["frames"]
    heard = interpreter.get_signature_runner("infer")(frames=frames, frame_lengths=np.int32([count]))
    labels = heard["tokens"][0, : heard["token_lengths"][0]]
    print("heard", repr("".join(characters[label - 1] for label in labels)))

    tokens = np.zeros([batch, inputs["tokens"][1]], np.int32)
    tokens[0, : len(text)] = [characters.index(character) + 1 for character in text]
    rows = np.zeros([batch, most, bands], np.float32)
    rows[0] = frames[0]
    one = {
        "frames": rows,
        "frame_lengths": np.int32([count] + [0] * (batch - 1)),  # rows of length 0 are empty
        "tokens": tokens,
        "token_lengths": np.int32([len(text)] + [0] * (batch - 1)),
    }
    rates = {
        "learning_rate": np.float32([1e-3]),
        "clip_norm": np.float32([0.0]),  # 0: the gradient is not clipped
        "pull": np.float32([0.0]),  # towards the shipped weights
        "group_rates": np.ones(inputs["group_rates"], np.float32),  # in the order of description["groups"]
    }
    print("loss before", interpreter.get_signature_runner("train")(**one, **rates)["loss"])
    print("loss after ", interpreter.get_signature_runner("loss")(**one)["loss"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
