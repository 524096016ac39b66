"""The answer of `braid status` to a source and of partitions that were committed by hand."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from flows.records.record import StepRecord, write_record
from flows.records.run_identity import identity_of, open_run
from flows.report.status import PipelineStatus, status_of, status_table
from tests.support.bucket import URI, memory_bucket
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.drift import Distance, MeasuredDrift
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.manifest import (
    RejectCount,
    Shard,
    ShardManifest,
    TransformManifest,
)
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import (
    TransformChoice,
    Undecided,
    choose_transform,
)
from transforms.reading.cutting import write_windows_of_run
from transforms.source.scan import scan
from transforms.source.windows import windows_partition


@pytest.fixture
def project(tmp_path) -> Path:
    """A declaration and three days of two rows."""
    for day in ("2026-01-30", "2026-01-31", "2026-02-01"):
        _write(tmp_path, day)
    document = {
        "name": "flats",
        "source": {"path": "data", "key": "id", "partition_by": "day"},
        "features": {"area": {"kind": "numeric"}},
        "targets": {"sold": {"kind": "binary"}},
        "transform": {"refit": "never"},
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


def _write(project: Path, day: str, rows: int = 2) -> Path:
    path = project / "data" / f"day={day}" / "rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"{day}-{row}" for row in range(rows)]
    pq.write_table(pa.table({"id": ids, "area": [1.0] * rows, "sold": [1] * rows}), path)
    return path


def _open(project: Path, *overrides: str) -> tuple[PipelineSpec, Workspace]:
    pipeline = load(project / "pipeline.yaml", overrides)
    return pipeline, Workspace.declared(project / "workspace", pipeline.declared_store())


def _status(project: Path, *overrides: str) -> PipelineStatus:
    return status_of(*_open(project, *overrides))


def _states(status: PipelineStatus) -> dict[str, str]:
    return {part.name: part.state for part in status.partitions}


def _run(project: Path, *overrides: str, rejected: int = 0, end: str = "promoted") -> str:
    """Leaves what a run of the pipeline leaves, its rows apart; returns the run's name."""
    pipeline, workspace = _open(project, *overrides)
    partitions = scan(pipeline.source).partitions
    if pipeline.source.windows is not None:
        partitions = (windows_partition(pipeline, partitions),)
    choice = choose_transform(pipeline, partitions, workspace)
    assert isinstance(choice, TransformChoice)
    transform = choice.name
    identity = identity_of(pipeline, transform, partitions)
    run = open_run(workspace, pipeline, identity, transform=transform, partitions=partitions)
    manifest = TransformManifest(
        fingerprint=transform,
        declaration=pipeline.data_fingerprint(),
        raw_features={},
        raw_targets={},
        stored=(),
        targets={},
        rows=6,
        partitions={part.name: part.fingerprint for part in partitions},
    )
    if workspace.read_transform(transform) is None:
        path = workspace.transform(transform) / "transform.json"
        write_atomic(path, manifest.model_dump_json())
    for part in partitions:
        if not workspace.is_committed(transform, part.name, part.fingerprint):
            _commit(workspace, transform, part, rejected)
    run.record.status = end
    run.record.put_step(StepRecord(name="train"))
    write_record(run.folder, run.record)
    return run.record.run_id


def _commit(workspace: Workspace, transform: str, part: Partition, rejected: int) -> None:
    reject = RejectCount(
        column="area", reason="missing", rows=rejected, example_key="a", example_file="f"
    )
    manifest = ShardManifest(
        transform=transform,
        partition=part.name,
        partition_fingerprint=part.fingerprint,
        shards=(Shard(file="a", split="train", rows=2 - rejected, bytes=1, checksum="c"),),
        rows=2,
        rejects=(reject,) if rejected else (),
    )
    place = workspace.manifest(transform, part.name, part.fingerprint)
    write_atomic(place, manifest.model_dump_json())


def test_without_a_run_all_is_new(project):
    status = _status(project)
    assert set(_states(status).values()) == {"new"}
    (plan,) = status.lines
    assert plan.startswith("A run computes the first transform of these features and targets, ")
    assert plan.endswith("; transforms all of 3 partitions; trains on all of 3 partitions.")
    assert not (project / "workspace").exists(), "looking writes nothing"


