"""The handover of a command to the flow that it calls: all that it read before Prefect began.

A flow of a deployment gets its parameters alone, and reads the same itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from transforms.contract.declaration import parsing
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.partition import Partition


@dataclass(frozen=True)
class Opened:
    """A declaration as it was read, and the source as it was listed.

    Attributes:
        pipeline: The declaration.
        partitions: What the source has; None until it is listed.
    """

    pipeline: PipelineSpec
    partitions: tuple[Partition, ...] | None = None


_opened: ContextVar[Opened | None] = ContextVar("opened", default=None)


@contextmanager
def handing_over(opened: Opened) -> Iterator[None]:
    """Hands over what is opened to the flow that the block calls."""
    token = _opened.set(opened)
    try:
        yield
    finally:
        _opened.reset(token)


def open_for_flow(declaration: str, overrides: tuple[str, ...]) -> Opened:
    """Returns what a command has handed over, or else the declaration by a flow's parameters.

    Raises:
        DeclarationError: It cannot be read.
    """
    return _opened.get() or Opened(parsing.load(Path(declaration), overrides))


def name_at_first(deployment: str | None) -> str:
    """Returns the pipeline's name for a flow run whose declaration may not be read yet."""
    opened = _opened.get()
    return opened.pipeline.name if opened is not None else deployment or "braid"
