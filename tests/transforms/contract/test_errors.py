from __future__ import annotations

import errno

import pytest

from transforms.contract.errors import (
    BraidError,
    DeclarationError,
    error_from_dict,
    storage_error,
)


@pytest.mark.parametrize("kind", [BraidError, DeclarationError])
def test_error_crosses_a_process_boundary_whole(kind: type[BraidError]) -> None:
    error = kind("source.path", expected="a file", received="nothing", action="Correct it.")
    copy = error_from_dict(error.to_dict())
    assert type(copy) is kind
    assert str(copy) == "source.path: expected a file, received nothing. Correct it."


def test_full_disk_says_what_to_do() -> None:
    error = storage_error(OSError(errno.ENOSPC, "No space left on device", "/w/run.json"), "x")
    assert str(error).startswith("/w/run.json: expected a file system that can be read and written")
    assert "Free some space" in error.action
