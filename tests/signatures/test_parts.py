import itertools

import pytest

from signatures.parts import GroupCost, _balanced, make_parts


def costs(weights, saved=0, recomputable=0):
    return [GroupCost(f"encoder_{n}", weight, 0, 0, saved, recomputable) for n, weight in enumerate(weights)]


def sizes(parts):
    return [len(part.indices) for part in parts]


def test_parts_cover_every_group_once_in_order():
    for count in range(1, 6):
        parts = make_parts(costs([5, 1, 1, 7, 2]), parts=count)
        assert len(parts) == count
        assert [index for part in parts for index in part.indices] == list(range(5))


def test_parts_are_as_even_as_any_cut_could_make_them():
    weights = [9, 1, 4, 4, 8, 2, 3]
    for count in range(1, 8):
        heaviest = min(
            max(sum(weights[a:b]) for a, b in itertools.pairwise((0, *cuts, 7)))
            for cuts in itertools.combinations(range(1, 7), count - 1)
        )
        found, start = [], 0
        for size in _balanced(weights, count):
            found.append(sum(weights[start : start + size]))
            start += size
        assert start == 7 and max(found) == heaviest


def test_sizes_are_taken_as_they_are_and_one_part_is_the_default():
    assert sizes(make_parts(costs([1] * 8), sizes=(3, 1, 4))) == [3, 1, 4]
    assert sizes(make_parts(costs([1] * 8))) == [8]


def test_auto_stashes_only_what_does_not_decide_the_peak():
    assert {part.keep for part in make_parts(costs([10] * 4, saved=3), parts=4)} == {"stash"}  # 9 below the top part
    assert {part.keep for part in make_parts(costs([10] * 4, saved=4), parts=4)} == {"recompute"}  # 12
    assert {part.keep for part in make_parts(costs([10] * 4, saved=4), parts=2)} == {"stash"}  # 8
    assert {part.keep for part in make_parts(costs([10] * 4, saved=4), parts=4, keep="stash")} == {"stash"}


def test_what_is_easily_made_again_is_kept_where_it_is_light_or_asked_for():
    def saves_recomputable(**arguments):
        (answer,) = {
            part.recomputable
            for part in make_parts(costs([10] * 4, saved=1, recomputable=arguments.pop("recomputable")), **arguments)
        }
        return answer

    for parts in (1, 4):  # the top part keeps it as well
        assert saves_recomputable(recomputable=1, parts=parts) and not saves_recomputable(
            recomputable=2, parts=parts
        )  # 4 + 4, 4 + 8
    assert saves_recomputable(recomputable=9, parts=4, keep="stash") and not saves_recomputable(
        recomputable=1, parts=4, keep="recompute"
    )
    assert {part.keep for part in make_parts(costs([10] * 4, saved=1, recomputable=9), parts=4)} == {"stash"}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"parts": 4}, r"expected 1 to 3 parts, .*encoder_0, encoder_1, encoder_2.*got 4"),
        ({"parts": 0}, "expected 1 to 3 parts"),
        ({"sizes": (2, 2)}, "2,2 add up to 4; expected positive sizes that add up to 3"),
        ({"sizes": (3, 0)}, "positive sizes"),
        ({"sizes": ()}, "add up to 0"),
        ({"keep": "all"}, "no way to keep named 'all'; there are: auto, recompute, stash"),
    ],
)
def test_what_cannot_be_cut_so_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_parts(costs([1, 1, 1]), **arguments)
