"""The examination of a runner: one unit of work on its way, link by link."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.error_report import ErrorReport
from transforms.contract.spec import Spec
from transforms.contract.steps.results import Result
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition

LinkName = Literal[
    "store", "job server", "worker", "installation", "workspace", "store, by a worker", "source"
]


class DoctorJob(Spec):
    """The examination of the declared runner.

    Attributes:
        workspace: The folder that its workers have to see, unless the store is a bucket.
        partition: Where the unit is cut from.
    """

    pipeline: PipelineSpec
    workspace: str
    partition: Partition

    def folders(self) -> Workspace:
        """Returns the workspace, with the store that is declared for it."""
        return Workspace.declared(Path(self.workspace), self.pipeline.declared_store())


class Link(Result):
    """One link of the way of a unit.

    Attributes:
        name: What it is.
        note: What was seen there.
        error: What is wrong with it; None if nothing is.
    """

    name: LinkName
    note: str = ""
    error: ErrorReport | None = None


class DoctorResult(Result):
    """The result of an examination.

    Attributes:
        links: In the order of the way, one at least; the first broken one is the last.
    """

    links: tuple[Link, ...] = Field(min_length=1)

    @property
    def is_whole(self) -> bool:
        """Whether the unit went through."""
        return all(link.error is None for link in self.links)
