"""Shards in a store: those of a workspace, wherever they lie and whatever is killed or torn."""

import json
import shutil
from collections import Counter

import pyarrow.parquet as pq
import pytest

from tests.support.bucket import URI, memory_bucket
from tests.support.jobs import transform_job
from tests.transforms.conftest import write_rows
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import new_checksum
from transforms.contract.workspace.cache import local_copies
from transforms.contract.workspace.files import children
from transforms.contract.workspace.layout import Workspace
from transforms.shards.transform import transform

KEPT = {"transforms", "statistics", "shards", "rejects"}


@pytest.fixture
def bucket():
    with memory_bucket() as memory:
        yield memory


@pytest.fixture
def rows(tmp_path):
    """Two days of nine rows, of which the last has no price."""
    for day in (1, 2):
        prices = [*(1.0 * day + n for n in range(8)), None]
        write_rows(
            {"id": [f"{day}-{n}" for n in range(9)], "price": prices, "kind": ["a", "b", "c"] * 3},
            tmp_path / "data" / f"day={day}" / "rows.parquet",
        )
    return tmp_path


def job_of(folder, workspace, store=None):
    source = {"path": str(folder / "data"), "key": "id", "partition_by": "day"}
    document = {
        "name": "days",
        "source": source,
        "features": {"kind": {"kind": "categorical"}},
        "targets": {"sold": {"kind": "numeric", "column": "price"}},
        "transform": {"max_reject_fraction": 0.5},
    }
    pipeline = parse(document | ({"store": store} if store else {}))
    return transform_job(pipeline, folder / workspace)


def run(job):
    analyze(job.model_dump_json())
    transform(job.model_dump_json())
    return job


def files_in(folder):
    """Returns all files but TensorFlow's graph, which no two processes write alike."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "graph" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def outcome(job):
    """Returns rows, rejects and the contents of shards of every partition, by its name."""
    workspace = job.folders()
    manifests = workspace.read_all_shards(job.transform, [part.id for part in job.partitions])
    seen = {}
    for part, manifest in manifests.items():
        places = children(workspace.rejects(job.transform, *part))
        tables = [pq.read_table(path) for path in local_copies(places).values()]
        rejected = Counter(key for table in tables for key in table["key"].to_pylist())
        shards = [(s.split, s.content, s.rows, s.checksum) for s in manifest.shards]
        seen[part.name] = (manifest.rows, rejected, shards)
    return seen


def is_whole(bucket, job):
    """Returns whether the store has what manifests name, as they name it, and nothing else."""
    workspace = job.folders()
    parts = [part.id for part in job.partitions]
    named = {}
    for part, manifest in workspace.read_all_shards(job.transform, parts).items():
        folder = workspace.shards(job.transform, *part)
        named |= {f"bucket/braid/{folder.key}/{s.file}": s.checksum for s in manifest.shards}
    there = {}
    for path, content in bucket.objects.items():
        if path.startswith(("bucket/braid/shards/", "bucket/braid/units/")):
            digest = new_checksum()
            digest.update(content)
            there[path] = digest.hexdigest()
    return there == named


def test_a_second_path_has_what_the_workspace_had_byte_for_byte(rows):
    run(job_of(rows, "plain"))
    run(job_of(rows, "beside", store=str(rows / "store")))
    assert files_in(rows / "store") == files_in(rows / "plain")
    assert not KEPT & {path.name for path in (rows / "beside").glob("*")}


def test_what_a_workspace_has_is_committed_when_it_is_declared_as_the_store(rows):
    run(job_of(rows, "plain"))
    shutil.move(rows / "plain", rows / "store")
    job = job_of(rows, "other", store=str(rows / "store"))
    assert job.folders().read_transform(job.transform) is not None
    assert transform(job.model_dump_json()).partitions == 0


def test_a_bucket_has_the_shards_that_a_workspace_has(rows, bucket):
    plain, stored = run(job_of(rows, "plain")), run(job_of(rows, "beside", store=URI))
    assert outcome(stored) == outcome(plain)
    assert is_whole(bucket, stored)
    assert transform(stored.model_dump_json()).partitions == 0
    folder = stored.folders().transform_folder(stored.transform)
    vocabulary = "statistics/vocabularies/kind.txt"
    assert (folder / vocabulary).read_bytes() == (
        plain.folders().transform_folder(plain.transform) / vocabulary
    ).read_bytes()
    assert not KEPT & {path.name for path in (rows / "beside").glob("*")}


def test_a_bucket_that_is_busy_or_tears_now_and_then_changes_nothing(rows, bucket):
    plain = run(job_of(rows, "plain"))
    put, turns = bucket.put, iter(range(10**6))

    def tearing(path, content):
        put(path, content[:-1] if next(turns) % 5 == 0 else content)
        bucket.failures = [OSError("SlowDown, HTTP status 503")]

    bucket.put = tearing
    stored = run(job_of(rows, "beside", store=URI))
    bucket.put = put
    assert outcome(stored) == outcome(plain)
    assert is_whole(bucket, stored)


@pytest.mark.parametrize("at", ["a shard", "a receipt", "a manifest", "what follows a manifest"])
def test_a_run_that_a_lost_bucket_ended_goes_on_where_it_was(rows, bucket, at):
    plain = run(job_of(rows, "plain"))
    job = job_of(rows, "beside", store=URI)
    analyze(job.model_dump_json())
    begins = {
        "a shard": ("write", "shards/"),
        "a receipt": ("write", "0.json"),
        "a manifest": ("write", "manifests/"),
        "what follows a manifest": ("delete", "units/"),
    }[at]
    lost = OSError("PERMISSION_DENIED")
    kind, part = begins
    open_stream, delete = bucket.open_output_stream, bucket.delete_file

    def refusing(path, metadata):
        if kind == "write" and part in path:
            raise lost
        return open_stream(path, metadata)

    def keeping(path):
        if kind == "delete" and part in path:
            raise lost
        delete(path)

    bucket.open_output_stream, bucket.delete_file = refusing, keeping
    with pytest.raises(BraidError, match="PERMISSION_DENIED"):
        transform(job.model_dump_json())
    bucket.open_output_stream, bucket.delete_file = open_stream, delete
    transform(job.model_dump_json())
    from flows.retention.leftovers import remove_leftovers

    remove_leftovers(job.folders(), job.transform, job.partitions)
    assert outcome(job) == outcome(plain)
    assert is_whole(bucket, job)


def test_a_newer_partition_reads_the_others_statistics_from_the_bucket(rows, bucket):
    run(job_of(rows, "beside", store=URI))
    path = rows / "data" / "day=3" / "rows.parquet"
    write_rows({"id": ["3-1"] * 1, "price": [3.0], "kind": ["d"]}, path)
    result = analyze(job_of(rows, "beside", store=URI).model_dump_json())
    assert result.partitions == 1


def test_the_newest_transform_of_a_bucket_is_that_which_was_committed_last(rows, bucket):
    first = run(job_of(rows, "beside", store=URI))
    path = rows / "data" / "day=3" / "rows.parquet"
    write_rows({"id": ["3-1"], "price": [3.0], "kind": ["d"]}, path)
    second = run(job_of(rows, "beside", store=URI))
    workspace: Workspace = second.folders()
    declaration = second.pipeline.data_fingerprint()
    names = [manifest.fingerprint for manifest in workspace.transforms_of(declaration)]
    assert names == [second.transform, first.transform]
    assert json.loads((workspace.transform(first.transform) / "transform.json").read_bytes())
