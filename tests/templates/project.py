"""A template as its reader gets it: a project made and run by the commands of its README."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from flows import templates
from transforms.columns.hashing import key_bytes
from transforms.columns.splits import assign_splits
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.split import SPLITS
from transforms.contract.process.own_packages import python_m
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import TransformManifest
from transforms.source.scan import scan

_BRAID = python_m("braid")
_READ = {"parquet": pq.read_table, "csv": pacsv.read_csv}


@dataclass(frozen=True)
class Project:
    """A folder that `braid init` made, after the runs of its README."""

    folder: Path

    def pipeline(self, declaration: str = "pipeline.yaml") -> PipelineSpec:
        return load(self.folder / declaration)

    def record(self, declaration: str = "pipeline.yaml") -> dict[str, Any]:
        """Returns `run.json` of a declaration's only run."""
        runs = self.folder / "workspace" / "runs" / self.pipeline(declaration).name
        (file,) = runs.glob("*/run.json")
        record: dict[str, Any] = json.loads(file.read_text())
        return record

    def transform(self, declaration: str = "pipeline.yaml") -> TransformManifest:
        manifest = Workspace(self.folder / "workspace").read_transform(
            self.record(declaration)["transform"]
        )
        assert manifest is not None
        return manifest

    def rows(self, split: str) -> pa.Table:
        """Returns the usable rows of the source that are in a split."""
        pipeline = self.pipeline()
        paths = [file.path for file in scan(pipeline.source).files()]
        table = pa.concat_tables(_READ[path.rpartition(".")[2]](path) for path in paths)
        columns = {name: table[name].combine_chunks() for name in table.column_names}
        keys = key_bytes(columns[pipeline.source.key])
        splits, _ = assign_splits(pipeline.split, keys, columns)
        rejected = self._rejected_keys()
        usable = np.array([key.decode() not in rejected for key in keys])
        rows = table.filter(pa.array((splits == SPLITS.index(split)) & usable))
        assert len(rows) == self.record()["rows"][split]
        return rows

    def _rejected_keys(self) -> set[str]:
        folder = self.folder / "workspace" / "rejects" / self.record()["transform"]
        files = folder.rglob("*.parquet")
        return {key for file in files for key in pq.read_table(file)["key"].to_pylist()}


def printed_commands(name: str) -> list[str]:
    """Returns the lines of a template's README that are commands of Braid."""
    text = (templates.source(name) / "README.md").read_text(encoding="utf-8")
    blocks = text.split("```")[1::2]
    return [line for block in blocks for line in block.splitlines() if line.startswith("braid ")]


def as_printed(name: str, parent: Path) -> Project:
    """Runs every command of a template's README in the folder `parent`."""
    for command in printed_commands(name):
        done = subprocess.run(
            [*_BRAID, *shlex.split(command)[1:]],
            cwd=parent,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return Project(parent / name)


def majority(labels: Any) -> float:
    """Returns the accuracy of always giving the more frequent of two labels."""
    share = float(np.mean(np.asarray(labels)))
    return max(share, 1 - share)


def best_threshold(values: Any, labels: Any) -> float:
    """Returns the accuracy of the best rule "above, or below, a number" on these very rows.

    That is the most that a model could do which sees this number alone, if the chance of a label
    rises or falls with it all along.
    """
    numbers, positive = np.asarray(values), np.asarray(labels) == 1
    # One bound a number, so that equal numbers get equal labels.
    accuracies = [
        np.mean((numbers > bound) == positive) for bound in (-np.inf, *np.unique(numbers))
    ]
    return max(*accuracies, 1 - min(accuracies))
