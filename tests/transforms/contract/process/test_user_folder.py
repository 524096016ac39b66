from __future__ import annotations

import os
from pathlib import Path

from transforms.contract.process.user_folder import user_folder


def test_a_user_has_a_folder_in_the_cache_and_without_a_home_among_temporary_files(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_folder("worker") == tmp_path / "braid" / "worker"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert user_folder("worker") == Path(tmp_path) / f"braid-{os.getuid()}" / "worker"
