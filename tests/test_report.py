import base64
import math
import os
import re
from html.parser import HTMLParser

import pytest

from tflite_asr.errors import InputError
from tflite_asr.report import MAX_ROWS, write_report

PNG = b"\x89PNG\r\n\x1a\n"
PLOTS = ["wer.png", "loss.png", "memory.png"]


def epoch(number, *, wer, train_loss, validation_loss=10.0, best=False):
    return {
        "epoch": number,
        "step": 20 * number,
        "seconds": 3.0 * number,
        "train_loss": train_loss,
        "validation_loss": validation_loss,
        "validation_wer": wer,
        "rss_mb": 200.0,
        "best": best,
    }


@pytest.fixture
def result():
    return {
        "model": "small",
        "checkpoint": "owner.safetensors",
        "voice": "speaker 7",
        "wer_before": 0.312,
        "wer_after": 0.137,
        "cer_before": 0.12,
        "cer_after": 0.05,
        "relative_wer_reduction": 0.561,
        "steps": 40,
        "epochs": 2,
        "seconds": 81.34,
        "peak_rss_mb": 239.7,
        "peak_private_mb": 179.2,
        "skipped_updates": 1,
        "adapt_utterances": 60,
        "corrections": {"utterances": 0, "phrases": [], "refused": []},
        "validation_utterances": 20,
        "test_utterances": 2,
        "settings": {"learning rate": "0.01"},
        "stopped_because": "no better for 2 epochs",
        "stretched": {"factor": 1.4, "validation_wer": 0.18, "validation_loss": 7.251},
        "history": [
            epoch(0, wer=0.31, train_loss=None),
            epoch(1, wer=0.2, train_loss=12.0, best=True),
            epoch(2, wer=0.25, train_loss=8.0),
        ],
        "memory": [{"seconds": 0.1 * n, "rss_mb": 200.0 + n, "private_mb": 150.0 + n} for n in range(5)],
        "pairs": [
            {"reference": "RIGHT FROM THE START", "before": "RIGHT FROM THE START", "after": "RIGHT FROM THE START"},
            {"reference": "A B C", "before": "X B UH", "after": "A B"},
            {"reference": "ONE TWO", "before": "ONE OH TWO", "after": ""},
        ],
    }


class Tags(HTMLParser):
    """Every tag with its attributes, and that each one opened is closed."""

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def rows(page):
    """The cells of the utterances' table as HTML, a list a row."""
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.DOTALL).group(1)
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]


def test_files_are_written_whole_and_nothing_else(tmp_path, result):
    path = write_report(tmp_path / "new" / "folder", result)
    assert path == tmp_path / "new" / "folder" / "report.html"
    assert sorted(os.listdir(path.parent)) == sorted(["report.html", *PLOTS])
    for name in PLOTS:
        assert (path.parent / name).read_bytes().startswith(PNG)


def test_the_page_loads_nothing(tmp_path, result):
    page = write_report(tmp_path, result).read_text(encoding="utf-8")
    assert not re.search(r"https?:|@import|url\(|<script|<link", page)
    attributes = [pair for _, found in Tags(page).found for pair in found.items()]
    sources = [value for name, value in attributes if name in ("src", "srcset", "href")]
    assert len(sources) == 2 * len(PLOTS)  # light and dark
    embedded = [base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True) for source in sources]
    assert all(png.startswith(PNG) for png in embedded)
    assert len(set(embedded)) == len(embedded)
    assert all((tmp_path / name).read_bytes() in embedded for name in PLOTS)


def test_the_figures_are_on_the_page(tmp_path, result):
    page = write_report(tmp_path, result).read_text(encoding="utf-8")
    for text in ("31.2% → 13.7%", "12.0% → 5.0%", "56.1% fewer", "40 steps", "81.3 s", "240 MB", "179 MB private"):
        assert text in page
    assert "<tr><th>learning rate</th><td>0.01</td></tr>" in page


def test_the_page_says_on_what_epochs_were_measured(tmp_path, result):
    page = write_report(tmp_path, result).read_text(encoding="utf-8")
    assert "of the validation utterances by epoch" in page and "none is held out" not in page
    few = write_report(tmp_path, result | {"validation_utterances": 0}).read_text(encoding="utf-8")
    assert "of the training utterances by epoch" in few and "none is held out" in few
    views = {"rounds": [], "utterances": 9, "learned": True, "validated_by": "agreement of views"}
    alone = result | {"validation_utterances": 0, "unlabelled": views}
    page = write_report(tmp_path, alone).read_text(encoding="utf-8")
    assert "Views of held-out speech that are heard with another text" in page
    assert "Loss of the training utterances by round" in page and "validation utterances" not in page
    both = result | {"unlabelled": views | {"validated_by": "transcripts"}}
    assert "of the validation utterances by epoch" in write_report(tmp_path, both).read_text(encoding="utf-8")


