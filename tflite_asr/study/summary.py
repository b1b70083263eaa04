"""The summary of a study: pooled rates, the share of the server's gain that the phone keeps, intervals."""

from collections.abc import Callable, Sequence

import numpy as np

from tflite_asr.metrics import relative_reduction
from tflite_asr.study.task import MOBILE, SERVER

DRAWS = 2000  # of the bootstrap
COVERAGE = 0.95


def summarize(results: Sequence[dict], seed: int, ram_mb: float = 0.0) -> dict:
    """The summary of a study.

    Args:
        results: of `run_task`, at least one.
        seed: of the bootstrap.
        ram_mb: what a phone may take; 0 does not ask.

    Returns:
        by run (`server`, `mobile`, `mobile_...`) pooled figures and, if both were run, `kept`: the mobile gain over
        the server's, for the speakers who have both.
    """
    runs: dict[str, dict[str, dict]] = {}
    for result in results:
        runs.setdefault(result["run"], {})[result["speaker"]] = result
    summary: dict = {"speakers": len({result["speaker"] for result in results})}
    for run, by_speaker in runs.items():
        summary[run] = _pooled(list(by_speaker.values()), seed)
    summary["kept"] = summary["kept_interval"] = None
    if SERVER in runs and MOBILE in runs:
        both = sorted(runs[SERVER].keys() & runs[MOBILE].keys())
        pairs = [(runs[SERVER][name], runs[MOBILE][name]) for name in both]
        summary["kept"] = _kept(pairs)
        summary["kept_interval"] = bootstrap(pairs, _kept, seed)
    mobile = [result for result in results if result["run"] == MOBILE]
    peak_mb = max((result["peak_private_mb"] for result in mobile), default=None)
    summary["peak_private_mb"] = peak_mb
    summary["disk_bytes_max"] = max((result["disk_bytes_max"] for result in mobile), default=None)
    if ram_mb and peak_mb is not None:
        summary["within_ram"] = peak_mb <= ram_mb
    return summary


def bootstrap(items: Sequence, figure: Callable[[Sequence], float | None], seed: int) -> list[float] | None:
    """The percentile interval (Efron 1979) of a figure of items drawn with replacement; None for fewer than two."""
    if len(items) < 2:
        return None
    random = np.random.default_rng([seed, 13])
    drawn = [figure([items[i] for i in random.integers(0, len(items), len(items))]) for _ in range(DRAWS)]
    drawn = [value for value in drawn if value is not None]
    if not drawn:
        return None
    edge = (1 - COVERAGE) / 2
    return [float(value) for value in np.quantile(drawn, [edge, 1 - edge])]


def _pooled(results: Sequence[dict], seed: int) -> dict:
    before, after = _wer(results)
    pooled = {
        "speakers": len(results),
        "wer_before": before,
        "wer_after": after,
        "relative_wer_reduction": _reduction(results),
        "interval": bootstrap(results, _reduction, seed),
        "seconds": float(np.sum([result["seconds"] for result in results])),
        "steps": sum(result["steps"] for result in results),
        "peak_private_mb": max(result["peak_private_mb"] for result in results),
        "checkpoint_bytes": max(result["checkpoint_bytes"] for result in results),
    }
    for name in ("said", "unsaid"):
        rows = [result[name] for result in results if name in result]
        if any(row["words"] for row in rows):
            pooled[name] = dict(zip(("wer_before", "wer_after"), _wer(rows)))
            pooled[name]["relative_wer_reduction"] = _reduction(rows)
    others = [result["others"] for result in results if "others" in result]
    if others:
        before, after = _wer(others)
        words = sum(row["words"] for row in others)
        any_voice = sum(row["errors_after_any_voice"] for row in others) / words
        pooled["others"] = {"wer_before": before, "wer_after": after, "wer_after_any_voice": any_voice}
    return pooled


def _wer(results: Sequence[dict]) -> tuple[float, float]:
    words = sum(result["words"] for result in results)
    before, after = (sum(result[f"errors_{when}"] for result in results) for when in ("before", "after"))
    return before / words, after / words


def _reduction(results: Sequence[dict]) -> float:
    return relative_reduction(*_wer(results))


def _kept(pairs: Sequence[tuple[dict, dict]]) -> float | None:
    """Mobile over server gain; None where the server gained nothing."""
    server, mobile = (_reduction(side) for side in zip(*pairs))
    return mobile / server if server > 0 else None
