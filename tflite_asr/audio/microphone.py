"""The microphone and the loudspeaker, through the package sounddevice (extra `record`)."""

import queue
import sys
from collections.abc import Callable, Iterator

import numpy as np

from tflite_asr.errors import InputError

BLOCK_SECONDS = 0.1


class Microphone:
    """The system's default devices, one channel.

    Args:
        sample_rate: samples a second.
    """

    def __init__(self, sample_rate: int):
        try:
            import sounddevice
        except ImportError:
            raise InputError("the microphone needs sounddevice: pip install 'tflite_asr[record]'") from None
        except OSError as error:  # the package is there, the system's PortAudio is not
            raise InputError(f"the microphone needs the system's PortAudio: {error}") from None
        self._device, self.sample_rate = sounddevice, sample_rate

    def blocks(self) -> Iterator[np.ndarray]:
        """Samples [n] float32 as they come, about ten blocks a second, until the reader closes the iterator."""
        blocks: queue.Queue[np.ndarray] = queue.Queue()
        stream = self._opened(lambda samples, *_: blocks.put(samples[:, 0].copy()))
        with stream:
            while True:
                yield blocks.get()

    def play(self, samples: np.ndarray) -> None:
        """Play [n] float32 to the end."""
        try:
            self._device.play(samples, self.sample_rate)
            self._device.wait()
        except self._device.PortAudioError as error:
            raise InputError(f"cannot play: {error}") from None

    def _opened(self, callback: Callable):
        try:
            return self._device.InputStream(
                self.sample_rate, int(BLOCK_SECONDS * self.sample_rate), channels=1, dtype="float32", callback=callback
            )
        except self._device.PortAudioError as error:
            raise InputError(f"cannot record: {error}; connect a microphone, or use --from-folder") from None


def show_level(samples: np.ndarray) -> None:
    """A level meter from -60 dB to full scale on standard error, in place of the one before."""
    peak_db = 20 * np.log10(max(float(np.max(np.abs(samples), initial=0.0)), 1e-4))
    width = int(max(0.0, 60 + peak_db) / 2)
    print(f"\r[{'#' * width:<30}] {peak_db:4.0f} dB", end="", file=sys.stderr, flush=True)
