"""Sessions of a run for tests of its steps."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console

from flows.console.progress import Reporter
from flows.records.run_identity import Identity, open_run
from flows.sessions.session import Session
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice


def session_of(
    pipeline: PipelineSpec,
    workspace: Workspace,
    partitions: Sequence[Partition] = (
        Partition(name="all", value=None, fingerprint="f", files=()),
    ),
    transform: str = "t",
) -> Session:
    """Opens a run on partitions, with its progress told to nobody."""
    run = open_run(
        workspace, pipeline, Identity("i", "j"), transform=transform, partitions=list(partitions)
    )
    return Session(
        pipeline,
        workspace,
        run,
        choice=TransformChoice(transform),
        partitions=tuple(partitions),
        reporter=Reporter(Console(file=io.StringIO())),
    )
