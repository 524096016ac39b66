"""The leftovers that a run cleans up before it writes shards."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from flows.orchestration.run_steps import Run, analyze, count_rows, transform_lock
from flows.process.child import Done
from flows.records.backfill_record import RECORD_FILE
from flows.records.kept import write_kept
from flows.records.record import write_record
from flows.retention import leftovers
from flows.steps.processes import Processes
from flows.steps.shard_steps import rejects_in_words
from tests.support.records import backfill_record
from tests.support.runs import run_of, told_by
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.steps.results import AnalyzeResult
from transforms.contract.workspace.files import remove
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.manifest import (
    RejectCount,
    Shard,
    ShardManifest,
    TransformManifest,
)
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice

OURS, OTHERS = "aaaa", "bbbb"
DAY_1 = Partition(name="day=1", value="1", fingerprint="f1", files=())
DAY_2 = Partition(name="day=2", value="2", fingerprint="f2", files=())


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def _run(workspace: Workspace, *partitions: Partition, **changes) -> Run:
    pipeline = parse(
        {
            "name": "flats",
            "source": {"path": "/data", "key": "id", "partition_by": "day"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
        }
        | changes
    )
    return run_of(pipeline, workspace, partitions, TransformChoice(OURS))


def _tuning(workspace: Workspace, transform: str, *partitions: Partition, name: str) -> None:
    """Leaves the record of a tuning, and no run."""
    record = _run(workspace, *partitions, name=name).log.record
    record.transform = transform
    write_record(workspace.tunings(name) / "t", record)
    remove(workspace.runs(name))


def _write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _transform(
    workspace: Workspace, name: str, *parts: Partition, declaration: str = "d", age: int = 0
) -> None:
    manifest = TransformManifest(
        fingerprint=name,
        declaration=declaration,
        raw_features={},
        raw_targets={},
        stored=(),
        targets={},
        rows=1,
        partitions={part.name: part.fingerprint for part in parts},
    )
    path = _write(workspace.transform(name) / "transform.json", manifest.model_dump_json())
    os.utime(path, (10**9 - age,) * 2)


def _commit(workspace: Workspace, transform: str, part: Partition) -> Path:
    """Commits a partition of one shard with one file of rejects, and returns its folder."""
    folder = workspace.shards(transform, part.name, part.fingerprint)
    shard = Shard(file="train.tfrecord", split="train", rows=1, bytes=1, checksum="c")
    manifest = ShardManifest(
        transform=transform,
        partition=part.name,
        partition_fingerprint=part.fingerprint,
        shards=(shard,),
        rows=1,
    )
    _write(folder / "train.tfrecord")
    _write(folder / "manifest.json", manifest.model_dump_json())
    _write(workspace.rejects(transform, part.name, part.fingerprint) / "00000.parquet")
    return folder


def _start(workspace: Workspace, transform: str, part: Partition) -> tuple[Path, Path]:
    """Leaves what a step that was killed within a partition leaves; shards and rejects."""
    folder = workspace.shards(transform, part.name, part.fingerprint)
    _write(folder / "units" / "00000.json")
    _write(folder / "train.tfrecord")
    _write(folder / ".tmp-train-00001.tfrecord")
    rejects = workspace.rejects(transform, part.name, part.fingerprint)
    _write(rejects / "00000.parquet")
    _write(rejects / ".tmp-1234-00001.parquet")
    return folder, rejects


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_commit_that_was_killed_is_cleaned_up_though_nothing_is_pending(workspace):
    _transform(workspace, OURS)
    folder = _commit(workspace, OURS, DAY_1)
    _write(folder / "units" / "plan.json")
    _write(folder / "train-of-a-killed-attempt.tfrecord")
    _write(folder / ".tmp-train.tfrecord")
    with transform_lock(_run(workspace, DAY_1)):
        pass
    assert _names(folder) == {"manifest.json", "train.tfrecord"}
    assert _names(workspace.rejects(OURS, "day=1", "f1")) == {"00000.parquet"}


def test_what_is_finished_of_a_pending_partition_is_kept_and_an_old_one_is_not(workspace):
    _transform(workspace, OURS)
    committed = _commit(workspace, OURS, DAY_2)
    folder, rejects = _start(workspace, OURS, DAY_1)
    old = DAY_1.model_copy(update={"fingerprint": "f0"})
    old_folders = _start(workspace, OURS, old)
    with transform_lock(_run(workspace, DAY_1)):
        assert _names(folder) == {"units", "train.tfrecord"}
        assert _names(rejects) == {"00000.parquet"}
    assert not any(path.exists() for path in old_folders)
    assert _names(committed) == {"manifest.json", "train.tfrecord"}, "it is another pipeline's"


@pytest.mark.parametrize("held", [False, True])
def test_leftovers_of_another_transform_go_unless_someone_works_on_it(workspace, held):
    _transform(workspace, OTHERS)
    committed = _commit(workspace, OTHERS, DAY_1)
    folders = _start(workspace, OTHERS, DAY_2)
    half = _write(workspace.root / "transforms" / ".tmp-1234-cccc" / "graph").parent
    temporary = _write(workspace.transform(OTHERS) / ".tmp-1234-transform.json")
    lock = exclusive_lock(workspace.lock("transform", OTHERS), holder="other")
    with lock if held else nullcontext(), transform_lock(_run(workspace, DAY_1)):
        pass
    assert [path.exists() for path in (*folders, temporary)] == [held] * 3
    assert not half.exists()
    assert _names(committed) == {"manifest.json", "train.tfrecord"}
    assert _names(workspace.rejects(OTHERS, "day=1", "f1")) == {"00000.parquet"}
    assert workspace.read_transform(OTHERS) is not None


def test_a_run_with_nothing_to_write_does_not_wait_for_another(workspace):
    _transform(workspace, OURS)
    folder = _commit(workspace, OURS, DAY_1)
    _write(folder / "units" / "plan.json")
    with (
        exclusive_lock(workspace.lock("transform", OURS), holder="other"),
        transform_lock(_run(workspace, DAY_1)),
    ):
        assert (folder / "units").exists()


@pytest.mark.parametrize("pending", [False, True])
def test_shards_of_files_that_the_source_has_no_more_are_removed(workspace, pending):
    _transform(workspace, OURS)
    _run(workspace, DAY_1, DAY_2)  # an earlier run
    old, gone = _commit(workspace, OURS, DAY_1), _commit(workspace, OURS, DAY_2)
    unknown = _commit(workspace, OURS, DAY_1.model_copy(update={"fingerprint": "f9"}))
    corrected = DAY_1.model_copy(update={"fingerprint": "f1b"})
    run = _run(workspace, corrected)
    if not pending:
        _commit(workspace, OURS, corrected)
    with transform_lock(run):
        assert old.exists() == gone.exists() == pending, "they stay until the new ones are there"
        if pending:
            _commit(workspace, OURS, corrected)
    assert not old.exists()
    assert not gone.exists()
    assert not workspace.rejects(OURS, "day=1", "f1").exists()
    assert unknown.exists(), "no run of this pipeline made it"
    assert workspace.is_committed(OURS, "day=1", "f1b")
    (trained,) = run.work.train_job().shard_folders()
    assert trained[0].name == "day=1@f1b"
    assert "of 2 partitions that changed or are gone" in told_by(run)


def test_shards_that_only_a_tuning_of_the_pipeline_made_are_removed_too(workspace):
    _transform(workspace, OURS)
    _tuning(workspace, OURS, DAY_1, name="flats")
    old = _commit(workspace, OURS, DAY_1)
    corrected = DAY_1.model_copy(update={"fingerprint": "f1b"})
    _commit(workspace, OURS, corrected)
    with transform_lock(_run(workspace, corrected)):
        pass
    assert not old.exists()


def test_shards_that_another_pipelines_newest_run_has_stay(workspace):
    _transform(workspace, OURS)
    _run(workspace, DAY_1)
    _run(workspace, DAY_1, name="other")
    shared = _commit(workspace, OURS, DAY_1)
    corrected = DAY_1.model_copy(update={"fingerprint": "f1b"})
    _commit(workspace, OURS, corrected)
    with transform_lock(_run(workspace, corrected)):
        pass
    assert shared.exists()
    with transform_lock(_run(workspace, corrected, name="other")):
        pass
    assert not shared.exists()


def test_a_step_that_fails_keeps_the_shards_that_it_was_to_replace(workspace):
    _transform(workspace, OURS)
    _run(workspace, DAY_1)
    old = _commit(workspace, OURS, DAY_1)
    run = _run(workspace, DAY_1.model_copy(update={"fingerprint": "f1b"}))
    with pytest.raises(RuntimeError), transform_lock(run):
        raise RuntimeError
    assert old.exists()


def test_only_the_chosen_partitions_train_and_are_counted(workspace):
    for part in (DAY_1, DAY_2):
        _commit(workspace, OURS, part)
    run = _run(workspace, DAY_1, DAY_2, training={"partitions": {"last": 1}})
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
    run = _run(workspace, DAY_1, source=source, transform={"max_reject_fraction": 1.0})
    reject = RejectCount(
        column="area", reason="missing", rows=1, example_key="Ada", example_file="a.csv"
    )
    manifest = ShardManifest(
        transform=OURS, partition=DAY_1.name, partition_fingerprint="f1", shards=(), rows=3,
        rejects=(reject,),
    )  # fmt: skip
    _write(workspace.shards(OURS, *DAY_1.id) / "manifest.json", manifest.model_dump_json())
    with pytest.raises(BraidError, match="train rows"):
        count_rows(run)
    assert [each.example_key for each in run.log.record.rejects] == ["(sensitive)"]


def test_the_names_of_tasks_tell_the_partitions_in_the_order_of_the_source(workspace):
    assert _run(workspace, DAY_1).title == "flats, day=1"
    many = [Partition(name=f"day={n}", value=str(n), fingerprint="f", files=()) for n in (9, 10)]
    assert _run(workspace, *many).title == "flats, day=9 to day=10 (2 partitions)"


def _declaration(workspace: Workspace) -> str:
    return _run(workspace, DAY_1).work.pipeline.data_fingerprint()


def _statistics(workspace: Workspace, declaration: str, part: Partition) -> Path:
    return _write(workspace.statistics(declaration, part.name, part.fingerprint))


def test_older_transforms_of_the_same_declaration_go_once_the_new_shards_are_there(workspace):
    mine = _declaration(workspace)
    _transform(workspace, "old", DAY_1, declaration=mine, age=2)
    _transform(workspace, OURS, DAY_1, DAY_2, declaration=mine)
    _transform(workspace, OTHERS, DAY_1, declaration="d", age=3)
    old, others = _commit(workspace, "old", DAY_1), _commit(workspace, OTHERS, DAY_1)
    drift = _write(workspace.drift("old", {"day=2": "f2"}))
    run = _run(workspace, DAY_1, DAY_2)
    _commit(workspace, OURS, DAY_1)
    with transform_lock(run):
        assert old.exists(), "until the new shards are there"
        _commit(workspace, OURS, DAY_2)
    assert workspace.read_transform("old") is None
    gone = [workspace.transform("old"), old.parent, drift.parent, workspace.root / "rejects/old"]
    assert not any(path.exists() for path in gone)
    assert "removed 1 older transform, " in told_by(run)
    assert others.exists(), "another declaration's"
    assert workspace.read_transform(OTHERS) is not None
    assert list(workspace.root.rglob(".tmp-*")) == []


def test_what_a_killed_removal_left_of_a_transform_goes_with_the_next_run(workspace, monkeypatch):
    mine = _declaration(workspace)
    _transform(workspace, "old", DAY_1, declaration=mine, age=2)
    _transform(workspace, OURS, DAY_1, declaration=mine)
    old, _ = _commit(workspace, "old", DAY_1), _commit(workspace, OURS, DAY_1)
    drift = _write(workspace.drift("old", {"day=2": "f2"}))

    def killed(path: Path) -> None:
        if path == old.parent:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(leftovers, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            leftovers.remove_transform(workspace, "old")
    assert workspace.read_transform("old") is None
    with transform_lock(_run(workspace, DAY_1)):
        pass
    assert not any(path.exists() for path in (old, drift, workspace.root / "rejects/old"))
    assert list(workspace.root.rglob(".tmp-*")) == []
    assert workspace.is_committed(OURS, "day=1", "f1")


def test_a_transform_that_was_made_again_keeps_its_shards_beside_a_killed_removal(workspace):
    _transform(workspace, OTHERS)
    committed = _commit(workspace, OTHERS, DAY_1)
    half = _write(workspace.root / "transforms" / f".tmp-unused-{OTHERS}" / "graph").parent
    with transform_lock(_run(workspace, DAY_1)):
        pass
    assert committed.exists()
    assert not half.exists()


def test_an_older_transform_that_is_worked_with_again_stays(workspace):
    mine = _declaration(workspace)
    _transform(workspace, OURS, DAY_1, declaration=mine, age=9)
    _transform(workspace, "newest", DAY_2, declaration=mine)
    _commit(workspace, OURS, DAY_1)
    run = _run(workspace, DAY_1)
    remove(workspace.runs("flats"))  # as where a tuning works with it, and no run has
    with transform_lock(run):
        pass
    assert workspace.is_committed(OURS, "day=1", "f1")
    assert workspace.read_transform(OURS) is not None


def test_a_transform_that_another_pipeline_works_with_stays(workspace):
    mine = _declaration(workspace)
    for number, name in enumerate(("run's", "backfill's", "tuning's", "locked", OURS)):
        _transform(workspace, name, DAY_1, declaration=mine, age=9 - number)
        _commit(workspace, name, DAY_1)
    run = _run(workspace, DAY_1, name="other")
    with run.log.recording() as record:
        record.transform = "run's"
    backfill = backfill_record(pipeline="third", transform="backfill's")
    write_kept(workspace.backfills("third") / "b" / RECORD_FILE, backfill)
    _tuning(workspace, "tuning's", DAY_1, name="fourth")
    with (
        exclusive_lock(workspace.lock("transform", "locked"), holder="locked"),
        transform_lock(_run(workspace, DAY_1)),
    ):
        pass
    kept = [path.name for path in (workspace.root / "transforms").iterdir()]
    assert sorted(kept) == ["aaaa", "backfill's", "locked", "run's", "tuning's"]
    assert workspace.is_committed("run's", "day=1", "f1")


def test_statistics_of_partitions_that_changed_or_are_gone_go(workspace):
    mine = _declaration(workspace)
    frozen = DAY_1.model_copy(update={"fingerprint": "f1a"})
    _transform(workspace, OURS, frozen, declaration=mine)
    _commit(workspace, OURS, DAY_1)
    other = _run(workspace, DAY_2, name="other")
    parts = [DAY_1, frozen, DAY_2, DAY_1.model_copy(update={"fingerprint": "f0"})]
    now_, of_the_transform, of_another_run, old = (
        _statistics(workspace, mine, part) for part in parts
    )
    killed = _write(now_.with_name(".tmp-1234-day=3"))
    writing = _write(now_.with_name(".tmp-5678-day=3"))
    os.utime(killed, (1, 1))
    foreign = _statistics(workspace, "d", DAY_1)
    keys = [_write(workspace.keys("id", part.name, part.fingerprint)) for part in parts]
    with transform_lock(_run(workspace, DAY_1)):
        pass
    kept = [now_, of_the_transform, of_another_run, writing, foreign]
    assert [path.exists() for path in (*kept, old, killed)] == [True] * 5 + [False] * 2
    assert other.log.record.partitions == {"day=2": "f2"}
    assert [path.exists() for path in keys] == [True, False, True, False]


def test_windows_of_a_table_that_changed_go_unless_another_run_reads_them(workspace):
    windows = {"time": "day", "length": 1, "values": ["area"]}
    declared = {
        "source": {"path": "/data", "key": "id", "windows": windows},
        "split": {"by": "time", "column": "day", "validation_from": 2, "test_from": 3},
    }
    _transform(workspace, OURS)
    past = [Partition(name="all", value=None, fingerprint=f, files=()) for f in ("w1", "w2", "w3")]
    folders = [_write(workspace.windows(p.fingerprint) / "windows.parquet") for p in past]
    unknown = _write(workspace.windows("w9") / "windows.parquet")
    _run(workspace, past[1], name="other", **declared)
    for part in past:
        _commit(workspace, OURS, part)
        run = _run(workspace, part, **declared)
    with transform_lock(run):
        pass
    assert [path.exists() for path in folders] == [False, True, True]
    assert unknown.exists(), "no run of this pipeline cut it"


def test_a_run_says_which_targets_are_learnt_on_a_log_scale(workspace, monkeypatch) -> None:
    run = _run(workspace, DAY_1)
    result = AnalyzeResult(rows=9, partitions=1, seconds=0.5, logs=("price", "rent"))
    monkeypatch.setattr(Processes, "run", lambda *_: Done(result, peak_bytes=7))
    analyze(run)
    step = run.log.record.step("analyze")
    assert step is not None
    assert step.peak_bytes == 7
    assert step.note.endswith("reads 1 of 1 partitions; price, rent on a log scale")
