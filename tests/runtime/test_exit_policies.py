import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.exits import ExitPolicy, confidence, entropy

VOCABULARY = 5
EVEN = np.full([6, VOCABULARY], -np.log(VOCABULARY))
SURE = np.log(np.eye(VOCABULARY)[[0, 1, 0, 2, 2, 0]] * 0.96 + 0.008)


def test_entropy_is_the_mean_of_minus_p_log_p():
    assert entropy(EVEN) == pytest.approx(np.log(VOCABULARY) / VOCABULARY)
    by_hand = -(0.968 * np.log(0.968) + 4 * 0.008 * np.log(0.008)) / VOCABULARY
    assert entropy(SURE) == pytest.approx(by_hand)
    # float32 probabilities that underflow are sure, not NaN
    assert entropy(np.array([[0, -200, -200]], np.float32)) == 0 and entropy(np.zeros([0, 3])) == 0


def test_confidence_is_the_share_of_the_best_hypothesis():
    two = np.log([[0.7, 0.3]])  # the empty sequence and [1], nothing else
    assert confidence(two) == pytest.approx(0.7)
    assert confidence(EVEN) < 0.5 < confidence(SURE) < 1


@pytest.mark.parametrize(
    "policy, expected",
    [
        (ExitPolicy(exit=1), [False, True, True]),
        (ExitPolicy(entropy_below=0.2), [False, True, False]),
        (ExitPolicy(entropy_below=0.0), [False, False, False]),
        (ExitPolicy(confidence_above=0.5), [False, True, False]),
        (ExitPolicy(confidence_above=1.0), [False, False, False]),
    ],
)
def test_a_policy_leaves_where_it_is_sure(policy, expected):
    assert [policy.leaves(exit, seen) for exit, seen in enumerate((EVEN, SURE, EVEN))] == expected


@pytest.mark.parametrize(
    "fields, message",
    [
        ({}, "expected one of"),
        ({"exit": 1, "entropy_below": 0.1}, "expected one of"),
        ({"exit": -1}, "got -1"),
        ({"entropy_below": -0.1}, "got -0.1"),
        ({"entropy_below": float("nan")}, "got nan"),
        ({"confidence_above": 1.5}, "got 1.5"),
    ],
)
def test_what_is_no_policy_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        ExitPolicy(**fields)
