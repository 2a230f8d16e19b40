import random

import pytest

from sim.campaign.seeds import Seeds, parse


def test_a_range_is_written_with_its_end_left_out():
    assert parse("3:10") == (3, 10)


@pytest.mark.parametrize("text", ["", "5", "a:b", "3:3", "9:3", "-1:4", "1:2:3"])
def test_what_is_no_range_or_an_empty_one_is_refused(text):
    with pytest.raises(ValueError, match=r"expected A:B|no seed is in it"):
        parse(text)


def test_ranges_agree_with_a_set_whatever_is_added():
    chance = random.Random(5)
    for _ in range(200):
        seeds, model = Seeds(), set()
        for _ in range(12):
            first = chance.randrange(30)
            new = set(range(first, first + 1 + chance.randrange(6)))
            assert seeds.add(first, max(new) + 1) == (not new & model)
            model |= new if not new & model else set()
        assert len(seeds) == len(model)
        assert seeds.count(5, 20) == len(model & set(range(5, 20)))
        missing = list(seeds.missing(5, 25, 4))
        assert all(0 < b - a <= 4 for a, b in missing)
        assert [s for a, b in missing for s in range(a, b)] == [
            s for s in range(5, 25) if s not in model
        ]
        assert all((s in seeds) == (s in model) for s in range(40))


def test_without_an_end_there_is_always_more():
    seeds = Seeds()
    seeds.add(0, 1000)
    assert next(seeds.missing(0, None, 50)) == (1000, 1050)
