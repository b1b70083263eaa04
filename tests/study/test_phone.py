import pytest

from tflite_asr.personalization.resources import Limits, Resources
from tflite_asr.study.phone import Phone


def row(seconds, battery):
    return Resources(seconds, 500, battery, False, 30)


def test_steps_move_the_clock_until_the_trace_says_stop():
    phone = Phone([row(0, 50), row(25, 10), row(60, 5), row(90, 40)], Limits(least_battery_percent=20), 10)
    assert [phone.step() for _ in range(3)] == [True, True, False]
    assert phone.wait() and phone.seconds == 90 and phone.waited_seconds == 60
    assert phone.step(), "the last row holds for ever"


def test_it_may_never_go_on():
    phone = Phone([row(0, 50), row(5, 10)], Limits(least_battery_percent=20), 10)
    assert not phone.step() and not phone.wait()


@pytest.mark.parametrize("trace, allowed", [([], True), ([row(100, 10)], False)])
def test_before_the_first_row_it_is_as_the_first_row_says(trace, allowed):
    assert Phone(trace, Limits(least_battery_percent=20), 10).step() == allowed
