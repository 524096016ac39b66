from __future__ import annotations

import pytest

from transforms.contract.errors import BraidError, DeclarationError, error_from_dict


@pytest.mark.parametrize("kind", [BraidError, DeclarationError])
def test_error_crosses_a_process_boundary_whole(kind: type[BraidError]) -> None:
    error = kind("source.path", expected="a file", received="nothing", action="Correct it.")
    copy = error_from_dict(error.to_dict())
    assert type(copy) is kind
    assert str(copy) == "source.path: expected a file, received nothing. Correct it."
