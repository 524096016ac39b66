"""A unit on its way through a runner, and the link that is named where it does not go through."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bucket import URI, memory_bucket
from tests.support.idle_job_server import idle_job_server
from tests.support.job_server import WORKER, JobServer, job_server
from tests.transforms.conftest import write_rows
from transforms import doctor as examination
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.steps.doctor import DoctorJob, Link
from transforms.contract.workspace.files import write_atomic
from transforms.doctor import Installation, doctor
from transforms.runners.job_server import Bounds
from transforms.source.scan import scan

IN_PROCESS = {"runner": "DirectRunner", "options": {}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with job_server(tmp_path_factory.mktemp("server")) as server:
        yield server


def job_of(folder: Path, beam: dict[str, object] = IN_PROCESS, **keys: object) -> DoctorJob:
    write_rows({"id": ["a", "b"], "price": [1.0, 2.0]}, folder / "data" / "rows.parquet")
    pipeline = parse(
        {
            "name": "prices",
            "source": {"path": str(folder / "data"), "key": "id"},
            "features": {"price": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "numeric", "column": "price"}},
            "beam": beam,
            **keys,
        }
    )
    (partition,) = scan(pipeline.source).partitions
    return DoctorJob(pipeline=pipeline, workspace=str(folder / "workspace"), partition=partition)


def examined(job: DoctorJob) -> list[tuple[str, bool]]:
    links = doctor(job.model_dump_json()).links
    return [(link.name, link.error is None) for link in links]


def broken(job: DoctorJob) -> Link:
    link = doctor(job.model_dump_json()).links[-1]
    assert link.error is not None
    return link


def portable(options: dict[str, object]) -> dict[str, object]:
    return {"runner": "PortableRunner", "options": options}


def test_a_unit_goes_through_the_runner_of_this_process(tmp_path):
    job = job_of(tmp_path)
    whole = [(name, True) for name in ("worker", "installation", "workspace", "source")]
    assert examined(job) == whole
    assert list((tmp_path / "workspace" / "beam").iterdir()) == []


def test_a_store_in_a_bucket_is_tried_here_and_by_the_worker_which_needs_no_workspace(tmp_path):
    with memory_bucket() as bucket:
        links = examined(job_of(tmp_path, store=URI))
        names = ("store", "worker", "installation", "store, by a worker", "source")
        assert links == [(name, True) for name in names]
        assert bucket.objects == {}


def test_a_store_on_a_disk_is_tried_beside_the_workspace(tmp_path):
    links = examined(job_of(tmp_path, store=str(tmp_path / "store")))
    names = ("store", "worker", "installation", "workspace", "store, by a worker", "source")
    assert links == [(name, True) for name in names]
    assert list((tmp_path / "store").iterdir()) == []


def test_a_store_that_refuses_is_the_first_link_that_is_named(tmp_path):
    with memory_bucket() as bucket:
        bucket.failures = [OSError("ACCESS_DENIED")] * 9
        link = broken(job_of(tmp_path, store=URI))
    assert link.name == "store"
    assert "ACCESS_DENIED" in link.error.received


def test_a_store_that_only_the_worker_does_not_see_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(
        examination._Probe, "process", _of_another_bucket(examination._Probe.process)
    )
    with memory_bucket():
        link = broken(job_of(tmp_path, store=URI))
    assert link.name == "store, by a worker"


def _of_another_bucket(process):
    def of_another(probe, unit):
        order = examination.Order.model_validate_json(probe._order)
        probe._order = order.model_copy(update={"name": "elsewhere"}).model_dump_json()
        process(probe, unit)

    return of_another


def test_a_source_that_the_worker_does_not_see_is_named(tmp_path, monkeypatch):
    job = job_of(tmp_path)
    unit = examination._unit(job)
    monkeypatch.setattr(examination, "_unit", lambda _: unit)
    (tmp_path / "data" / "rows.parquet").unlink()
    link = broken(job)
    assert link.name == "source"
    assert "rows.parquet" in link.error.received


def test_a_table_of_which_no_unit_can_be_cut_is_no_broken_link(tmp_path):
    job = job_of(tmp_path, portable({"job_endpoint": "127.0.0.1:9"}))
    write_rows({"id": [], "price": []}, tmp_path / "data" / "rows.parquet")
    with pytest.raises(BraidError, match="expected rows, of which a worker reads some"):
        doctor(job.model_dump_json())


@pytest.mark.parametrize(
    ("token", "received"), [("another", ": others"), (None, "No such file or directory")]
)
def test_a_workspace_of_another_machine_is_named(tmp_path, monkeypatch, token, received):
    def write_elsewhere(path: Path, content: str) -> None:
        if path.name != "token":
            write_atomic(path, content)
        elif token is not None:
            write_atomic(path, token)

    monkeypatch.setattr(examination, "write_atomic", write_elsewhere)
    link = broken(job_of(tmp_path))
    assert link.name == "workspace"
    assert received in link.error.received


def test_nobody_at_the_job_servers_address_is_named_whatever_the_runner(tmp_path, monkeypatch):
    monkeypatch.setattr(examination, "_BOUNDS", Bounds(reach=1))
    beam = {"runner": "NoSuchRunner", "options": {"job_endpoint": "127.0.0.1:9"}}
    (link,) = doctor(job_of(tmp_path, beam).model_dump_json()).links
    assert link.name == "job server"
    assert link.error.received == "no answer in 1 s"


def test_the_job_server_that_answers_is_told_by_its_address(tmp_path, monkeypatch):
    with idle_job_server() as idle:
        monkeypatch.setenv("FLINK_ENDPOINT", idle.endpoint)
        beam = {"runner": "NoSuchRunner", "options": {"job_endpoint": "${FLINK_ENDPOINT}"}}
        server, worker = doctor(job_of(tmp_path, beam).model_dump_json()).links
    assert (server.error, server.note) == (None, f"{idle.endpoint} answers")
    assert "NoSuchRunner" in worker.error.received


def test_an_installation_differs_by_packages_and_by_python():
    mine = Installation(python="3.11.7", packages={"pyarrow": "25.0.0", "numpy": "2.1.0"})
    assert mine.differences(mine.model_copy(update={"python": "3.11.9"})) == []
    other = Installation(python="3.12.1", packages={"pyarrow": "24.0.0"})
    assert mine.differences(other) == [
        "Python 3.12 instead of 3.11",
        "pyarrow 24.0.0 instead of 25.0.0",
        "numpy none instead of 2.1.0",
    ]


@pytest.mark.runners
def test_a_unit_goes_through_a_job_server(server: JobServer, tmp_path):
    links = ("job server", "worker", "installation", "workspace", "source")
    assert examined(job_of(tmp_path, portable(server.options()))) == [(n, True) for n in links]


@pytest.mark.runners
def test_a_worker_that_does_not_start_is_named(server: JobServer, tmp_path, monkeypatch):
    monkeypatch.setattr(examination, "_BOUNDS", Bounds(start=2))
    link = broken(job_of(tmp_path, portable(server.options("exit 3"))))
    assert link.name == "worker"
    assert link.error.received.startswith("none in ")


@pytest.mark.runners
def test_other_packages_of_the_worker_are_named(server: JobServer, tmp_path):
    other = tmp_path / "site" / "pyarrow-1.2.3.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: pyarrow\nVersion: 1.2.3\n")
    command = f"PYTHONPATH={other.parent}:$PYTHONPATH {WORKER}"
    link = broken(job_of(tmp_path, portable(server.options(command))))
    assert link.name == "installation"
    assert "pyarrow 1.2.3 instead of" in link.error.received


@pytest.mark.runners
def test_a_worker_without_braid_is_named(server: JobServer, tmp_path):
    hidden = tmp_path / "site" / "transforms"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").touch()
    # An installation of this checkout would be found before the folder.
    (hidden.parent / "sitecustomize.py").write_text(
        "import sys\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
    )
    command = f"cd / && PYTHONPATH={hidden.parent} {WORKER}"
    beam = portable(server.options(command))
    link = broken(job_of(tmp_path, beam))
    assert link.name == "installation"
    assert "transforms" in link.error.received
