from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.contract.declaration.source import SourceSpec
from transforms.reading import path_columns
from transforms.reading.path_columns import PathReader
from transforms.source import scan

NOT_ALLOWED = "path_not_in_source.allow"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Returns a folder with a table's folder, one beside it, and a secret."""
    for name in ("data/photos", "data photos", "other", "data-2"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.png").write_bytes(name.encode())
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path


def read(project: Path, *cells: str | None, allow: tuple[str, ...] = ()) -> list[Any]:
    """Returns what was read for every cell, or the reason why not."""
    source = SourceSpec(path=str(project / "data"), key="id", allow=allow)
    contents, reasons = PathReader(source).read(cells)
    return [reasons.get(row, value) for row, value in enumerate(contents.to_pylist())]


def test_files_of_the_sources_folder_are_read_by_every_way_to_name_them(project: Path) -> None:
    path = project / "data" / "photos" / "a.png"
    cells = ["photos/a.png", "./photos/../photos/a.png", str(path), path.as_uri(), "", None]
    assert read(project, *cells) == [b"data/photos"] * 4 + [b"", b""]


def test_nothing_outside_is_read_however_it_is_named(project: Path) -> None:
    (project / "data" / "link").symlink_to(project / "secret")
    (project / "data" / "folder").symlink_to(project)
    secret = project / "secret"
    cells = [
        "../secret", "photos/../../secret", str(secret), secret.as_uri(), f"file://localhost{secret}",
        "link", "folder/secret", f"{project}/data/../secret", f"{project}/data-2/a.png",
        f"file://{project}/data/%2e%2e/secret", "/proc/self/environ", "/dev/zero", "/",
        "gs://bucket/a", "s3://bucket/a?endpoint_override=127.0.0.1:1", "http://127.0.0.1:1/a",
        "hdfs://127.0.0.1:1/a", "file://elsewhere/a", "mock://a", "nonsense://", "://", "a://[b",
        f"file://x@localhost{secret}",
    ]  # fmt: skip
    contents = read(project, *cells)
    assert set(contents) <= {NOT_ALLOWED, "missing_file"}
    assert contents.count("missing_file") == 1  # a host that is none: "a://[b"


def test_what_allow_names_is_read_too_and_nothing_beside_it(project: Path) -> None:
    cells = ["../other/a.png", str(project / "data photos" / "a.png"), "../data-2/a.png"]
    allow = (str(project / "other"), (project / "data photos").as_uri())
    assert read(project, *cells, allow=allow) == [b"other", b"data photos", NOT_ALLOWED]


def test_a_link_out_of_the_folder_is_followed_if_its_end_is_allowed(project: Path) -> None:
    (project / "data" / "more").symlink_to(project / "other")
    assert read(project, "more/a.png") == [NOT_ALLOWED]
    assert read(project, "more/a.png", allow=(str(project / "other"),)) == [b"other"]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    socket.socket(socket.AF_UNIX).bind(str(path))


@pytest.mark.parametrize("make", [pipe, listener, Path.mkdir])
def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has at most 107 bytes
    make(Path("x"))
    source = SourceSpec(path=".", key="id")
    assert PathReader(source).read(["x", "."])[1] == {0: "not_a_file", 1: "not_a_file"}


def test_a_device_is_no_file(project: Path) -> None:
    assert read(project, "/dev/zero", "/dev/null", allow=("/dev",)) == ["not_a_file"] * 2


def test_what_cannot_be_opened_is_missing(project: Path) -> None:
    (project / "data" / "loop").symlink_to(project / "data" / "loop")
    cells = ["none.png", "a\0b", "photos/a.png/b", "x" * 5000, "loop", "photos/a.png "]
    assert read(project, *cells) == ["missing_file"] * 6


def test_a_file_of_unlikely_size_is_not_read(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_columns, "_MOST_BYTES", 6)
    (project / "data" / "small").write_bytes(b"123456")
    assert read(project, "photos/a.png", "small") == ["file_too_large", b"123456"]


@given(st.lists(st.sampled_from(["..", ".", "data", "photos", "a.png", "other", "secret", "link",
                                 "", "file:", "%2e%2e", "~", "\0", "é"]), max_size=8))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_path_leads_out(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    project = tmp_path_factory.getbasetemp() / "paths"
    if not project.exists():
        (project / "data" / "photos").mkdir(parents=True)
        (project / "data" / "photos" / "a.png").write_bytes(b"inside")
        (project / "data" / "link").symlink_to(project)
        (project / "other").mkdir()
        for name in ("secret", "other/secret", "other/a.png"):
            (project / name).write_bytes(b"outside")
    relative = "/".join(parts)
    cells = [relative, f"{project}/{relative}", f"file://{project}/data/{relative}"]
    assert b"outside" not in read(project, *cells)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("photos/a.png", "bucket/table/photos/a.png"),
        ("gs://bucket/table/a.png", "bucket/table/a.png"),
        ("gs://anonymous@bucket/table/a.png?scheme=http", "bucket/table/a.png"),
        ("gs://bucket/pictures/a%20b.png", "bucket/pictures/a b.png"),
        ("gs://bucket/a.png", None),
        ("gs://bucket/table/../a.png", None),
        ("gs://bucket/table/%2e%2e/a.png", None),
        ("gs://bucket/table//another/a.png", None),
        ("../a.png", None),
        ("gs://bucket/table-2/a.png", None),
        ("gs://another/table/a.png", None),
        ("gs://me@bucket/table/a.png", None),
        ("s3://bucket/table/a.png", None),
        ("gs://bucket/table/a.png?endpoint_override=127.0.0.1:1", None),
        ("/etc/passwd", None),
        ("file:///etc/passwd", None),
    ],
)
def test_of_a_url_only_what_lies_below_an_allowed_one_is_opened_and_by_its_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, expected: str | None
) -> None:
    def opened(url: str) -> tuple[pafs.FileSystem, str]:
        inner = url.removeprefix("gs://").removeprefix("anonymous@").partition("?")[0]
        return pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()), inner

    monkeypatch.setattr(path_columns, "open_filesystem", opened)
    monkeypatch.setattr(scan, "open_filesystem", opened)
    if expected is not None:
        (tmp_path / expected).parent.mkdir(parents=True)
        (tmp_path / expected).write_bytes(b"object")
    source = SourceSpec(
        path="gs://anonymous@bucket/table?scheme=http", key="id", allow=("gs://bucket/pictures",)
    )
    contents, reasons = PathReader(source).read([cell])
    assert contents.to_pylist() == [None if expected is None else b"object"]
    assert reasons == ({0: NOT_ALLOWED} if expected is None else {})
