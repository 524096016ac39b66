"""The plan of a run, from partitions and records that were left by hand."""

from __future__ import annotations

import pytest

from flows.records.plan import plan_run
from flows.records.record import StepRecord, read_records, write_record
from flows.records.run_identity import is_evaluated_as_declared, open_run
from flows.records.step_names import DECIDING, ON_MODEL
from flows.report.partition_states import states_of
from flows.report.plan_words import sentence, total
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.evaluation import EVALUATION_FILE, EvaluationResult
from transforms.contract.steps.results import TrainResult
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import TRANSFORM_FILE, Workspace
from transforms.contract.workspace.manifest import ShardManifest, TransformManifest
from transforms.contract.workspace.partition import Partition, SourceFile
from transforms.contract.workspace.transform_choice import TransformChoice
from transforms.reading.cutting import WindowCounts

FIRST, SECOND = (
    Partition(
        name=name,
        value=name,
        fingerprint="f",
        files=(SourceFile(path=f"/data/{name}", size=size, modified_ns=1),),
    )
    for name, size in (("1", 1000), ("2", 3000))
)
CHOICE = TransformChoice("t")
EXPECT = {"expect": {"area": {"missing_at_most": 0.5}}}


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def pipeline():
    return parse(
        {
            "name": "flats",
            "source": {"path": "/data", "key": "id", "partition_by": "day"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
        }
    )


def _run_on_the_first(pipeline, workspace: Workspace) -> None:
    """Leaves what a run on the first partition leaves: 100 rows of it, 80 of which train."""
    plan = plan_run(pipeline, [FIRST], workspace, choice=CHOICE)
    run = open_run(workspace, pipeline, plan.identity, transform="t", partitions=[FIRST])
    manifest = ShardManifest(
        transform="t", partition="1", partition_fingerprint="f", shards=(), rows=100
    )
    path = workspace.shards("t", "1", "f") / "manifest.json"
    write_atomic(path, manifest.model_dump_json())
    run.record.status, run.record.source_rows = "promoted", 100
    run.record.training = TrainResult(seconds=8.0, rows=80)
    transform = StepRecord(
        name="transform",
        seconds=15.0,
        rows=100,
        rows_per_second=10.0,
        peak_bytes=2_000_000_000,
        written_bytes=5_000,
    )
    run.record.steps = [
        transform,
        StepRecord(name="train", seconds=20.0, rows=80, rows_per_second=40.0),
        StepRecord(name="export", seconds=7.0, written_bytes=1_000),
    ]
    write_record(run.folder, run.record)


def test_a_first_run_does_every_step_and_nothing_tells_what_it_takes(pipeline, workspace):
    plan = plan_run(pipeline, [FIRST, SECOND], workspace)
    assert [step.name for step in plan.steps] == [
        "check keys", "analyze", "transform", "train", "export", "check", "evaluate", "register",
        "gate", "promote",
    ]  # fmt: skip
    transform = plan.steps[2]
    assert (transform.partitions, transform.rows, transform.read_bytes) == (2, None, 4000)
    assert {step.seconds for step in plan.steps} == {None}
    assert total(plan) == "No earlier run tells how long that takes."
    assert list(workspace.root.iterdir()) == [], "a plan writes nothing"


def test_rows_that_the_files_tell_are_counted_before_anything_was_read(pipeline, workspace):
    plan = plan_run(pipeline, [FIRST, SECOND], workspace, rows_of=lambda part: int(part.name) * 50)
    assert {step.name: step.rows for step in plan.steps}["transform"] == 150


def test_a_new_partition_takes_what_its_rows_took_before(pipeline, workspace):
    _run_on_the_first(pipeline, workspace)
    plan = plan_run(pipeline, [FIRST, SECOND], workspace, choice=CHOICE)
    assert plan.pending == (SECOND,)
    steps = {step.name: step for step in plan.steps}
    transform, train, export = steps["transform"], steps["train"], steps["export"]
    # Three times the bytes are three times the rows: 5 s to start, and 30 s at 10 rows/s.
    assert (transform.rows, transform.seconds, transform.written_bytes) == (300, 35.0, 15_000)
    # 12 s to start, and 8 s of training for a quarter of the rows.
    assert (train.rows, train.seconds) == (320, 44.0)
    assert (export.seconds, export.written_bytes) == (7.0, 1_000)
    assert total(plan) == (
        "About 86 s in all, as the last runs took, without the steps that none of them tells of; "
        "2.0 GB of memory for the largest process; 16.0 kB on the disk."
    )


def test_after_a_finished_run_there_is_nothing_to_do_unless_a_training_is_asked_for(
    pipeline, workspace
):
    _run_on_the_first(pipeline, workspace)
    plan = plan_run(pipeline, [FIRST], workspace, choice=CHOICE)
    assert plan.finished is not None
    assert plan.steps == ()
    assert sentence(plan, states_of(plan, workspace, [])).startswith("A run does nothing")
    again = plan_run(pipeline, [FIRST], workspace, choice=CHOICE, retrain=True)
    assert again.finished is None
    names = [step.name for step in again.steps]
    assert "transform" not in names
    assert "train" in names


def test_where_the_transform_is_kept_a_step_of_its_own_holds_new_rows_against_what_is_expected(
    pipeline, workspace
):
    expecting = parse(pipeline.model_dump(mode="json") | EXPECT)
    first = plan_run(expecting, [FIRST], workspace, choice=CHOICE)
    assert "expect" not in [step.name for step in first.steps], "the analysis does"
    manifest = TransformManifest(
        fingerprint="t",
        declaration=pipeline.data_fingerprint(),
        raw_features={},
        raw_targets={},
        stored=(),
        targets={},
        rows=1,
        partitions={"1": "f"},
    )
    write_atomic(workspace.transform("t") / TRANSFORM_FILE, manifest.model_dump_json())
    write_atomic(workspace.statistics(pipeline.data_fingerprint(), *FIRST.id), "")
    plan = plan_run(expecting, [FIRST, SECOND], workspace, choice=CHOICE)
    names = [step.name for step in plan.steps]
    assert names[:3] == ["check keys", "expect", "transform"]
    assert plan.steps[1].partitions == 1, "the first one is counted"


@pytest.mark.parametrize(
    ("changes", "repeated"),
    [
        ({"gate": {"at_least": 0.6}}, ["register", "gate", "promote"]),
        ({"evaluation": {"intervals": 0.9}}, ["evaluate", "register", "gate", "promote"]),
    ],
)
def test_a_run_that_is_judged_otherwise_does_again_what_the_plan_says(
    pipeline, workspace, changes, repeated
):
    _run_on_the_first(pipeline, workspace)
    ((folder, record),) = read_records(workspace, "flats")
    record.steps = [StepRecord(name=name, seconds=1.0) for name in ON_MODEL]
    write_record(folder, record)
    evaluation = EvaluationResult(metrics={}, rows=9, declared=pipeline.evaluation)
    write_atomic(folder / EVALUATION_FILE, evaluation.model_dump_json())

    other = parse(pipeline.model_dump(mode="json") | changes)
    plan = plan_run(other, [FIRST], workspace, choice=CHOICE)
    on_model = [step.name for step in plan.steps if step.name in ON_MODEL]
    assert on_model == repeated
    run = open_run(workspace, other, plan.identity, transform="t", partitions=[FIRST])
    kept = {step.name for step in run.record.steps} - {*DECIDING}
    if not is_evaluated_as_declared(folder, other):
        kept.remove("evaluate")
    assert [name for name in ON_MODEL if name not in kept] == repeated


@pytest.mark.parametrize("whole", [True, False])
def test_windows_are_to_be_cut_until_all_of_them_are(workspace, whole):
    pipeline = parse(
        {
            "name": "sales",
            "source": {
                "path": "/data",
                "key": "shop",
                "windows": {"time": "day", "length": 3, "values": ["sales"]},
            },
            "split": {"by": "time", "column": "day", "validation_from": 5, "test_from": 7},
            "features": {"sales": {"kind": "sequence", "length": 3}},
            "targets": {"sales_next_1": {"kind": "numeric"}},
        }
    )
    folder = workspace.windows(FIRST.fingerprint)
    write_atomic(folder / "windows.parquet", "rows")
    if whole:
        counts = WindowCounts(rows=5, windows=2, entities=1, straddling=0, short=0)
        write_atomic(folder / "windows.json", counts.model_dump_json())
    plan = plan_run(pipeline, [FIRST], workspace, choice=CHOICE)
    assert ("windows" in [step.name for step in plan.steps]) != whole
