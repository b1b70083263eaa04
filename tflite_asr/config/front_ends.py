"""Front ends: what `features` returns, and how many samples its frames cover."""

from dataclasses import dataclass
from typing import Literal


class Framing:
    """Overlapping windows over samples, one for each frame."""

    window_samples: int
    hop_samples: int

    def samples_of(self, frames: int) -> int:
        """How many samples make `frames` frames."""
        return self.window_samples + (frames - 1) * self.hop_samples

    def frames_of(self, samples: int) -> int:
        """How many whole frames are in `samples` samples (0 when shorter than a window)."""
        return max(0, (samples - self.window_samples) // self.hop_samples + 1)


@dataclass(frozen=True)
class FeatureConfig(Framing):
    """Log-mel frames. The band ends at 3.8 kHz so that 8 kHz recordings sound like 16 kHz ones."""

    sample_rate: int = 16_000  # Hz
    window_samples: int = 400  # 25 ms
    hop_samples: int = 160  # 10 ms
    fft_size: int = 512
    mel_bands: int = 40
    min_hz: float = 60.0
    max_hz: float = 3_800.0
    log_floor: float = 1e-7  # mel power; a little above the rounding noise of 16 bits
    mean: float = -7.5  # of log-mel over speech, and
    deviation: float = 3.5  # its standard deviation: brings frames near zero mean and unit variance
    kind: Literal["log_mel"] = "log_mel"

    @property
    def width(self) -> int:
        """Values in a frame."""
        return self.mel_bands


@dataclass(frozen=True)
class StemConfig(Framing):
    """Waveform stem: three strided convolutions on the samples (Jeffries et al. 2024, arXiv 2410.15608, section 3).

    A kernel of 127 samples every 64, then of 7 steps every 3, then of 3 steps every 2, none padded: a frame covers 895
    samples (56 ms), the next starts 384 samples (24 ms) later.
    """

    units: int  # of the first and the last convolution; the middle one has twice as many
    sample_rate: int = 16_000  # Hz
    kind: Literal["stem"] = "stem"

    window_samples = 895  # class attributes: they follow from the kernels
    hop_samples = 384

    @property
    def width(self) -> int:
        """Values in a frame."""
        return self.units


FRONT_ENDS = {"log_mel": FeatureConfig, "stem": StemConfig}  # by `kind`