def test_after_a_run_nothing_is_new(project):
    run = _run(project)
    status = _status(project)
    assert _states(status) == {
        "day=2026-01-30": "committed",
        "day=2026-01-31": "committed",
        "day=2026-02-01": "committed",
    }
    assert [(part.rows, part.rejected) for part in status.partitions] == [(2, 0)] * 3
    assert status.lines == (f"A run does nothing: nothing is new since run {run}.",)


def test_new_changed_and_gone_partitions_are_told_apart(project):
    _run(project)
    _write(project, "2026-01-31", rows=3)
    _write(project, "2026-02-02")
    (project / "data" / "day=2026-02-01" / "rows.parquet").unlink()
    status = _status(project, "training.partitions={last: 2}")
    assert _states(status) == {
        "day=2026-01-30": "committed",
        "day=2026-01-31": "changed",
        "day=2026-02-02": "new",
        "day=2026-02-01": "gone from the source",
    }
    (plan,) = status.lines
    assert "reuses transform " in plan
    assert ": refit is never; transforms 1 new, 1 changed of 3 partitions; " in plan
    assert plan.endswith("trains on the last 2: day=2026-01-31 to day=2026-02-02 (2).")


def test_manifests_in_a_bucket_are_listed_for_the_plan_and_read_once(project):
    with memory_bucket() as bucket:
        _run(project, f"store={URI}")
        _write(project, "2026-02-02")
        for reads in (5, 1):  # three manifests and the transform's, then the latter alone
            bucket.requests.clear()
            states = _states(_status(project, f"store={URI}"))
            assert list(states.values()) == ["committed"] * 3 + ["new"]
            assert bucket.requests["read"] == reads
            assert bucket.requests["list"] == 4, "twice transforms, twice manifests"


def test_a_refit_says_what_it_is_for(project):
    _run(project, "transform.refit=always")
    _write(project, "2026-02-02")
    status = _status(project, "transform.refit=always")
    assert _states(status)["day=2026-01-30"] == "committed"
    assert _states(status)["day=2026-02-02"] == "new"
    (plan,) = status.lines
    assert ": refit is always, and 1 new; transforms all of 4 partitions; trains on" in plan


def test_what_drift_decides_is_measured_first_and_then_told(project):
    by_drift = "transform.refit=when_drifted"
    _run(project, by_drift)
    pipeline, workspace = _open(project, by_drift)
    _write(project, "2026-02-02")
    before = sorted(workspace.root.rglob("*"))
    (plan,) = _status(project, by_drift).lines
    assert plan.startswith(
        "A run first measures the drift of 1 new partition (so does `braid status "
    )
    assert "; without a refit it reuses transform " in plan
    assert "and transforms 1 new of 4 partitions; trains on all of 4" in plan
    assert sorted(workspace.root.rglob("*")) == before, "looking writes nothing"

    choice = choose_transform(pipeline, scan(pipeline.source).partitions, workspace)
    assert isinstance(choice, Undecided)
    new = {part.name: part.fingerprint for part in choice.new}
    measured = MeasuredDrift(
        transform=choice.newest,
        partitions=new,
        rows=2,
        features={
            "area": Distance(distance=0.02, measured=0.1, chance=0.08),
            "sold": Distance(distance=0.0, measured=0.0, chance=0.3),
        },
    )
    write_atomic(workspace.drift(choice.newest, new), measured.model_dump_json())
    status = _status(project, by_drift)
    assert _states(status)["day=2026-02-02"] == "new"
    (plan,) = status.lines
    assert plan.startswith(
        f"A run reuses transform {choice.newest[:4]}: no refit, drift 0.02 (area) below 0.1; "
        "transforms 1 new of 4 partitions; "
    )
    (plan,) = _status(project, by_drift, "transform.drift.threshold=0.01").lines
    assert plan.startswith("A run computes transform ")
    assert ": refit, drift 0.02 of area above 0.01; transforms all of 4 partitions" in plan


def test_a_partition_with_too_many_rejects_is_marked(project):
    _run(project, rejected=1)
    _write(project, "2026-01-30")  # as it was, but at another time
    status = _status(project)
    assert _states(status)["day=2026-01-31"] == "rejected above budget"
    assert _states(_status(project, "transform.max_reject_fraction=0.5"))["day=2026-01-31"] == (
        "committed"
    )


