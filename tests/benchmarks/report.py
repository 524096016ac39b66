"""The report of a benchmark: a table on the terminal, and a JSON file of the same."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

Json = str | float | None | Sequence["Json"] | Mapping[str, "Json"]  # as JSON can have it

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("tensorflow", "apache-beam", "tensorflow-transform", "keras", "prefect", "pyarrow")


@dataclass(frozen=True)
class Report:
    """The measurements of one benchmark.

    Attributes:
        title: What was measured, with its size.
        command: What repeats it, below the project's folder.
        columns: The table's columns; the first names what a line is about.
        lines: The table's lines, as people read them.
        sentences: What follows from them: ratios within this run, and what they leave out.
        details: Every single measurement.
    """

    title: str
    command: str
    columns: Sequence[str]
    lines: Sequence[Sequence[str]]
    sentences: Sequence[str]
    details: Mapping[str, Json]

    def keep(self, name: str) -> None:
        """Prints the table and writes `results/<name>.json`, with the machine and versions."""
        sys.stdout.write(f"{self.title}\n{_aligned([self.columns, *self.lines])}\n")
        sys.stdout.writelines(f"{sentence}\n" for sentence in self.sentences)
        RESULTS.mkdir(exist_ok=True)
        written = {
            **asdict(self),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "versions": {package: version(package) for package in _PACKAGES},
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(written, indent=1) + "\n")


def page(name: str) -> str:
    """Returns the section of RESULTS.md on a benchmark that has been run."""
    kept = json.loads((RESULTS / f"{name}.json").read_text())
    rows = [kept["columns"], ["---"] * len(kept["columns"]), *kept["lines"]]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    versions = ", ".join(f"{package} {number}" for package, number in kept["versions"].items())
    return "\n\n".join(
        [
            f"## {kept['title']}",
            table,
            " ".join(kept["sentences"]),
            f"`{kept['command']}`, on {kept['machine']}; {versions}.",
        ]
    )


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for line in lines
    )
