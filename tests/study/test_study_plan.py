import pytest

from tflite_asr.errors import InputError
from tflite_asr.study.plan import Mobile, Speech, Study, check_study, read_study

STUDY = """
model = "models/own.tflite"
seed = 3
[[speech]]
manifest = "a/m.jsonl"
where = "speaker=ann"
connect = 5
[[speech]]
manifest = "/b/m.jsonl"
[others]
manifest = "c.jsonl"
[mobile]
window = 50
learning_rate = 1e-2
[phone]
step_seconds = 2
trace = "t.jsonl"
"""


def written(folder, text):
    path = folder / "study.toml"
    path.write_text(text)
    return path


def test_what_a_file_says(tmp_path):
    study = Study(**read_study(written(tmp_path, STUDY)))
    assert study.speech == (Speech(f"{tmp_path}/a/m.jsonl", "speaker=ann", 5), Speech("/b/m.jsonl"))
    assert (study.model, study.seed, study.environment) == (f"{tmp_path}/models/own.tflite", 3, "both")
    assert study.others == Speech(f"{tmp_path}/c.jsonl")
    assert study.mobile == Mobile(window=50, learning_rate=0.01)
    assert (study.phone.step_seconds, study.phone.trace) == (2.0, f"{tmp_path}/t.jsonl")
    check_study(study)


@pytest.mark.parametrize(
    "text, message",
    [
        ("model =", "expected the description of a study in TOML"),
        ("modell = 1", "no such setting: modell; there are speech, model"),
        ("seed = '1'", "seed: expected int, got '1'"),
        ("seed = true", "seed: expected int"),
        ("speech = 3", "speech: expected an array of tables"),
        ("[[speech]]\nwhere = 'a=b'", "speech: expected manifest"),
        ("[mobile]\nwidnow = 3", "mobile: no such setting: widnow"),
        ("mobile = 3", "mobile: expected a table"),
    ],
)
def test_refusals(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        read_study(written(tmp_path, text))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "field, message",
    [
        ({"environment": "moon"}, "environment: expected one of server, mobile, both, got moon"),
        ({"test_share": 1.0}, "test_share"),
        ({"mobile": Mobile(order="backwards")}, "mobile.order"),
        ({"mobile": Mobile(stride=0)}, "mobile.stride: expected 1 or more, got 0"),
        ({"mobile": Mobile(learning_rate=1.0)}, "mobile.learning_rate"),
        ({"speech": (Speech("m.jsonl", connect=0),)}, "m.jsonl: connect"),
    ],
)
def test_figures_that_cannot_be(field, message):
    with pytest.raises(InputError) as caught:
        check_study(Study(**{"speech": (Speech("m.jsonl"),), **field}))
    assert message in str(caught.value)