def test_a_rise_is_not_told_as_a_fall(tmp_path, result):
    page = write_report(tmp_path, {**result, "relative_wer_reduction": -0.25}).read_text(encoding="utf-8")
    assert "25.0% more word errors" in page


def test_errors_are_marked_and_what_was_wrong_comes_first(tmp_path, result):
    page = write_report(tmp_path, result).read_text(encoding="utf-8")
    assert rows(page) == [
        [
            "A B C",
            '<mark title="instead of A">X</mark> B <mark title="instead of C">UH</mark>',
            "A B <del>C</del>",
        ],
        ["ONE TWO", "ONE <ins>OH</ins> TWO", "<del>ONE</del> <del>TWO</del>"],
        ["RIGHT FROM THE START"] * 3,
    ]


def test_words_tell_their_times_and_confidence(tmp_path, result):
    def word(start, confidence):
        return {"text": "X", "start_seconds": start, "end_seconds": start + 0.25, "confidence": confidence}

    pair = {"reference": "ONE TWO THREE", "before": "ONE TO", "after": "ONE TWO"}
    words = {"before_words": [word(0.1, 0.9), word(0.5, 0.25)], "after_words": [word(0.1, 0.9)]}
    page = write_report(tmp_path, result | {"pairs": [pair | words]}).read_text()
    assert '<span title="0.10-0.35 s, confidence 0.90">ONE</span>' in page
    assert '<mark title="instead of TWO, 0.50-0.75 s, confidence 0.25">TO</mark> <del>THREE</del>' in page
    assert ">ONE TWO <del>THREE</del></td>" in page  # words that do not fit the text are left out


def test_case_and_punctuation_are_not_marked_where_texts_are_normalized(tmp_path, result):
    result["pairs"] = [{"reference": "ONE TWO", "before": "one two.", "after": "One, two!"}]
    plain, normalized = (write_report(tmp_path, result | {"normalized": on}).read_text() for on in (False, True))
    assert plain.count("<mark title") == 4 and "<mark title" not in normalized


def test_extrapolated_weights_are_named(tmp_path, result):
    page = write_report(tmp_path, result).read_text()
    told = "weights extrapolated to</th><td>1.4 times the change up to the kept epoch; WER 18.0%, loss 7.25</td>"
    assert told in page
    assert "extrapolated" not in write_report(tmp_path, result | {"stretched": None}).read_text()


def test_every_text_is_escaped(tmp_path, result):
    evil = "<b>\"&'</b>"
    for name in ("model", "checkpoint", "voice", "stopped_because"):
        result[name] = evil
    result["settings"] = {evil: evil}
    result["pairs"] = [
        {"reference": evil, "before": "X", "after": evil},
        {"reference": "A", "before": evil, "after": f"A {evil}"},
        {"reference": f"A {evil}", "before": "A", "after": "A"},
    ]
    page = write_report(tmp_path, result).read_text(encoding="utf-8")
    assert evil not in page
    # 3 the model, 2 the voice, 1 the checkpoint, 1 why it stopped, 2 the setting, 3 + 2 + 3 the utterances
    assert page.count("&lt;b&gt;&quot;&amp;&#x27;&lt;/b&gt;") == 17
    Tags(page)


def test_the_table_is_capped_and_says_so(tmp_path, result):
    right = {"reference": "A", "before": "A", "after": "A"}
    wrong = {"reference": "A", "before": "B", "after": "A"}
    result["pairs"] = [right] * MAX_ROWS + [wrong] * 3
    page = write_report(tmp_path, result).read_text(encoding="utf-8")
    table = rows(page)
    assert len(table) == MAX_ROWS
    assert ["<mark" in row[1] for row in table[:4]] == [True, True, True, False]
    assert "3 more utterances are left out" in page


def test_a_run_that_came_to_nothing_is_still_told(tmp_path, result):
    result["history"] = [
        epoch(0, wer=0.0, train_loss=None, best=True),
        epoch(1, wer=None, train_loss=math.nan, validation_loss=math.inf),
    ]
    result["memory"] = []
    result["pairs"] = []
    Tags(write_report(tmp_path, result).read_text(encoding="utf-8"))


def test_a_failing_write_leaves_the_earlier_report(tmp_path, result, monkeypatch):
    path = write_report(tmp_path, result)
    before = path.read_bytes()

    def no_space(*names):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(InputError, match="could not write the report .No space"):
        write_report(tmp_path, {**result, "steps": 99})
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == sorted(["report.html", *PLOTS])
