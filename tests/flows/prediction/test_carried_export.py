"""An export on its way through a bucket to workers that do not see its folder."""

from __future__ import annotations

from pathlib import Path

from flows.prediction.carried_export import carried, export_here
from flows.prediction.score_job import ScoreJob, Scoring
from tests.support.bucket import URI, memory_bucket
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.transform import BeamSpec, StoreSpec
from transforms.contract.workspace.layout import CACHE_VARIABLE

DECLARATION = {
    "name": "flats",
    "source": {"path": "declared", "key": "id"},
    "features": {"x": {"kind": "numeric"}},
    "targets": {"y": {"kind": "numeric"}},
}


def job_of(folder: Path, store: StoreSpec | None) -> ScoreJob:
    export = folder / "export"
    (export / "variables").mkdir(parents=True)
    (export / "braid.json").write_text("{}")
    (export / "variables" / "weights").write_text("weights")
    return ScoreJob(
        table=parse(DECLARATION),
        beam=BeamSpec(),
        workspace=str(folder / "workspace"),
        store=store,
        export=str(export),
        scoring=Scoring(model="flats", version="1", declaration="d"),
        output="scores",
        partitions=(),
    )


def test_workers_copy_the_export_from_the_bucket_as_long_as_their_job_runs(tmp_path, monkeypatch):
    with memory_bucket() as bucket:
        job = job_of(tmp_path, StoreSpec(path=URI, cache_bytes=10**9))
        with carried(job) as there:
            monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "worker"))
            (tmp_path / "export").rename(tmp_path / "hidden")
            copy = Path(export_here(there))
            assert copy.is_relative_to(tmp_path / "worker")
            assert (copy / "braid.json").read_text() == "{}"
            assert (copy / "variables" / "weights").read_text() == "weights"
        assert bucket.objects == {}


def test_without_a_bucket_workers_read_the_export_where_it_is(tmp_path):
    job = job_of(tmp_path, None)
    with carried(job) as there:
        assert export_here(there) == str(tmp_path / "export")
