"""The least that a pipeline declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from transforms.contract.declaration.parsing import load
from transforms.contract.errors import DeclarationError

MINIMAL = """
name: reviews
source: {path: data, key: id}
features:
  country: {kind: categorical}
  photo: {kind: image, height: 96, width: 96}
targets:
  sold: {kind: binary}
"""

MASK = "targets.mask={kind: image, content: binary_mask, height: 96, width: 96}"


def error_of(path: Path, *overrides: str) -> str:
    with pytest.raises(DeclarationError) as caught:
        load(path, overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)
