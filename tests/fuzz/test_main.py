"""The command's sentences on spaces that hold, and on one that does not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.fuzz import __main__ as command
from tests.fuzz.__main__ import Space, main

seen: list[int] = []


def numbers() -> st.SearchStrategy[int]:
    return st.integers(0, 10**6)


def check(number: int, folder: Path) -> None:
    seen.append(number)
    (folder / "file").touch()
    if number >= 1_000:
        raise ValueError("it broke")


def small() -> st.SearchStrategy[int]:
    return st.integers(0, 9)


def space(strategy: str, *, bound_s: int = 20, **keys: bool) -> Space:
    return Space("tests.fuzz.test_main", strategy, 1.0, 20, bound_s, **keys)


@pytest.fixture(autouse=True)
def spaces(monkeypatch):
    monkeypatch.setattr(command, "SPACES", {"any": space("numbers"), "few": space("small")})
    seen.clear()


def test_a_space_that_holds_is_a_line_with_its_counts(capsys):
    assert main(["--minutes", "0.01", "--spaces", "few", "--seed", "7"]) == 0
    assert "few: " in capsys.readouterr().out
    assert set(seen) <= set(range(10))


def test_a_failure_is_made_small_shown_and_repeated_by_the_command_that_it_prints(capsys):
    assert main(["--minutes", "0.01", "--spaces", "any", "few"]) == 1
    told = capsys.readouterr().out
    assert "it broke" in told
    assert "number=1000" in told.replace("example=", "number=")
    assert "few: " in told, "a failure does not keep the other spaces from their part"
    again = next(line for line in told.splitlines() if "python -m tests.fuzz" in line)
    first = list(seen)
    seen.clear()
    assert main(["--minutes", "0.01", *again.split()[3:]]) == 1
    assert seen[0] == first[0]


def test_an_example_that_takes_too_long_is_a_failure(monkeypatch, capsys):
    def hangs(_number: int, _folder: Path) -> None:
        time.sleep(10)

    monkeypatch.setattr("tests.fuzz.test_main.check", hangs)
    monkeypatch.setattr(command, "SPACES", {"few": space("small", bound_s=1, shrinks=False)})
    assert main(["--minutes", "0.01"]) == 1
    assert "not done within 1 s" in capsys.readouterr().out
