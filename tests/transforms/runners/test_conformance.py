"""The same bytes by every runner: statistics, vocabularies, rejects, shards and manifests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.job_server import job_server
from tests.support.runners import (
    FLINK_WORKER,
    IN_PROCESS,
    PROCESS,
    WORKERS,
    files,
    run,
    write_listings,
)
from transforms.contract.declaration.transform import BeamSpec

pytestmark = pytest.mark.runners


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return write_listings(tmp_path_factory.mktemp("listings"))


@pytest.fixture(scope="module")
def in_process(table: Path) -> dict[str, str]:
    run(table, "in-process", IN_PROCESS)
    return files(table, "in-process")


@contextmanager
def job_server_of_beam(folder: Path) -> Iterator[BeamSpec]:
    with job_server(folder) as server:
        options = server.options(parallelism=WORKERS)  # by one process, as each loads TensorFlow
        yield BeamSpec(runner="PortableRunner", options=options)


@contextmanager
def prism(folder: Path) -> Iterator[BeamSpec]:
    program = os.environ.get("BRAID_PRISM") or shutil.which("prism")
    if program is None:
        pytest.skip("There is no `prism` on the PATH, and BRAID_PRISM names none.")
    log = {"BRAID_WORKER_LOG": str(folder / "worker.log")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (FLINK_WORKER | log).items():
            patch.setenv(name, value)
        options = {"prism_location": program, "parallelism": WORKERS, **PROCESS}
        yield BeamSpec(runner="PrismRunner", options=options)


@pytest.mark.parametrize("runner", [job_server_of_beam, prism])
def test_every_file_is_byte_for_byte_that_of_the_in_process_runner(
    table: Path, in_process: dict[str, str], tmp_path, monkeypatch, runner
):
    told: list[tuple[int, int]] = []

    def hear(done: int, total: int, **_: Any) -> None:
        told.append((done, total))

    monkeypatch.setattr("transforms.contract.process.events.report", hear)
    with runner(tmp_path) as beam:
        run(table, runner.__name__, beam)
    written = files(table, runner.__name__)
    assert written == in_process
    for kind in ("rejects", "shards"):
        assert any(name.startswith(kind) for name in written)
    assert told[-1][0] == told[-1][1] > 0, "what workers elsewhere are done with is told"
