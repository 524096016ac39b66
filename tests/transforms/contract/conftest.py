from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import MINIMAL


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(MINIMAL)
    return path
