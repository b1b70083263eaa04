import argparse
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from tflite_asr.cli import synthesize as command
from tflite_asr.data.espeak import Espeak
from tflite_asr.data.manifest import read_manifest
from tflite_asr.data.synthetic import ACCENTS, VARIANTS, draw_speakers, speak, write_corpus
from tflite_asr.errors import InputError

pytest.importorskip("espeakng_loader")

RATE = 16000


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


def test_espeak_has_every_voice():
    espeak = Espeak()
    assert set(ACCENTS) <= set(espeak.accents()) and set(VARIANTS) <= set(espeak.variants())


def test_speakers_are_distinct_and_more_of_them_leave_the_first_alone():
    speakers = draw_speakers(50, seed=3)
    assert len({speaker.id for speaker in speakers}) == 50
    assert len({(speaker.accent, speaker.variant) for speaker in speakers}) == 50
    assert draw_speakers(8, seed=3) == speakers[:8]
    assert draw_speakers(8, seed=4) != speakers[:8]
    with pytest.raises(InputError, match="got 0"):
        draw_speakers(0, seed=0)


def test_slow_readers_speak_slower():
    slow, usual = (draw_speakers(40, seed=3, **rates) for rates in ({"words_per_minute": (80, 130)}, {}))
    assert all(80 <= speaker.rate_wpm < 130 for speaker in slow)
    assert [replace(speaker, rate_wpm=0) for speaker in slow] == [replace(speaker, rate_wpm=0) for speaker in usual]
    text = "Mike likes the white one"
    assert len(speak(slow[0], text, RATE, seed=1)) > 1.2 * len(
        speak(replace(slow[0], rate_wpm=175), text, RATE, seed=1)
    )
    with pytest.raises(InputError, match="words a minute: expected two rates from 80 to 450, got 130-80"):
        draw_speakers(1, seed=0, words_per_minute=(130, 80))


@pytest.mark.parametrize("rate", [8000, 16000])
def test_speech_has_its_level_and_short_silence_at_both_ends(rate):
    speaker = replace(draw_speakers(1, seed=0)[0], noise_db=-45.0, level_db=-25.0)
    samples = speak(speaker, "SEVEN ZERO TWO", rate, seed=1)
    assert samples.dtype == np.float32 and np.max(np.abs(samples)) <= 0.98
    assert 0.7 < len(samples) / rate < 2.5
    margin = round(0.1 * rate)
    speech = samples[margin:-margin]
    assert 20 * np.log10(np.std(speech)) == pytest.approx(-25, abs=2.5)
    for silence in (samples[:margin], samples[-margin:]):
        assert 20 * np.log10(np.std(silence) / np.std(speech)) == pytest.approx(-45, abs=1)
    assert np.std(samples[margin : margin * 2]) > 5 * np.std(samples[:margin])


def test_takes_differ_in_length_and_sound():
    speaker = draw_speakers(1, seed=0)[0]
    takes = [speak(speaker, "SEVEN", RATE, seed) for seed in range(5)]
    assert len({len(take) for take in takes}) == 5
    shortest = min(map(len, takes))
    assert all(np.corrcoef(takes[0][:shortest], take[:shortest])[0, 1] < 0.9 for take in takes[1:])


def test_tempo_and_semitones_do_what_they_say():
    speaker = replace(draw_speakers(1, seed=0)[0], semitones=0.0, tempo=1.0, noise_db=-80.0)

    def centroid(takes):
        """Hz, over all takes: eSpeak's flutter goes on from text to text and moves that of a single one."""
        return np.mean([_centroid(take) for take in takes])

    def _centroid(samples):
        power = np.abs(np.fft.rfft(samples)) ** 2
        return np.sum(power * np.arange(len(power))) / np.sum(power) * RATE / len(samples)

    plain, fast, high = (
        [speak(changed, "SEVEN ZERO TWO", RATE, seed) for seed in range(8)]
        for changed in (speaker, replace(speaker, tempo=1.5), replace(speaker, semitones=6.0))
    )
    assert (len(plain[0]) - 3200) / (len(fast[0]) - 3200) == pytest.approx(1.5, rel=0.03)
    assert len(high[0]) == pytest.approx(len(plain[0]), rel=0.03)
    assert centroid(high) / centroid(plain) == pytest.approx(2**0.5, rel=0.15)
    assert centroid(fast) / centroid(plain) == pytest.approx(1.0, rel=0.1)


def test_a_corpus_of_strings(tmp_path):
    out = tmp_path / "digits"
    result = run("--digits", "--strings", 6, "--takes", 2, "--speakers", 3, "--out", out)
    utterances = read_manifest(out / "manifest.jsonl")
    assert result["manifest"] == str(out / "manifest.jsonl")
    assert (result["utterances"], result["speakers"]) == (36, 3) == (len(utterances), 3)
    by_speaker = {}
    for utterance in utterances:
        header = soundfile.info(utterance.audio)
        assert (header.samplerate, header.channels, header.subtype) == (RATE, 1, "PCM_16")
        assert utterance.duration_seconds == pytest.approx(header.duration, abs=1e-4)
        assert utterance.extra["synthetic"] is True and utterance.extra["sample_rate"] == RATE
        assert re.fullmatch(rf"audio/{utterance.speaker}/\d{{4}}\.flac", utterance.audio.relative_to(out).as_posix())
        words = utterance.text.split()
        assert 1 <= len(words) <= 5 and set(words) <= set(command.DIGITS)
        by_speaker.setdefault(utterance.speaker, []).append(utterance.text)
    assert len({tuple(texts) for texts in by_speaker.values()}) == 3
    assert all(texts[::2] == texts[1::2] for texts in by_speaker.values())
    assert list(tmp_path.iterdir()) == [out]


def test_a_corpus_of_words_and_one_of_lines(tmp_path):
    run("--words", "YES, no", "--speakers", 2, "--sample-rate", 8000, "--out", tmp_path / "words")
    utterances = read_manifest(tmp_path / "words" / "manifest.jsonl")
    assert [utterance.text for utterance in utterances] == ["YES", "no"] * 2
    assert soundfile.info(utterances[0].audio).samplerate == 8000
    (tmp_path / "lines.txt").write_text("OPEN THE DOOR\n\nclose it\n")
    (tmp_path / "lines").mkdir()
    run("--text", tmp_path / "lines.txt", "--speakers", 1, "--out", tmp_path / "lines")
    utterances = read_manifest(tmp_path / "lines" / "manifest.jsonl")
    assert [utterance.text for utterance in utterances] == ["OPEN THE DOOR", "close it"]


def test_an_existing_corpus_is_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(InputError, match="expected a new or empty folder"):
        run("--digits", "--speakers", 1, "--out", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_nothing_is_left_of_a_corpus_that_failed(tmp_path):
    def texts(speaker):
        yield "ONE"
        yield "..."

    with pytest.raises(InputError, match="spell it with words"):
        write_corpus(tmp_path / "out", draw_speakers(1, seed=0), texts, RATE, seed=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--words", " , "], "got nothing"),
        (["--text", "none.txt"], "none.txt: .*cannot read it"),
        (["--digits", "--speakers", "0"], "got 0"),
        (["--digits", "--takes", "0"], "--takes: expected 1 or more, got 0"),
        (["--digits", "--strings", "0"], "--strings: expected 1 or more, got 0"),
        (["--digits", "--sample-rate", "100"], "--sample-rate: expected 8000 or more"),
        (["--text", __file__, "--strings", "3"], "--strings joins words"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        run(*arguments, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
