"""Which rows can be aligned, against enumeration of all CTC paths; what is left out, named and in no mean."""

import dataclasses
import itertools

import numpy as np
import pytest

from tflite_asr.config import EncoderConfig, preset
from tflite_asr.data.alignment import alignment_problem, check_alignable, ctc_problem, report_left_out, steps_at_exits
from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import Example

CONFORMER = preset("tiny_conformer")  # four frames a step


def spells(path, tokens):
    """Whether a CTC path, a label or blank (0) for each step, means these tokens."""
    return [label for label, _ in itertools.groupby(path) if label] == list(tokens)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("tokens", [(1,), (1, 2), (1, 1), (1, 2, 2), (1, 1, 1), (1, 2, 1), (2, 2, 1, 1)])
def test_agrees_with_all_paths(steps, tokens):
    any_path = any(spells(path, tokens) for path in itertools.product(range(3), repeat=steps))
    for frames in (4 * steps, 4 * steps + 3):
        assert (ctc_problem(np.asarray(tokens), frames, CONFORMER) is None) == any_path


def test_steps_are_those_of_the_encoder():
    import tensorflow as tf

    from tflite_asr.models.build import build_model

    lstm = EncoderConfig(layers=3, units=8, reduce_after=1)
    config = dataclasses.replace(CONFORMER, encoder=lstm, exits=(0, 1))
    for shape in (preset("tiny_exits"), config):
        model = build_model(shape)
        for frames in (5, 11, 12, 50):
            x, lengths = model.front(tf.zeros([1, 60, 40]), tf.constant([frames]))
            found = []
            for stage in range(3):
                x, lengths = model.run_stage(stage, x, lengths)
                found.append(int(lengths[0]))
            assert steps_at_exits(shape, frames) == found


def test_every_ctc_exit_must_spell_it():
    early = dataclasses.replace(preset("tiny"), exits=(0,))  # a transducer behind a CTC exit of three frames a step
    assert ctc_problem(np.arange(1, 5), 12, early) is None
    assert "5 characters need 5 encoder steps, the audio has 4" == ctc_problem(np.arange(1, 6), 12, early)


def test_a_transducer_takes_what_its_decoder_can_write_down():
    config = preset("tiny")  # six frames a step, four symbols at each
    assert alignment_problem(np.ones(8, int), 12, config) is None
    assert "9 characters" in alignment_problem(np.ones(9, int), 12, config)
    assert ctc_problem(np.ones(9, int), 12, config) is None


def test_a_step_refuses_what_it_cannot_align():
    good, bad = (Example(np.zeros([8, 40], np.float32), np.asarray(t), "", "m.jsonl:3") for t in ([1, 2], [1, 1]))
    check_alignable([good], CONFORMER)
    with pytest.raises(
        InputError, match="m.jsonl:3: cannot be aligned: 2 characters need 3 encoder steps, the audio has 2"
    ):
        check_alignable([good, bad], CONFORMER)


def test_many_rows_are_counted(capsys):
    report_left_out([f"m.jsonl:{row} (short)" for row in range(14)], 20)
    message = capsys.readouterr().err
    assert (
        "14 of 20 utterances" in message and "m.jsonl:9 (short) and 4 more" in message and "m.jsonl:10 " not in message
    )
    with pytest.raises(InputError, match="none of 14 does"):
        report_left_out(["m.jsonl:1"] * 14, 14)
