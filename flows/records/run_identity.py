"""The choice of the run to work on: a new one, one to resume, or one that is finished already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.process.attempt import attempts, remove_leftovers_of_the_dead
from flows.process.run_copies import remove_copies
from flows.records.backfill_record import BackfillRecord
from flows.records.kept import WorkRecord, free_name, now, own_host, own_process
from flows.records.record import (
    DECLARED_FILE,
    FINISHED,
    RunRecord,
    braid_version,
    read_records,
    write_record,
)
from trainer.run_folder import CHECKPOINT_FOLDER
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.secrets import expand
from transforms.contract.fingerprint import fingerprint
from transforms.contract.masking import without_passwords
from transforms.contract.steps.evaluation import read_evaluation
from transforms.contract.workspace.files import remove, remove_temporaries, write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import is_held
from transforms.contract.workspace.partition import Partition
from transforms.source.partitions import choose

_JUDGING_STEPS = ("register", "gate")


@dataclass(frozen=True)
class Identity:
    """The fingerprints by which two runs are the same.

    Attributes:
        run: All that shapes the model: declaration, transform, and rows.
        judgement: Gate, registry and the budget of rejected rows, which decide on a model that is
            already there.
    """

    run: str
    judgement: str


@dataclass
class OpenedRun:
    """A run to work on.

    Attributes:
        folder: The run's folder.
        record: What is known of it so far; its steps are those that are done.
        resumed: Why it is not new, or None.
    """

    folder: Path
    record: RunRecord
    resumed: str | None = None


def identity_of(
    pipeline: PipelineSpec, transform: str, partitions: Sequence[Partition]
) -> Identity:
    """Returns what makes a run of this declaration on these rows the same as another.

    Of the source's partitions those count that train: a run is no other for the rest.

    Raises:
        BraidError: `training.partitions` chooses none of them.
    """
    chosen = choose(partitions, pipeline.training)
    run = fingerprint(
        {
            "training": pipeline.training_fingerprint(),
            "transform": transform,
            "partitions": [[part.name, part.fingerprint] for part in chosen],
        }
    )
    judgement = fingerprint(
        {
            "gate": [gate.model_dump(mode="json") for gate in pipeline.gates()],
            "registry": _registry(pipeline),
            "max_reject_fraction": pipeline.transform.max_reject_fraction,
            **_expected(pipeline),
        }
        | _evaluation(pipeline)
    )
    return Identity(run, judgement)


def _expected(pipeline: PipelineSpec) -> dict[str, Any]:
    # Nothing where nothing is expected, so that older runs are still what they were.
    return pipeline.model_dump(mode="json", include={"expect"})


def _evaluation(pipeline: PipelineSpec) -> dict[str, Any]:
    # Nothing where all of it is by default, as in the records of older versions.
    declared = pipeline.evaluation.model_dump(mode="json", exclude_defaults=True)
    return {"evaluation": declared} if declared else {}


def _registry(pipeline: PipelineSpec) -> dict[str, str | None]:
    # Another value of a variable is another registry, and another password is none.
    uri = pipeline.registry.uri
    address = None if uri is None else without_passwords(expand(uri))
    return pipeline.registry.model_dump(mode="json") | {"uri": address}


def finished_run(
    records: Sequence[tuple[Path, RunRecord]], identity: Identity
) -> tuple[Path, RunRecord] | None:
    """Returns the newest finished run of this identity and judgement: nothing is new since it."""
    for folder, record in reversed(records):
        if record.status not in FINISHED:
            if _is_same(record, identity) and record.may_be_resumed():
                return None  # a forced run that was interrupted comes first
            continue
        if _is_same(record, identity) and record.judgement == identity.judgement:
            return folder, record
    return None


def pending_partitions(
    workspace: Workspace, transform: str, partitions: Sequence[Partition]
) -> list[Partition]:
    """Returns the partitions that have no committed shards for a transform."""
    committed = workspace.committed(transform, [part.id for part in partitions])
    return [part for part in partitions if part.id not in committed]


def open_run(
    workspace: Workspace,
    pipeline: PipelineSpec,
    identity: Identity,
    *,
    transform: str,
    partitions: Sequence[Partition],
    retrain: bool = False,
) -> OpenedRun:
    """Opens the run to work on, and lets go of unfinished ones that nobody will resume.

    The caller holds the pipeline's lock, so a run that is recorded as running was killed.
    """
    records = read_records(workspace, pipeline.name)
    for folder, record in records:
        if record.may_be_resumed() and not _is_same(record, identity):
            _abandon(workspace, folder, record)
    opened = run_to_resume(records, identity, retrain=retrain)
    if opened is None:
        opened = _new_run(workspace, pipeline, identity, transform)
    # Those that do not train may be others than when a resumed run began.
    opened.record.note_partitions({part.name: part.fingerprint for part in partitions})
    _prepare(opened, identity, pipeline)
    return opened


def run_to_resume(
    records: Sequence[tuple[Path, RunRecord]], identity: Identity, *, retrain: bool = False
) -> OpenedRun | None:
    """Returns the run that a run of this identity would go on with, and why; None for a new one."""
    same = [(folder, record) for folder, record in records if _is_same(record, identity)]
    for folder, record in reversed(same):
        if record.may_be_resumed():
            why = _how_it_ended(record)
            return OpenedRun(folder, record, f"it {why} before its end")
    for folder, record in reversed(same):
        if record.status in FINISHED and not retrain:
            judged = record.judgement != identity.judgement
            why = "how it is judged changed, and nothing else"
            return OpenedRun(folder, record, why if judged else "what it trained on is the same")
    return None


def steps_to_repeat(
    opened: OpenedRun, identity: Identity, pipeline: PipelineSpec
) -> tuple[str, ...]:
    """Returns the steps that a run has done, and does again when it is gone on with."""
    judged = opened.record.judgement == identity.judgement
    evaluated = is_evaluated_as_declared(opened.folder, pipeline)
    return (*(() if evaluated else ("evaluate",)), *(() if judged else _JUDGING_STEPS))


def is_evaluated_as_declared(folder: Path, pipeline: PipelineSpec) -> bool:
    """Returns whether a run's evaluation is there, and tells what is declared now.

    Raises:
        DamagedFile: It is not as it was written.
    """
    evaluation = read_evaluation(folder)
    return evaluation is not None and evaluation.declared == pipeline.evaluation


def _how_it_ended(record: RunRecord) -> str:
    if record.status == "stopped":
        return f"was stopped by {record.error.received if record.error else 'a signal'}"
    return "failed" if record.status == "failed" else "was killed"


def _is_same(record: RunRecord, identity: Identity) -> bool:
    return record.identity == identity.run


def _prepare(opened: OpenedRun, identity: Identity, pipeline: PipelineSpec) -> None:
    record = opened.record
    record.status, record.error, record.ended = "running", None, None
    record.pid, record.host = own_process(), own_host()
    if record.judgement != identity.judgement:
        record.judgement, record.gate = identity.judgement, None
        record.forget_steps(*_JUDGING_STEPS)
    opened.folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers_of_the_dead(opened.folder)
    write_record(opened.folder, record)  # first: a folder without one is no run
    write_atomic(opened.folder / DECLARED_FILE, pipeline.model_dump_json(indent=2) + "\n")


def _abandon(workspace: Workspace, folder: Path, record: RunRecord) -> None:
    record.status = "killed" if record.status == "running" else record.status
    record.abandoned, record.ended = True, record.ended or now()
    write_record(folder, record)
    for attempt in attempts(folder):
        attempt.give_up()
    remove_copies(workspace, folder)
    remove(folder / CHECKPOINT_FOLDER)  # the bulk of a run that will not be resumed
    remove_temporaries(folder)


def _new_run(
    workspace: Workspace, pipeline: PipelineSpec, identity: Identity, transform: str
) -> OpenedRun:
    name = f"{now():%Y%m%dT%H%M%SZ}-{identity.run[:6]}"
    run_id = free_name(workspace.runs(pipeline.name), name)
    record = new_record(pipeline, identity, transform, run_id)
    return OpenedRun(workspace.run(pipeline.name, run_id), record)


def new_record(
    pipeline: PipelineSpec, identity: Identity, transform: str, run_id: str
) -> RunRecord:
    """Returns the record of a run, or of a tuning, that this process begins.

    Args:
        pipeline: The declaration.
        identity: What makes it the same as another.
        transform: The transform's fingerprint.
        run_id: Its name.
    """
    return RunRecord(
        run_id=run_id,
        pipeline=pipeline.name,
        pid=own_process(),
        host=own_host(),
        started=now(),
        braid_version=braid_version(),
        identity=identity.run,
        judgement=identity.judgement,
        transform=transform,
        data_fingerprint=pipeline.data_fingerprint(),
        training_fingerprint=pipeline.training_fingerprint(),
        partitions={},
    )


def is_going_on(workspace: Workspace, record: WorkRecord) -> bool:
    """Returns whether a run or a backfill that is recorded as running still does."""
    path = workspace.lock("run", record.pipeline)
    # The lock is tried only if the process seems to be there, as the number may be another's by
    # now: trying a free lock could refuse a run that starts at the same moment. Of a process on
    # another machine only the lock can tell.
    return (record.host != own_host() or _is_alive(record.pid)) and is_held(path)


def shown_status(workspace: Workspace, record: RunRecord | BackfillRecord) -> str:
    """Returns how a run or a backfill ended, telling one that goes on from one that was killed."""
    if record.status == "running" and not is_going_on(workspace, record):
        return "killed"
    return record.status


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
