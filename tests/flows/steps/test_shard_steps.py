"""The steps up to the shards: what they count, record and tell."""

from __future__ import annotations

import pytest

from flows.orchestration.run_steps import analyze, count_rows
from flows.process.child import Done
from flows.steps.processes import Processes
from flows.steps.shard_steps import rejects_in_words
from tests.support.runs import told_by
from tests.support.shards import (
    DAY_1,
    DAY_2,
    OURS,
    commit,
    flats_run,
    write_file,
)
from transforms.contract.errors import BraidError
from transforms.contract.steps.results import AnalyzeResult
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import (
    RejectCount,
    ShardManifest,
)
from transforms.contract.workspace.partition import Partition


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def test_only_the_chosen_partitions_train_and_are_counted(workspace):
    for part in (DAY_1, DAY_2):
        commit(workspace, OURS, part)
    run = flats_run(workspace, DAY_1, DAY_2, training={"partitions": {"last": 1}})
    assert [part.name for part in run.work.train_job().partitions] == ["day=2"]
    assert len(run.work.transform_job().partitions) == 2
    with pytest.raises(BraidError, match="expected test rows"):
        count_rows(run)
    assert run.log.record.rows == {"train": 1, "validation": 0, "test": 0}
    assert run.log.record.source_rows == 1
    assert "1 train, 0 validation, 0 test · of day=2, which" in told_by(run)


def test_the_steps_log_has_the_rejects_by_reason_the_most_frequent_first():
    rejects = [
        RejectCount(column="area", reason=reason, rows=rows, example_key="k", example_file="f")
        for rows, reason in [
            (12, "missing"),
            (1, "not a number"),
            *[(1, f"r{n}") for n in range(49)],
        ]
    ]
    lines = rejects_in_words(rejects)
    assert lines[:2] == (
        "12 rows rejected by area: missing",
        "1 row rejected by area: not a number",
    )
    assert lines[-1] == "and 1 more reason: `braid rejects` has all"


def test_no_key_is_recorded_that_is_declared_sensitive_since(workspace):
    source = {"path": "/data", "key": "id", "sensitive_key": True}
    run = flats_run(workspace, DAY_1, source=source, transform={"max_reject_fraction": 1.0})
    reject = RejectCount(
        column="area", reason="missing", rows=1, example_key="Ada", example_file="a.csv"
    )
    manifest = ShardManifest(
        transform=OURS, partition=DAY_1.name, partition_fingerprint="f1", shards=(), rows=3,
        rejects=(reject,),
    )  # fmt: skip
    write_file(workspace.shards(OURS, *DAY_1.id) / "manifest.json", manifest.model_dump_json())
    with pytest.raises(BraidError, match="train rows"):
        count_rows(run)
    assert [each.example_key for each in run.log.record.rejects] == ["(sensitive)"]


def test_the_names_of_tasks_tell_the_partitions_in_the_order_of_the_source(workspace):
    assert flats_run(workspace, DAY_1).title == "flats, day=1"
    many = [Partition(name=f"day={n}", value=str(n), fingerprint="f", files=()) for n in (9, 10)]
    assert flats_run(workspace, *many).title == "flats, day=9 to day=10 (2 partitions)"


def test_a_run_says_which_targets_are_learnt_on_a_log_scale(workspace, monkeypatch) -> None:
    run = flats_run(workspace, DAY_1)
    result = AnalyzeResult(rows=9, partitions=1, seconds=0.5, logs=("price", "rent"))
    monkeypatch.setattr(Processes, "run", lambda *_: Done(result, peak_bytes=7))
    analyze(run)
    step = run.log.record.step("analyze")
    assert step is not None
    assert step.peak_bytes == 7
    assert step.note.endswith("reads 1 of 1 partitions; price, rent on a log scale")
