"""Speech without transcripts: which pseudo-labels are kept and why not, and that weights are kept on evidence alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance, read_manifest
from tflite_asr.errors import InputError
from tflite_asr.personalization.pseudo_labels import PseudoLabelRules, pseudo_labels
from tflite_asr.personalization.self_training import SelfTrainer, SelfTraining
from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.words import Word

RATE = 16000


def utterance(index):
    return Utterance(Path(f"{index}.wav"), "", None, "ann", {}, f"m.jsonl:{index}")


class Tones(Corpus):
    """Utterances without files; the level of each tells which it is."""

    def __init__(self, utterances):
        super().__init__([], preset("tiny"))
        self._samples = {u.where: np.full(8000, 100 * (n + 1), np.int16) for n, u in enumerate(utterances)}

    def assemble(self, clip, random=None):
        return self.samples(clip.parts[0])  # a view that is not augmented


class Hearing:
    """Hears the text and the confidence that are given for each utterance, and in its views what is given for these."""

    config, subwords, normalize = preset("tiny"), None, False

    def __init__(self, heard, views):
        self.heard, self.views, self.asked = heard, views, 0

    def _index(self, samples):
        return round(samples[0] * 32767 / 100) - 1

    def words(self, samples):
        text, *confidences = self.heard[self._index(samples)]
        return [Word(word, 0.0, 0.1, confidence) for word, confidence in zip(text.split(), confidences)]

    def transcribe(self, samples, *, beam):
        self.asked += 1
        index = self._index(samples)
        return self.views.get(index, [self.heard[index][0]])[self.asked % len(self.views.get(index, [0]))]


def labelled(heard, variants=None, **rules):
    utterances = [utterance(index) for index in range(len(heard))]
    recognizer, rules = Hearing(heard, variants or {}), PseudoLabelRules(**rules)
    found = pseudo_labels(recognizer, Tones(utterances), utterances, rules, np.random.default_rng(0))
    return {u.where: u.text for u in found.utterances}, found.refused


def test_kept_is_what_every_word_and_every_view_speak_for():
    heard = [("ONE TWO", 0.96, 0.99), ("ONE TWO", 0.96, 0.5), ("",), ("TWO", 1.0)]
    texts, refused = labelled(heard, {3: ["TWO", "TO"]})
    assert texts == {"m.jsonl:0": "ONE TWO"}
    assert refused == {"not confident": 1, "nothing heard": 1, "views disagree": 1}
    assert len(labelled(heard, {3: ["TWO", "TO"]}, confidence=0.4)[0]) == 2


def test_a_text_that_is_heard_far_more_often_does_not_crowd_out_others():
    heard = [("ONE", 1.0)] * 20 + [("TWO", 1.0)] * 4 + [("SIX", 1.0)] * 2
    texts, refused = labelled(heard)
    kept = list(texts.values())
    assert {text: kept.count(text) for text in set(kept)} == {"ONE": 6, "TWO": 4, "SIX": 2}  # 1.5 times the median, 4
    assert refused == {"text heard often": 14}


def test_sentences_that_differ_are_all_kept():
    assert len(labelled([(f"SENTENCE {n}", 1.0, 1.0) for n in range(9)])[0]) == 9


def test_what_is_heard_in_no_view_is_never_learned_from(tiny_tflite, speakers):
    """The model has not been trained: it hears nothing, and its weights stay as they were."""
    rows = read_manifest(speakers(1), transcribed=False)
    recognizer = Recognizer.load(tiny_tflite)
    before = recognizer.state()
    trainer = SelfTrainer(recognizer, Corpus(rows, recognizer.config), [], rows, Settings(), SelfTraining())
    outcome = trainer.train()
    assert outcome.steps == 0 and outcome.stopped_because == "round 1: no utterance is confident enough to learn from"
    assert trainer.validated_by == "agreement of views" and sum(trainer.refused[0].values()) == 10
    for name, tensor in recognizer.state().items():
        np.testing.assert_array_equal(tensor, before[name])


def test_too_few_are_refused(tiny_tflite):
    rows = [utterance(index) for index in range(3)]
    with pytest.raises(InputError, match="expected 4 utterances without transcripts or more, got 3"):
        SelfTrainer(Recognizer.load(tiny_tflite), Tones(rows), [], rows, Settings(), SelfTraining())


@pytest.fixture(scope="module")
def taught(tiny_tflite, speakers):
    """A manifest of two tones, and weights that tell them apart."""
    manifest = speakers(1)
    recognizer = Recognizer.load(tiny_tflite)
    rows = read_manifest(manifest, "split=pers_adapt")
    corpus = Corpus(rows, recognizer.config)
    examples = [recognizer.example(corpus.samples(row), row.text) for row in rows]
    for step in range(150):
        recognizer.train_step(
            [examples[step % 8], examples[(step + 3) % 8]], learning_rate=0.01 if step < 100 else 0.003, clip_norm=20
        )
    assert [recognizer.transcribe_frames(example.frames) for example in examples] == [row.text for row in rows]
    return manifest, recognizer.state()


QUICK = SelfTraining(rounds=2, steps=4, rules=PseudoLabelRules(confidence=0.3, views=1))


@pytest.mark.parametrize("labelled_rows", [0, 4])
def test_weights_are_kept_only_on_evidence(tiny_tflite, taught, labelled_rows):
    manifest, state = taught
    recognizer = Recognizer.load(tiny_tflite)
    recognizer.set_state(state)
    rows = read_manifest(manifest, "split=pers_adapt")[:labelled_rows]
    without = read_manifest(manifest, transcribed=False)[labelled_rows:]
    corpus = Corpus([*rows, *without], recognizer.config)
    settings = Settings(learning_rate=1e-3, replay=0, least_to_hold_out=4)
    trainer = SelfTrainer(recognizer, corpus, rows, without, settings, QUICK)
    outcome = trainer.train()
    assert trainer.validated_by == ("transcripts" if labelled_rows else "agreement of views")
    assert outcome.steps == 8 and len(trainer.refused) == 2 and trainer.refused[0]["kept"] > 0
    best = [row for row in outcome.history if row.best][-1]
    assert best.validation_wer <= outcome.history[0].validation_wer
    for name, tensor in recognizer.state().items():
        np.testing.assert_array_equal(tensor, outcome.best_state[name])
        if best.epoch == 0 and tensor.dtype == np.float32:
            np.testing.assert_array_equal(tensor, state[name])


def test_weights_that_make_views_disagree_are_not_kept(tiny_tflite, taught):
    """Steps of a learning rate that destroys the model."""
    manifest, state = taught
    recognizer = Recognizer.load(tiny_tflite)
    recognizer.set_state(state)
    without = read_manifest(manifest, transcribed=False)
    settings = Settings(learning_rate=0.5, replay=0)
    trainer = SelfTrainer(recognizer, Corpus(without, recognizer.config), [], without, settings, QUICK)
    outcome = trainer.train()
    disagreement = [row.validation_wer for row in outcome.history]
    assert min(disagreement[1:]) > disagreement[0], "nothing was destroyed"
    assert [row.best for row in outcome.history] == [True] + [False] * (len(disagreement) - 1)
    for name, tensor in recognizer.state().items():
        np.testing.assert_array_equal(tensor, outcome.best_state[name])


def test_a_few_transcribed_utterances_are_trained_on_before_the_others_are_labelled(tiny_tflite, taught, tmp_path):
    """As the command does it; none of them is held out, and the evidence is that views agree."""
    manifest, state = taught
    recognizer = Recognizer.load(tiny_tflite)
    recognizer.set_state(state)
    recognizer.save(tmp_path / "taught.safetensors")
    rows = [json.loads(line) for line in Path(manifest).read_text().splitlines()]
    for row in rows:
        row["audio"] = str(Path(manifest).parent / row["audio"])
    for name, part in (("few", rows[:3]), ("rest", rows[3:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    paths = {name: str(tmp_path / f"{name}.jsonl") for name in ("few", "rest")}
    options = ["--checkpoint", str(tmp_path / "taught.safetensors"), "--epochs", "1", "--out", str(tmp_path / "out")]
    speech = ["--adapt", paths["few"], "--unlabelled", paths["rest"], "--test", paths["rest"]]
    assert main(["personalize", str(tiny_tflite), *speech, *options]) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["adapt_utterances"], result["validation_utterances"]) == (3, 0)
    unlabelled = result["unlabelled"]
    first = unlabelled["transcribed_first"]
    assert unlabelled["validated_by"] == "agreement of views" and unlabelled["utterances"] == len(rows) - 3
    assert first["steps"] == 26 and [row["epoch"] for row in first["history"]] == [0, 1]
    assert result["steps"] >= 26
