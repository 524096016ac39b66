from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from transforms.contract.workspace.documents import (
    DamagedFile,
    read_json,
    read_object,
    read_value,
    reading,
)
from transforms.contract.workspace.manifest import ShardManifest

MANIFEST = ShardManifest(
    transform="t", partition="all", partition_fingerprint="p", shards=(), rows=3
).model_dump_json()


@given(st.integers(0, len(MANIFEST) - 1) | st.binary(max_size=20))
def test_what_is_no_whole_document_is_one_error_that_names_the_file(
    tmp_path_factory: pytest.TempPathFactory, change: int | bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "manifest.json"
    content = MANIFEST.encode()
    path.write_bytes(content[:change] if isinstance(change, int) else change)
    with pytest.raises(DamagedFile, match="braid check --repair") as raised:
        read_json(path, ShardManifest)
    assert raised.value.place == str(path)
    assert "\n" not in str(raised.value)


def test_a_whole_document_is_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(MANIFEST)
    assert read_json(path, ShardManifest).rows == 3
    assert read_object(path, "rows")["rows"] == 3


@pytest.mark.parametrize("content", ["", "null", "[]", "3", '"rows"', '{"row": 1}', "\x00"])
def test_what_lacks_a_name_that_it_always_has_is_damaged(tmp_path: Path, content: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(content)
    with pytest.raises(DamagedFile):
        read_object(path, "rows")
    with pytest.raises(DamagedFile, match="Do this"):
        read_value(path, TypeAdapter(dict[str, dict[str, int]]), action="Do this.")


def test_what_the_system_cannot_read_is_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "history.json")
    with pytest.raises(PermissionError), reading(tmp_path):
        raise PermissionError(13, "Permission denied", str(tmp_path))
