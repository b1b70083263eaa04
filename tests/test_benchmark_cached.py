"""`benchmark cached`: what it prints is measured on a real file, in processes of their own."""

import json

import pytest

from tflite_asr.cli.main import main


@pytest.mark.slow
def test_cached_and_uncached_training_are_compared(tiny_tflite, capsys):
    assert main(["benchmark", "cached", str(tiny_tflite), "--steps", "2", "--runs", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["benchmark"] == "cached" and "encoder_0" not in result["trained_groups"]
    seconds = [result[plan]["step_seconds"] for plan in ("uncached", "cached")]
    assert all(0 < each < 5 for each in seconds)
    assert result["time_ratio"] == pytest.approx(seconds[1] / seconds[0])
    stored = result["stored"]
    assert list(stored) == ["32", "16", "8"]
    assert stored["32"]["loss_difference"] < 1e-5 < stored["8"]["loss_difference"] < 0.05
    assert stored["8"]["bytes_per_second"] < 0.5 * stored["32"]["bytes_per_second"]
    assert main(["benchmark", "cached", str(tiny_tflite), "--steps", "1", "--runs", "1"]) == 0
    assert "of the time of one that is not" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["sentences"], "no plan named 'cached'; there are: split, train; export with --parts 2 or more"),
        ([], "expected either MODEL or --preset"),
        (["commands", "--steps", "0"], "--steps: expected 1 or more, got 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, told, capsys):
    assert main(["benchmark", "cached", *arguments]) == 2
    assert told in capsys.readouterr().err
