"""Work on units of rows by a runner of other processes, whatever the work is.

Whose work it is hands it over as an object that is pickled to the workers: what scores rows needs
the trainer's export, of which nothing here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import apache_beam as beam

from transforms.beam import marked_errors, repeated, run_pipeline, units_each
from transforms.contract.declaration.transform import BeamSpec
from transforms.contract.workspace.layout import Workspace
from transforms.runners.arrival import Arrival
from transforms.source.units import WorkUnit

__all__ = ["UnitWork", "run_units", "units_each"]


class UnitWork(Protocol):
    """Work on units, where their rows are read. A runner may give a unit twice."""

    def open(self) -> None:
        """Loads what all units need; it is called once by every worker that takes some."""

    def do(self, unit: WorkUnit) -> object:
        """Works on one unit, and leaves a receipt."""


def run_units(
    spec: BeamSpec,
    workspace: Workspace,
    units: Sequence[WorkUnit],
    work: UnitWork,
    *,
    meanwhile: Callable[[], None],
    seconds: float,
) -> None:
    """Sends units to the workers of a runner, and waits until all are done.

    Args:
        spec: The runner.
        workspace: Where a worker says that it is there, and the job is written down.
        units: The units, in their order.
        work: What is done with each.
        meanwhile: Called again and again while the workers are busy.
        seconds: Between two such calls.

    Raises:
        BraidError: The work raised it, or the runner failed.
    """

    def build(p: beam.Pipeline, arrival: Arrival) -> None:
        todo = p | "Units" >> beam.Create(list(units))
        _ = todo | "DoUnits" >> beam.ParDo(_UnitDoFn(work, arrival))

    with repeated(meanwhile, seconds):
        run_pipeline(spec, workspace, build)


class _UnitDoFn(beam.DoFn):  # type: ignore[misc]
    """Does one unit where it is."""

    def __init__(self, work: UnitWork, arrival: Arrival) -> None:
        self._work, self._arrival = work, arrival

    def setup(self) -> None:
        """Says that a worker is there, and lets the work load what it needs."""
        with marked_errors("a unit of work"):
            self._arrival.tell()
            self._work.open()

    def process(self, unit: WorkUnit) -> None:
        """Does one unit; nothing goes on to another stage."""
        with marked_errors("a unit of work"):
            self._work.do(unit)
