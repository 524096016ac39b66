"""A run's report as an object: text where it is printed, text and picture in a notebook."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from flows.records.record import PICTURE_FILE, RunRecord
from flows.report.summary import markdown


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
        picture = self.folder / PICTURE_FILE
        if not picture.exists():
            return str(self)
        inside = base64.b64encode(picture.read_bytes()).decode()
        return str(self).replace(f"({PICTURE_FILE})", f"(data:image/png;base64,{inside})")
