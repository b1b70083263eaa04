import numpy as np
import pytest

from tflite_asr.study.summary import bootstrap, summarize


def result(speaker, run, words, before, after, **more):
    base = {"speaker": speaker, "run": run, "words": words, "errors_before": before, "errors_after": after}
    return {
        **base,
        "seconds": 1.0,
        "steps": 2,
        "peak_private_mb": 50.0,
        "checkpoint_bytes": 8,
        "disk_bytes_max": 9,
        **more,
    }


def test_rates_are_pooled_and_not_means_of_rates():
    results = [
        result("ann", "server", 10, 5, 0), result("bob", "server", 90, 9, 9),
        result("ann", "mobile", 10, 5, 1, peak_private_mb=70.0), result("bob", "mobile", 90, 9, 9, disk_bytes_max=11),
    ]  # fmt: skip
    summary = summarize(results, seed=0, ram_mb=60)
    assert summary["server"]["wer_before"] == 14 / 100 and summary["mobile"]["wer_after"] == 10 / 100
    assert summary["server"]["relative_wer_reduction"] == pytest.approx(5 / 14)
    assert summary["kept"] == pytest.approx((4 / 14) / (5 / 14))
    assert (summary["peak_private_mb"], summary["disk_bytes_max"], summary["within_ram"]) == (70.0, 11, False)
    assert summary["speakers"] == 2


def test_kept_is_for_those_who_have_both():
    results = [result("ann", "server", 10, 5, 0), result("ann", "mobile", 10, 5, 1), result("bob", "mobile", 10, 5, 5)]
    summary = summarize(results, seed=0)
    assert summary["kept"] == pytest.approx(0.8) and summary["kept_interval"] is None
    assert summary["mobile"]["speakers"] == 2
    assert summarize(results[1:], seed=0)["kept"] is None
    assert summarize([result("a", "server", 9, 3, 3), result("a", "mobile", 9, 3, 1)], seed=0)["kept"] is None


def test_forgetting_is_pooled():
    others = {"words": 50, "errors_before": 5, "errors_after": 6, "errors_after_any_voice": 20}
    pooled = summarize(
        [result("a", "mobile", 9, 3, 1, others=others), result("b", "mobile", 9, 3, 1, others=others)], 0
    )
    assert pooled["mobile"]["others"] == {"wer_before": 0.1, "wer_after": 0.12, "wer_after_any_voice": 0.4}


def test_words_said_and_unsaid_are_pooled_apart():
    def held_out(speaker, said, unsaid):
        names = ("words", "errors_before", "errors_after")
        return result(speaker, "mobile", 9, 3, 1, said=dict(zip(names, said)), unsaid=dict(zip(names, unsaid)))

    pooled = summarize([held_out("a", (10, 4, 1), (30, 6, 9)), held_out("b", (30, 4, 1), (10, 2, 3))], 0)["mobile"]
    assert pooled["said"] == {"wer_before": 0.2, "wer_after": 0.05, "relative_wer_reduction": pytest.approx(0.75)}
    nothing = summarize([held_out("a", (10, 4, 1), (0, 0, 0))], 0)["mobile"]
    assert "unsaid" not in nothing and nothing["said"]["wer_before"] == 0.4
    assert pooled["unsaid"] == {"wer_before": 0.2, "wer_after": 0.3, "relative_wer_reduction": pytest.approx(-0.5)}


def test_bootstrap_of_a_mean_is_its_standard_error():
    """400 draws of a normal distribution: the interval is the mean and 1.96 standard errors either way."""
    values = np.random.default_rng(4).normal(3.0, 2.0, 400)
    low, high = bootstrap(values, np.mean, seed=0)
    half = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == (
        pytest.approx(values.mean() - half, abs=0.1 * half),
        pytest.approx(values.mean() + half, abs=0.1 * half),
    )
    assert bootstrap(values, np.mean, seed=0) == [low, high]
    assert bootstrap(values[:1], np.mean, seed=0) is None
    assert bootstrap(values, lambda some: None, seed=0) is None
