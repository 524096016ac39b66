from __future__ import annotations

from flows.console.wording import counted


def test_one_thing_is_called_otherwise_than_several():
    assert [counted(n, "target") for n in (0, 1, 2, 1_200)] == [
        "0 targets", "1 target", "2 targets", "1,200 targets",
    ]  # fmt: skip
    assert counted(2, "entry", "entries") == "2 entries"
