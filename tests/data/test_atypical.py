"""Each dimension of simulated atypical speech on a signal where it can be measured."""

import json
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main
from tflite_asr.data import atypical
from tflite_asr.data.atypical import NAME, Atypical, draw_atypical, make_atypical
from tflite_asr.data.manifest import read_manifest

RATE = 16000
NOTHING = Atypical(slowness=1.0, unevenness=0.0, imprecision=0.0, shake=0.0, breath_db=-100.0)


def tone(seconds=1.0, hertz=200.0):
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * sum(np.sin(2 * np.pi * k * hertz * time) / k for k in (1, 2, 3))).astype(np.float32)


def changed(samples, seed=0, **how):
    return make_atypical(samples, RATE, Atypical(**{**NOTHING.__dict__, **how}), np.random.default_rng(seed))


def pitch(samples):
    track = librosa.yin(samples, fmin=120, fmax=350, sr=RATE)
    return track[5:-5]


@pytest.mark.parametrize("slowness", [1.0, 1.3, 1.6])
def test_slow_speech_is_longer_and_no_lower(slowness):
    slow = changed(tone(), slowness=slowness)
    assert len(slow) == pytest.approx(slowness * RATE, abs=0.05 * RATE)
    assert np.median(pitch(slow)) == pytest.approx(200, rel=0.01)
    assert np.std(slow) == pytest.approx(np.std(tone()), rel=0.05)


def test_uneven_tempo_moves_events_but_not_the_whole():
    """Clicks at equal distances come at unequal ones."""
    clicks = np.zeros(2 * RATE, np.float32)
    clicks[RATE // 8 :: RATE // 4] = 0.9
    even, uneven = (changed(clicks, slowness=1.3, unevenness=u) for u in (0.0, 0.4))

    def gaps(x):
        loud = np.flatnonzero(np.abs(x) > 0.3 * np.abs(x).max())
        return np.diff(loud[np.r_[True, np.diff(loud) > RATE // 20]])

    assert len(even) == len(uneven)
    assert np.std(gaps(uneven)) > 2 * np.std(gaps(even))


def test_shaky_pitch():
    steady, shaken = pitch(changed(tone(2.0))), pitch(changed(tone(2.0), shake=0.04))
    assert np.std(steady) / 200 < 0.01 and 0.02 < np.std(shaken) / 200 < 0.06
    assert np.mean(shaken) == pytest.approx(200, rel=0.02)


def test_imprecise_consonants_have_flatter_onsets_and_vowels_stay():
    """Bursts of 4 kHz in a vowel of 200 Hz: above the edge they fade into what is around them."""
    time = np.arange(RATE) / RATE
    burst = np.where((time * 5) % 1 < 0.15, 1.0, 0.0) * 0.1 * np.sin(2 * np.pi * 4000 * time)
    vowel = 0.1 * np.sin(2 * np.pi * 200 * time)
    before, after = (changed((vowel + burst).astype(np.float32), imprecision=share) for share in (0.0, 0.8))

    def band(x, low, high):
        spectrum = np.abs(librosa.stft(x, n_fft=512, hop_length=160))[:, 5:-5]
        frequencies = librosa.fft_frequencies(sr=RATE, n_fft=512)
        return spectrum[(frequencies > low) & (frequencies < high)].sum(axis=0)

    contrast = [np.percentile(band(x, 3500, 4500), 95) / (band(x, 3500, 4500).mean()) for x in (before, after)]
    assert contrast[1] < 0.8 * contrast[0]
    assert band(after, 100, 300).std() / band(after, 100, 300).mean() < 0.2


@pytest.mark.parametrize("breath_db", [-22.0, -12.0])
def test_breath_has_its_level_above_the_edge(breath_db):
    breathy, plain = (changed(tone(), breath_db=db) for db in (breath_db, -100.0))
    noise = breathy / np.std(breathy) * np.sqrt(1 + 10 ** (breath_db / 10)) - plain / np.std(plain)
    assert 20 * np.log10(np.std(noise)) == pytest.approx(breath_db, abs=1.0)
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert power[: int(0.5 * atypical.EDGE_HZ)].sum() < 0.1 * power.sum()


def test_a_speaker_has_one_manner():
    assert draw_atypical("ann", 1) == draw_atypical("ann", 1) != draw_atypical("bob", 1)
    assert draw_atypical("ann", 1) != draw_atypical("ann", 2)
    samples = tone(0.3)
    first, second = (make_atypical(samples, RATE, draw_atypical("ann", 1), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32 and np.abs(first).max() <= 1


def test_very_short_recordings():
    assert np.isfinite(changed(tone(0.05), slowness=1.5, unevenness=0.3, imprecision=0.5, shake=0.02)).all()


def test_recorded_speech_in_and_out(tmp_path, capsys):
    rows = []
    for index, speaker in enumerate(("ann", "bob", "ann")):
        soundfile.write(tmp_path / f"{index}.wav", tone(0.5), RATE)
        rows.append({"audio": f"{index}.wav", "text": "ONE", "speaker": speaker, "split": "pers_test", "time": index})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = ["synthesize", "--manifest", str(tmp_path / "m.jsonl"), "--out", str(tmp_path / "out")]
    assert main(line) == 2 and "expected --atypical" in capsys.readouterr().err
    assert main([*line, "--atypical", "--where", "speaker=ann"]) == 0
    assert f"2 utterances of 1 {NAME} speakers" in capsys.readouterr().out
    found = read_manifest(tmp_path / "out" / "manifest.jsonl")
    assert [(row.speaker, row.extra["simulated"], row.extra["split"], row.extra["time"]) for row in found] == [
        (f"ann-{NAME}", NAME, "pers_test", time) for time in (0, 2)
    ]
    for row in found:
        assert (
            soundfile.info(row.audio).duration == pytest.approx(row.duration_seconds, abs=1e-3)
            and row.duration_seconds > 0.55
        )
    assert sorted(path.name for path in Path(tmp_path / "out").iterdir()) == ["audio", "manifest.jsonl"]


def test_synthetic_speakers_are_named_simulated(tmp_path, capsys):
    pytest.importorskip("espeakng_loader")
    line = ["synthesize", "--words", "YES", "--speakers", "1", "--atypical", "--out", str(tmp_path / "s")]
    assert main(line) == 0 and NAME in capsys.readouterr().out
    (row,) = read_manifest(tmp_path / "s" / "manifest.jsonl")
    assert row.speaker == f"synthetic0000-{NAME}" and row.extra["simulated"] == NAME and NAME in row.audio.as_posix()
