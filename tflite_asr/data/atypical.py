"""Simulated atypical speech: features of dysarthric speech applied to other recordings.

Slow and uneven tempo, consonants that run into their neighbours, shaky pitch and breath are the dimensions that
clinicians rate (Darley, Aronson and Brown 1969). Nobody who speaks like this was recorded: all that comes out is named
simulated, and a word error rate on it says how a model copes with the simulation.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tflite_asr.audio.reading import Notify
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.libraries import load_librosa
from tflite_asr.names import for_library

NAME = "simulated-atypical"  # part of every such speaker's name, and the value of the field `simulated`
TEMPO_PERIOD_SECONDS = 0.35  # tempo changes about as fast as syllables do
GRAIN_SECONDS, SEARCH_SECONDS = 0.032, 0.008  # of the stretching
EDGE_HZ = 1500  # consonants are smeared, and breath is heard, above


@dataclass(frozen=True)
class Atypical:
    """How one simulated speaker speaks."""

    slowness: float  # how many times as long as it was
    unevenness: float  # standard deviation of the tempo's logarithm
    imprecision: float  # share of the spectrum above `EDGE_HZ` that is smeared over 80 ms
    shake: float  # standard deviation of the pitch, as a share of it
    breath_db: float  # noise relative to the speech


def draw_atypical(speaker: str, seed: int) -> Atypical:
    """The same for the same name and seed."""
    random = np.random.default_rng([seed, 17, zlib.crc32(speaker.encode())])
    return Atypical(
        slowness=float(random.uniform(1.15, 1.6)),
        unevenness=float(random.uniform(0.1, 0.3)),
        imprecision=float(random.uniform(0.4, 0.8)),
        shake=float(random.uniform(0.01, 0.04)),
        breath_db=float(random.uniform(-22, -12)),
    )


def make_atypical(samples: np.ndarray, sample_rate: int, how: Atypical, random: np.random.Generator) -> np.ndarray:
    """[n] float32 from -1 to 1 -> about [n * slowness], as loud as it was."""
    level = np.sqrt(np.mean(samples**2))
    speech = _shaken(samples, sample_rate, how.shake, random)
    speech = _smeared(speech, sample_rate, how.imprecision, random)
    speech = _slowed(speech, sample_rate, how, random)
    speech = _breathy(speech, sample_rate, how.breath_db, random)
    speech = speech * level / (np.sqrt(np.mean(speech**2)) + 1e-9)
    return (speech / max(1.0, np.max(np.abs(speech)))).astype(np.float32)


def atypical_rows(
    folder: Path, utterances: Iterable[Utterance], sample_rate: int, seed: int, notify: Notify | None = None
) -> Iterator[dict[str, Any]]:
    """Write each utterance, as a simulated speaker says it, into a folder; yields manifest rows.

    Every speaker becomes one simulated speaker; all other fields stay, so a `split` does too.
    """
    import soundfile

    for number, utterance in enumerate(utterances):
        if utterance.speaker is None:
            raise InputError(f"{utterance.where}: expected a 'speaker', each gets a manner of speaking of its own")
        samples = utterance.read(sample_rate, notify=notify)
        changed = make_atypical(
            samples, sample_rate, draw_atypical(utterance.speaker, seed), np.random.default_rng([seed, number])
        )
        audio = Path("audio") / f"{number:05d}.flac"
        (folder / "audio").mkdir(parents=True, exist_ok=True)
        path = for_library(folder / audio)
        # soundfile takes bytes as a path
        soundfile.write(path, changed, sample_rate, subtype="PCM_16")  # pyright: ignore[reportArgumentType]
        yield {
            **utterance.extra,
            "audio": audio.as_posix(),
            "text": utterance.text,
            "speaker": f"{utterance.speaker}-{NAME}",
            "duration": round(len(changed) / sample_rate, 4),
            "sample_rate": sample_rate,
            "simulated": NAME,
        }


def _shaken(samples: np.ndarray, rate: int, shake: float, random: np.random.Generator) -> np.ndarray:
    """Played at a speed that trembles 4 to 7 times a second and drifts, pitch with it."""
    time = np.arange(len(samples)) / rate
    speed = np.zeros(len(samples))
    for hertz in (*random.uniform(4, 7, 2), random.uniform(0.5, 1.5)):
        speed += np.sin(2 * np.pi * (hertz * time + random.random()))
    position = np.cumsum(1 + shake * speed / np.sqrt(1.5))
    return np.interp(position - position[0], np.arange(len(samples)), samples)


def _smeared(samples: np.ndarray, rate: int, share: float, random: np.random.Generator) -> np.ndarray:
    """Magnitudes above the edge averaged over 80 ms: closures fill with noise, bursts fade."""
    from scipy.ndimage import uniform_filter1d

    librosa = load_librosa()
    hop = rate // 100
    spectrum = librosa.stft(np.asarray(samples, np.float32), n_fft=4 * hop, hop_length=hop)
    high = librosa.fft_frequencies(sr=rate, n_fft=4 * hop) > EDGE_HZ
    sharp = spectrum[high]
    smooth = uniform_filter1d(np.abs(sharp), 8, axis=1)
    # the phase is that of the speech, of noise where there is hardly any
    noise = random.standard_normal((2, *sharp.shape))
    phased = sharp + 0.1 * smooth * (noise[0] + 1j * noise[1])
    spectrum[high] = (1 - share) * sharp + share * smooth * phased / (np.abs(phased) + 1e-12)
    return librosa.istft(spectrum, hop_length=hop, length=len(samples))


def _slowed(samples: np.ndarray, rate: int, how: Atypical, random: np.random.Generator) -> np.ndarray:
    """Waveform-similarity overlap-add (Verhelst and Roelands 1993) at a tempo that wanders, pitch as it was."""
    grain, search = int(GRAIN_SECONDS * rate), int(SEARCH_SECONDS * rate)
    hop = grain // 2
    count = max(2, int(len(samples) * how.slowness / hop))
    knots = max(2, round(len(samples) / rate / TEMPO_PERIOD_SECONDS) + 1)
    tempo = np.exp(random.normal(0, how.unevenness, knots))
    steps = np.interp(np.linspace(0, knots - 1, count), np.arange(knots), tempo)
    positions = np.concatenate([[0], np.cumsum(steps)[:-1]]) * len(samples) / steps.sum()
    padded = np.pad(samples, (search, grain + hop + 2 * search))
    window = np.hanning(grain + 1)[:-1]
    out = np.zeros(count * hop + grain)
    follows = padded[search : search + grain]  # what would come next if nothing were stretched
    for index, position in enumerate(positions.astype(int)):
        region = padded[position : position + grain + 2 * search]
        best = position + int(np.argmax(np.correlate(region, follows, mode="valid")))
        out[index * hop : index * hop + grain] += window * padded[best : best + grain]
        follows = padded[best + hop : best + hop + grain]
    return out


def _breathy(samples: np.ndarray, rate: int, breath_db: float, random: np.random.Generator) -> np.ndarray:
    """Noise above the edge under the voice, as loud as the voice is at the time."""
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import butter, sosfilt

    noise = np.asarray(
        sosfilt(butter(2, EDGE_HZ, "highpass", fs=rate, output="sos"), random.standard_normal(len(samples)))
    )
    envelope = np.sqrt(uniform_filter1d(samples**2, int(0.04 * rate)) + 1e-12)
    return samples + noise / np.std(noise) * envelope * 10 ** (breath_db / 20)
