import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 16000


@pytest.fixture(scope="session")
def speakers(tmp_path_factory) -> Callable[[int], Path]:
    """A function: number of speakers -> manifest. Each says two words, a tone of the speaker's in noise, twelve times."""

    def make(count: int) -> Path:
        folder = tmp_path_factory.mktemp("speech")
        rows = []
        for speaker in range(count):
            random = np.random.default_rng(speaker)
            for take in range(12):
                word, hertz = (("ONE", 300), ("TWO", 1200))[take % 2]
                time = np.arange(int(0.4 * RATE)) / RATE
                samples = 0.3 * np.sin(2 * np.pi * hertz * (1 + 0.05 * speaker) * time)
                samples += 0.01 * random.standard_normal(len(time))
                audio = f"{speaker}_{take}.wav"
                soundfile.write(folder / audio, samples.astype(np.float32), RATE)
                split = "pers_adapt" if take < 8 else "pers_test"
                rows.append({"audio": audio, "text": word, "speaker": f"s{speaker}", "split": split})
        (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder / "m.jsonl"

    return make
