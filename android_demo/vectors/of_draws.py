"""Random draws of NumPy's generator, and what augmentation makes of a tone with them."""

import numpy as np

from tflite_asr.config import FeatureConfig
from tflite_asr.data.augment import vary_recording, vary_speed
from tflite_asr.data.frames import vary_frames

SEEDS = ([0], [3, 7], [0, 5, 2, 9, 77], [4294967295, 1])
NORMALS = 100_000  # enough for the ziggurat's tail and wedges
TONE_SAMPLES = 4000


def draws() -> dict:
    """For each list of seeds what is drawn, one kind after the other from one generator."""
    return {"normals": NORMALS, "of": [_draws(seeds) for seeds in SEEDS], "varied": varied()}


def _draws(seeds: list[int]) -> dict:
    random = np.random.default_rng(seeds)
    shuffled = list(range(20))
    drawn = {
        "seeds": seeds,
        "random": [random.random() for _ in range(5)],
        "uniform": [random.uniform(-6, 6), *random.uniform(0, 0.3, 2)],
        "integers": random.integers(1, 5, 21, endpoint=True).tolist(),
        "permutation": random.permutation(50).tolist(),
        "choice": [random.choice(230, 2, replace=False).tolist(), random.choice(40, 35, replace=False).tolist()],
    }
    random.shuffle(shuffled)
    normals = random.standard_normal(NORMALS, np.float32)
    return drawn | {
        "shuffled": shuffled,
        "first_normals": normals[:10].tolist(),
        "sum_of_normals": float(normals.sum(dtype=np.float64)),
        "largest_normal": float(abs(normals).max()),
        "chisquare": random.chisquare(6, 1000).tolist(),
        "random_after_all": random.random(),
    }


def varied() -> list[dict]:
    """A tone as a recording and as frames, varied by generators of several seeds."""
    tone = tone_samples()
    frames, features = tone_frames(), FeatureConfig()
    rows = []
    for seed in range(6):
        recording = vary_recording(vary_speed(tone, 1.12), 16000, np.random.default_rng([seed, 1]))
        moved = vary_frames(frames, features, np.random.default_rng([seed, 2]))
        rows.append(
            {
                "seed": seed,
                "samples": len(recording),
                "recording": recording[::500].tolist(),
                "frames": len(moved),
                "frame_means": moved.mean(axis=1, dtype=np.float64).tolist(),
            }
        )
    return rows


def tone_samples() -> np.ndarray:
    """A quarter of a second, by a formula that both sides have."""
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(TONE_SAMPLES) / 16000)).astype(np.float32)


def tone_frames() -> np.ndarray:
    """[50, 40] log-mel frames, by a formula that both sides have."""
    frame, band = np.mgrid[0:50, 0:40]
    return np.cos(frame / 7 + band / 5).astype(np.float32)
