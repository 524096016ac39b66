"""Sessions of a run for tests of its steps."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console

from flows.progress import Reporter
from flows.run import Identity, open_run
from flows.session import Session
from transforms.contract.jobs import Partition
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.workspace import Workspace
from transforms.identity import TransformChoice


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
