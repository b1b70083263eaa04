"""Checks of samples."""

import numpy as np

from tflite_asr.errors import InputError

SILENT_PEAK = 1e-4  # -80 dB of full scale; a muted microphone stays below, a distant whisper does not
ABSURD_PEAK = 8.0  # lossy decoders overshoot full scale a little; beyond this the samples were never scaled to it
FULL_SCALE = {"int16": 32768, "int32": 2147483648, "int8": 128}


def checked_samples(samples: object, where: str = "samples") -> np.ndarray:
    """Samples [n] as float32; InputError unless they are floats of one channel, from about -1 to 1.

    Args:
        samples: an array of float16, float32 or float64, or a list of floats.
        where: what an error names as their place.
    """
    array = floats_of(samples, where, "samples from -1 to 1")
    if array.ndim != 1:
        raise InputError(
            f"{where}: expected samples of one channel [n], got shape {list(array.shape)}; mix the channels down"
        )
    if not array.size:
        raise InputError(f"{where}: expected speech, got no samples")
    check_range(array, where)
    return array.astype(np.float32, copy=False)


def check_range(samples: np.ndarray, where: str) -> None:
    """InputError unless all samples, of any shape, are finite and were scaled to [-1, 1]."""
    bad = np.count_nonzero(~np.isfinite(samples))
    if bad:
        raise InputError(f"{where}: expected finite samples, {bad} are NaN or infinite")
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak > ABSURD_PEAK:
        raise InputError(f"{where}: expected samples from -1 to 1, got a peak of {peak:g}; scale them")


def check_not_silent(samples: np.ndarray, where: str = "samples") -> None:
    """InputError for samples from which nothing can be learned."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak < SILENT_PEAK:
        raise InputError(f"{where}: expected speech, got silence (peak {peak:.1g} of full scale); leave it out")


def floats_of(values: object, where: str, expected: str) -> np.ndarray:
    """An array of floats from an array or a list of numbers; InputError for anything else."""
    given = getattr(values, "dtype", None)
    if given is None:
        if not isinstance(values, list | tuple):
            raise InputError(f"{where}: expected a NumPy array of {expected}, got {type(values).__name__}")
        try:
            array = np.asarray(values)
            if array.dtype.kind in "iu" and (not array.size or np.max(np.abs(array)) <= 1):
                array = array.astype(np.float32)  # a list such as [0, 1, 0.5] may have no float in it
        except (ValueError, OverflowError):  # rows of several lengths
            raise InputError(f"{where}: expected {expected}, got a list of lists of different lengths") from None
    else:
        array = np.asarray(values)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        name = array.dtype.name
        if name in FULL_SCALE:
            remedy = f"divide by {FULL_SCALE[name]}"
        else:
            remedy = "subtract 128 and divide by 128" if name == "uint8" else "convert them"
        raise InputError(f"{where}: expected {expected} as float32, got {name}; {remedy}")
    return array
