"""Shards in a store: those of a workspace, wherever they lie and whatever is killed or torn."""

import shutil
from collections import Counter

import pyarrow.parquet as pq
import pytest

from flows.retention.exclusion import exclusive
from flows.retention.leftovers import remove_leftovers
from flows.retention.needed_shards import Needed
from tests.support.bucket import URI, memory_bucket
from tests.support.jobs import transform_job
from tests.transforms.conftest import write_rows
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import new_checksum
from transforms.contract.leases.lease import LeaseDocument, LeaseLost, lease_place
from transforms.contract.leases.versioned import write_versioned
from transforms.contract.workspace.cache import local_copies
from transforms.contract.workspace.files import children
from transforms.shards.transform import _cut, _TransformUnit, transform

KEPT = {"transforms", "statistics", "shards", "rejects"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two days of nine rows, of which the last has no price."""
    folder = tmp_path_factory.mktemp("days")
    for day in (1, 2):
        prices = [*(1.0 * day + n for n in range(8)), None]
        write_day(folder, day, [f"{day}-{n}" for n in range(9)], prices, ["a", "b", "c"] * 3)
    return folder


def write_day(folder, day, ids, prices, kinds):
    path = folder / "data" / f"day={day}" / "rows.parquet"
    write_rows({"id": ids, "price": prices, "kind": kinds}, path)


@pytest.fixture(scope="module")
def plain(folder):
    """The job of the rows in a workspace without a store, which is done."""
    return run(job_of(folder, "plain"))


@pytest.fixture(scope="module")
def analyzed(folder):
    """The job of the rows in a bucket, and what is there after the analysis."""
    with memory_bucket() as memory:
        job = job_of(folder, "beside", store=URI)
        analyze(job.model_dump_json())
        return job, dict(memory.objects)


@pytest.fixture
def bucket(analyzed):
    with memory_bucket() as memory:
        for path, content in analyzed[1].items():
            memory.put(path, content)
        yield memory


@pytest.fixture
def job(analyzed):
    return analyzed[0]


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


def test_a_second_path_has_what_the_workspace_had_byte_for_byte(folder, plain):
    run(job_of(folder, "other", store=str(folder / "store")))
    assert files_in(folder / "store") == files_in(folder / "plain")
    assert not KEPT & {path.name for path in (folder / "other").glob("*")}


def test_what_a_workspace_has_is_committed_when_it_is_declared_as_the_store(folder, plain):
    job = job_of(folder, "another", store=str(folder / "plain"))
    assert job.folders().read_transform(job.transform) is not None
    assert transform(job.model_dump_json()).partitions == 0


def test_a_bucket_has_the_shards_that_a_workspace_has(folder, plain, bucket, job):
    transform(job.model_dump_json())
    assert outcome(job) == outcome(plain)
    assert is_whole(bucket, job)
    assert transform(job.model_dump_json()).partitions == 0
    vocabulary = "statistics/vocabularies/kind.txt"
    copied, written = (each.folders().transform_folder(each.transform) for each in (job, plain))
    assert (copied / vocabulary).read_bytes() == (written / vocabulary).read_bytes()
    assert not KEPT & {path.name for path in (folder / "beside").glob("*")}


def test_a_bucket_that_is_busy_or_tears_now_and_then_changes_nothing(plain, bucket, job):
    put, open_stream = bucket.put, bucket.open_output_stream
    asked, torn, order = set(), set(), {}

    def is_first_of_a_third(path, before, third):
        place = order.setdefault(path, len(order))  # of the objects, in the order of their uploads
        is_first = path not in before
        before.add(path)
        return is_first and place % 3 == third

    def refusing(path, metadata):
        if is_first_of_a_third(path, asked, 0):
            raise OSError("SlowDown, HTTP status 503")
        return open_stream(path, metadata)

    def tearing(path, content):
        put(path, content[:-1] if is_first_of_a_third(path, torn, 1) else content)

    bucket.put, bucket.open_output_stream = tearing, refusing
    transform(job.model_dump_json())
    assert outcome(job) == outcome(plain)
    assert is_whole(bucket, job)


@pytest.mark.parametrize("at", ["a shard", "a receipt", "a manifest", "what follows a manifest"])
def test_a_run_that_a_lost_bucket_ended_goes_on_where_it_was(plain, bucket, job, at):
    kind, part = {
        "a shard": ("write", "/shards/"),
        "a receipt": ("write", "/units/"),
        "a manifest": ("write", "/manifests/"),
        "what follows a manifest": ("delete", "/units/"),
    }[at]
    open_stream, delete = bucket.open_output_stream, bucket.delete_file

    def refusing(path, metadata):
        if kind == "write" and part in path and not path.endswith("plan.json"):
            raise OSError("PERMISSION_DENIED")
        return open_stream(path, metadata)

    def keeping(path):
        if kind == "delete" and part in path:
            raise OSError("PERMISSION_DENIED")
        delete(path)

    bucket.open_output_stream, bucket.delete_file = refusing, keeping
    with pytest.raises(BraidError, match="PERMISSION_DENIED"):
        transform(job.model_dump_json())
    bucket.open_output_stream, bucket.delete_file = open_stream, delete
    transform(job.model_dump_json())
    with exclusive(job.folders(), "transform", job.transform) as hold:
        remove_leftovers(job.folders(), job.transform, job.partitions, hold, Needed())
    assert outcome(job) == outcome(plain)
    assert is_whole(bucket, job)


def test_an_attempt_that_comes_late_changes_nothing(plain, bucket, job):
    late = _TransformUnit(job, dict.fromkeys([part.name for part in job.partitions], 1))
    late.setup()
    write, (unit, *_) = late._write, _cut(job, job.partitions[0], at_least=1)

    def overtaken(*arguments):
        transform(job.model_dump_json())
        write(*arguments)

    late._write = overtaken
    late.process(unit)
    assert outcome(job) == outcome(plain)
    assert is_whole(bucket, job)


@pytest.mark.parametrize("step", [analyze, transform])
def test_what_lost_its_lease_commits_nothing(bucket, job, step):
    place = lease_place(job.folders().stored, "transform", job.transform)
    other = LeaseDocument(workspace="b", holder="7 on b", token="b", term=60.0, renewals=1)
    write_versioned(place, other.model_dump_json().encode(), over=None)
    if step is analyze:
        bucket.objects.pop(f"bucket/braid/transforms/{job.transform}/transform.json")
    leased = job.model_copy(update={"lease": "a"})
    with pytest.raises(LeaseLost, match=r"\.json: .*that of process 7 on b"):
        step(leased.model_dump_json())
    assert not [path for path in bucket.objects if "/manifests/" in path]
    frozen = job.folders().read_transform(job.transform) is not None
    assert frozen == (step is transform)


def test_a_newer_partition_reads_the_others_statistics_from_the_bucket(
    folder, bucket, tmp_path, job
):
    shutil.copytree(folder / "data", tmp_path / "data")
    write_day(tmp_path, 3, ["3-1"], [3.0], ["d"])
    newer = job_of(tmp_path, "beside", store=URI)
    assert analyze(newer.model_dump_json()).partitions == 1
    declaration = newer.pipeline.data_fingerprint()
    names = [each.fingerprint for each in newer.folders().transforms_of(declaration)]
    assert names == [newer.transform, job.transform]
