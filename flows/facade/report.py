"""A run's report as an object: text where it is printed, text and picture in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flows.records.record import RunRecord
from flows.report.summary import markdown, with_picture


@dataclass(frozen=True)
class Report:
    """The outcome of a run.

    Attributes:
        record: All of it, typed: `record.metrics`, `record.gate` and so on.
        folder: The run's folder; `report.png` and `summary.md` are in it.
    """

    record: RunRecord
    folder: Path

    def __str__(self) -> str:
        return markdown(self.record)

    def __repr__(self) -> str:
        return f"Report(run {self.record.run_id!r}, {self.record.status})"

    def _repr_markdown_(self) -> str:
        """Returns the summary with its picture inside, for Jupyter."""
        return with_picture(str(self), self.folder)
