import json

import numpy as np
import pytest
import soundfile

from tflite_asr.benchmark.exits import Curves, Point, leaving, wer_at, write_exits
from tflite_asr.cli.main import main
from tflite_asr.runtime.exits import ExitPolicy, confidence, entropy


def test_leaving_is_what_a_policy_does():
    random = np.random.default_rng(1)
    scales = [0.5, 2.0, 5.0]
    utterances = []
    for _ in range(20):
        logits = [scale * random.standard_normal([6, 5]) for scale in scales]
        utterances.append([x - np.logaddexp.reduce(x, axis=1, keepdims=True) for x in logits])
    for name, measure, thresholds, keyword in (
        ("entropy", entropy, (0.05, 0.2, 0.27, 0.4), "entropy_below"),
        ("confidence", confidence, (0.2, 0.4, 0.9), "confidence_above"),
    ):
        scores = np.array([[measure(rows) for rows in exits[:-1]] for exits in utterances])
        kinds = set()
        for threshold in thresholds:
            policy = ExitPolicy(**{keyword: threshold})
            expected = [next((e for e in (0, 1) if policy.leaves(e, exits[e])), 2) for exits in utterances]
            assert leaving(name, threshold, scores).tolist() == expected
            kinds |= set(expected)
        assert kinds == {0, 1, 2}


def test_rates_between_thresholds_are_in_proportion(tmp_path):
    points = [Point("fixed", 0, 2.0, 0.5), Point("fixed", 1, 4.0, 0.2), Point("entropy", 1.0, 2.0, 0.5)]
    curves = Curves("joint", 1_500_000, {2: 0.5, 4: 0.2}, [*points, Point("entropy", 0.5, 3.0, 0.1)])
    assert wer_at(curves, "fixed", 3) == pytest.approx(0.35) and wer_at(curves, "entropy", 2.5) == pytest.approx(0.3)
    assert wer_at(curves, "entropy", 4) is None
    curves.points.extend(Point("confidence", *rest) for rest in ((0.5, 2.0, 0.5), (0.9, 4.0, 0.2)))
    result = write_exits(tmp_path / "out", [Curves("small", 500_000, {2: 0.4}, []), curves])
    first, second = (tmp_path / "out" / "exits.md").read_text().split("\n\n")
    assert first.splitlines()[2:] == ["| small | 0.50 M | 40.0% |  |", "| joint | 1.50 M | 50.0% | 20.0% |"]
    assert second.splitlines()[2:4] == [
        "| joint | fixed | 50.0% | 35.0% | 20.0% |",
        "| joint | entropy | 50.0% | 10.0% |  |",
    ]
    assert (tmp_path / "out" / "exits.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "out" / "exits.json").read_text())["models"][1]["points"][0]["mean_depth"] == 2.0
    assert (
        set(result) == {"models", "too_long", "too_short", "table", "plot"}
        and len(list((tmp_path / "out").iterdir())) == 3
    )


@pytest.mark.slow
def test_the_table_says_what_evaluate_says(exits_tflite, tiny_tflite, tmp_path, capsys):
    random = np.random.default_rng(2)
    for index in range(4):
        soundfile.write(tmp_path / f"{index}.wav", 0.1 * (index + 1) * random.standard_normal(8000), 16000)
    rows = [json.dumps({"audio": f"{index}.wav", "text": "ONE", "speaker": "ann"}) for index in range(4)]
    (tmp_path / "m.jsonl").write_text("\n".join(rows) + "\n")

    def result_of(*arguments):
        assert main([*map(str, arguments), "--manifest", str(tmp_path / "m.jsonl"), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    early, whole = result_of("exits", exits_tflite, tiny_tflite, "--out", tmp_path / "out")["models"]
    assert whole["points"] == [] and whole["wer"] == {"3": result_of("evaluate", tiny_tflite)["wer"]}
    assert list(early["wer"]) == ["1", "2", "3"]
    for policy, option, choose in (
        ("fixed", "--exit", slice(0, 3)),
        ("entropy", "--exit-entropy", slice(1, None, 8)),
        ("confidence", "--exit-confidence", slice(1, None, 8)),
    ):
        points = [point for point in early["points"] if point["policy"] == policy]
        assert {point["mean_depth"] for point in points} >= {1, 3}
        for point in points[choose]:
            evaluated = result_of("evaluate", exits_tflite, option, point["threshold"])
            assert (point["wer"], point["mean_depth"]) == (evaluated["wer"], evaluated["mean_depth"]), point
