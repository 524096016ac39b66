from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.files import remove_temporaries, replacing, write_atomic
from transforms.contract.workspace.layout import CACHE_VARIABLE, Workspace
from transforms.contract.workspace.locks import exclusive_lock, waiting_lock


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_atomic(path, "old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_takes_the_place_of_an_uncommitted_one(tmp_path: Path) -> None:
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "stray").touch()
    with replacing(tmp_path / "graph") as temporary:
        temporary.mkdir()
        (temporary / "saved_model.pb").touch()
    assert [p.name for p in (tmp_path / "graph").iterdir()] == ["saved_model.pb"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from transforms.contract.workspace.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1]) / 'a.bin') as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    remove_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_second_holder_is_refused_by_name(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "reviews.lock"
    with (
        exclusive_lock(lock, holder="pipeline reviews"),
        pytest.raises(BraidError, match="pipeline reviews: expected no other run"),
        exclusive_lock(lock, holder="pipeline reviews"),
    ):
        pass
    with exclusive_lock(lock, holder="pipeline reviews"):
        pass


def test_a_held_lock_is_waited_for_and_named_once(tmp_path: Path) -> None:
    path, release = tmp_path / "a.lock", threading.Event()
    seen: list[str] = []

    def waiting(held: BraidError) -> None:
        seen.append(held.received)
        release.set()

    entered = threading.Event()

    def hold() -> None:
        with exclusive_lock(path, holder="first"):
            entered.set()
            release.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    with waiting_lock(path, holder="second", on_wait=waiting) as descriptor:
        assert descriptor > 0
    holder.join()
    assert len(seen) == 1
    assert seen[0].startswith("one in process ")


def test_a_free_lock_is_taken_at_once(tmp_path: Path) -> None:
    seen: list[BraidError] = []
    with waiting_lock(tmp_path / "a.lock", holder="x", on_wait=seen.append):
        assert seen == []


def test_a_partition_with_a_long_name_has_a_folder_that_file_systems_take(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    long = "/".join(["é" * 60] * 4)
    folder = workspace.shards("t", long, "f1")
    folder.mkdir(parents=True)
    assert folder != workspace.shards("t", long + "x", "f1")
    assert workspace.shards("t", "2026/a.csv", "f1").name == "2026,a.csv@f1"


def test_copies_of_a_bucket_lie_in_the_workspace_or_where_a_variable_says(tmp_path, monkeypatch):
    store = StoreSpec(path="s3://bucket/braid")

    def cache() -> Path:
        return Workspace.declared(tmp_path, store).store.bucket.cache

    assert cache().parent == tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, "/mnt/fast")
    assert cache().parent == Path("/mnt/fast")
