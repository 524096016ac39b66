"""Runs under way for tests of their steps."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from flows.console.progress import Reporter
from flows.orchestration.run_steps import Run
from flows.records.log import RunLog
from flows.records.run_identity import Identity, open_run
from flows.steps.processes import Processes
from flows.steps.work import Work
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice

CHOICE = TransformChoice("t")
IDENTITY = Identity("i", "j")


def flats(**changes: Any) -> PipelineSpec:
    """Returns the least that a declaration says, with some of its keys replaced."""
    declared = {
        "name": "flats",
        "source": {"path": "/data", "key": "id"},
        "features": {"area": {"kind": "numeric"}},
        "targets": {"sold": {"kind": "binary"}},
    }
    return parse(declared | changes)


def run_of(
    pipeline: PipelineSpec,
    workspace: Workspace,
    partitions: Sequence[Partition] = (
        Partition(name="all", value=None, fingerprint="f", files=()),
    ),
    choice: TransformChoice = CHOICE,
    identity: Identity = IDENTITY,
) -> Run:
    """Opens a run on partitions, with its progress told to nobody."""
    opened = open_run(
        workspace, pipeline, identity, transform=choice.name, partitions=list(partitions)
    )
    reporter = Reporter(Console(file=io.StringIO(), width=200))
    work = Work(pipeline, workspace, opened.folder, choice, tuple(partitions))
    processes = Processes(opened.folder, reporter)
    return Run(work, processes, RunLog(opened.folder, opened.record, reporter))


def told_by(run: Run) -> str:
    """Returns what the run has told so far."""
    file = run.log.reporter.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()
