from __future__ import annotations

from trainer.data.fair_shares import fair_shares


def test_what_one_does_not_want_is_left_to_the_others():
    assert fair_shares([1, 100, 100], 21) == [1, 10, 10]
    assert fair_shares([5, 5], 20) == [5, 5]