@pytest.mark.parametrize(
    ("end", "why"), [("running", "it was killed before its end"), ("failed", "it failed before")]
)
def test_an_unfinished_run_is_gone_on_with(project, end, why):
    run = _run(project, end=end)
    (plan,) = _status(project).lines
    assert plan.startswith(f"A run goes on with run {run}, as {why}")
    assert plan.endswith("transforms nothing, as shards of all 3 are committed; keeps the trained "
                         "model.")  # fmt: skip


def test_a_changed_gate_judges_the_trained_model(project):
    _run(project)
    (plan,) = _status(project, "gate.at_least=0.9").lines
    assert "as how it is judged changed, and nothing else" in plan
    assert "keeps the trained model" in plan


def test_a_new_partition_out_of_the_range_is_transformed_and_trains_nothing(project):
    early = "training.partitions={to: 2026-01}"
    _run(project, early)
    _write(project, "2026-02-02")
    (plan,) = _status(project, early).lines
    assert "as what it trained on is the same" in plan
    assert plan.endswith("transforms 1 new of 4 partitions; keeps the trained model.")


def test_a_run_under_way_is_told(project):
    run = _run(project, end="running")
    pipeline, workspace = _open(project)
    with exclusive_lock(workspace.lock("run", pipeline.name), holder="flats"):
        assert _status(project).lines[0] == f"Run {run} is under way."


def test_a_range_without_partitions_is_refused(project):
    with pytest.raises(BraidError, match=r"training\.partitions: expected a range with some"):
        _status(project, "training.partitions={from: 2027-01-01}")


def test_windows_are_one_partition_of_which_is_said_whether_it_is_cut(tmp_path):
    table = pa.table({"day": [1, 2, 3], "sales": [1.0, 2.0, 3.0]})
    pq.write_table(table, tmp_path / "sales.parquet")
    document = {
        "name": "sales",
        "source": {
            "path": "sales.parquet",
            "key": "window",
            "windows": {"time": "day", "length": 1, "values": ["sales"]},
        },
        "split": {"by": "time", "column": "day", "validation_from": 2, "test_from": 3},
        "features": {"sales": {"kind": "sequence", "length": 1}},
        "targets": {"next": {"kind": "numeric", "column": "sales_next_1"}},
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(document))
    status = _status(tmp_path)
    assert _states(status) == {"all": "new"}
    assert status.lines[0] == "Windows are yet to be cut from 1 file."
    _run(tmp_path)
    pipeline, workspace = _open(tmp_path)
    partition = windows_partition(pipeline, scan(pipeline.source).partitions)
    write_windows_of_run(pipeline, workspace, partition, lambda *_: None)
    status = _status(tmp_path)
    assert _states(status) == {"all": "committed"}
    assert status.lines[0].startswith("2 windows of 1 series")


def _shown(status: PipelineStatus, *, every: bool) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=200).print(status_table(status, every=every))
    return [" ".join(line.split()) for line in output.getvalue().splitlines()]


def test_neighbours_of_one_state_share_a_line_unless_all_are_wanted(project):
    _run(project)
    _write(project, "2026-02-02")
    status = _status(project)
    assert _shown(status, every=False)[1:] == [
        "day=2026-01-30 to day=2026-02-01 (3) committed 6 0",
        "day=2026-02-02 new - -",
    ]
    assert len(_shown(status, every=True)) == 5


def test_the_command_is_quick_with_hundreds_of_partitions_and_loads_no_framework(project):
    for n in range(365):
        day = f"2027-{n // 28 % 12 + 1:02d}-{n % 28 + 1:02d}T{n // 336:02d}"
        source = project / "data" / "day=2026-01-30" / "rows.parquet"
        path = project / "data" / f"day={day}" / "rows.parquet"
        path.parent.mkdir()
        os.link(source, path)
    _run(project)
    _write(project, "2028-01-01")
    heavy = ("tensorflow", "prefect", "apache_beam", "keras", "mlflow", "matplotlib")
    code = (
        "import sys, time\n"
        "from flows.commands.cli import cli\n"
        f"cli(['status', {str(project / 'pipeline.yaml')!r}], standalone_mode=False)\n"
        f"print(round(time.process_time(), 2), "
        f"[name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "transforms 1 new of 369 partitions; trains on all of 369" in done.stdout.replace(
        "\n", " "
    )
    assert done.stdout.splitlines()[-1].endswith("[]")
    # 0.6 s of the processor, and 0.1 s without the imports; wall time would tell of its neighbours.
    assert float(done.stdout.splitlines()[-1].split()[0]) < 2
