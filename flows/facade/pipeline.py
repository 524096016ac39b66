"""A pipeline as an object: declared, run, asked and used from Python."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flows.commands.options import open_project
from flows.commands.verbs.plan_command import planned
from flows.records.record import RunRecord, read_records
from flows.report.status import PipelineStatus, status_of
from flows.steps.registration import find_version, reach_registry
from trainer.registry.champions import CHAMPION
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import PIPELINE_FILE, Workspace

from .command import braid
from .report import Report

if TYPE_CHECKING:
    from flows.records.plan import RunPlan

    from .frames import Frame, FrameT
    from .model import Model

_TABLE_NAME = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Pipeline:
    """A declaration, with the workspace of its runs.

    Attributes:
        declaration: The path of the `pipeline.yaml`.
        spec: What it declares, overrides included.
        workspace: The folder of everything that runs make.
        overrides: Keys that are others here, as "training.epochs=3".
    """

    declaration: Path
    spec: PipelineSpec
    workspace: Workspace
    overrides: tuple[str, ...] = ()

    def __repr__(self) -> str:
        features, targets = len(self.spec.features), len(self.spec.targets)
        return f"Pipeline({str(self.declaration)!r}: {features} features, {targets} targets)"

    def run(self, *, retrain: bool = False) -> RunRecord:
        """Brings the model up to date with the table, and returns what the run says of itself.

        It is the command `braid run`, in a process of its own: what it prints is printed here, and
        an interrupt leaves what is finished for the next run. A gate that refuses the model is no
        error: the record's status is "refused".

        Args:
            retrain: Whether to train a new model even if nothing is new.

        Raises:
            BraidError: The run failed.
            DeclarationError: The declaration is wrong.
        """
        words = [str(self.declaration), "--workspace", str(self.workspace.root)]
        words += [word for override in self.overrides for word in ("--set", override)]
        told = braid("run", *words, *(["--retrain"] if retrain else []))
        return RunRecord.model_validate(told["run"])

    def plan(self, *, retrain: bool = False) -> RunPlan:
        """Returns what a run would do: its steps with rows and bytes, and why.

        Args:
            retrain: As if a new model were to be trained in any case.

        Raises:
            BraidError: The source cannot be listed.
        """
        return planned(self.spec, self.workspace, retrain=retrain)

    def status(self) -> PipelineStatus:
        """Returns every partition's state, and what a run would do and why.

        Raises:
            BraidError: The source cannot be listed.
        """
        return status_of(self.spec, self.workspace)

    def runs(self) -> tuple[RunRecord, ...]:
        """Returns what ran and how it ended, the oldest first."""
        return tuple(record for _, record in read_records(self.workspace, self.spec.name))

    def report(self, run: str | None = None) -> Report:
        """Returns the report of a run: text where it is printed, with its picture in a notebook.

        Args:
            run: Its name; the newest one by default.

        Raises:
            BraidError: There is no such run.
        """
        for folder, record in reversed(read_records(self.workspace, self.spec.name)):
            if run in (None, record.run_id):
                return Report(record, folder)
        raise _no_run(self, "a run" if run is None else f"run {run}")

    @property
    def champion(self) -> Model:
        """The model that the gate, or a person, made the champion.

        Raises:
            BraidError: There is none.
        """
        return self.model()

    def model(self, *, alias: str = CHAMPION, version: str | None = None) -> Model:
        """Returns a registered model.

        Args:
            alias: Which version.
            version: Its number instead.

        Raises:
            BraidError: There is no such version.
        """
        from .model import Model

        registry = reach_registry(self.spec, self.workspace)
        name = self.spec.registered_name()
        registered = find_version(registry, name, alias=alias, version=version)
        run_folder = None if registered.run is None else self.workspace.run(*registered.run)
        export = registry.export_folder(registered)
        return Model(registered, export, run_folder, self.spec.source.allow)


def load(
    declaration: str | os.PathLike[str],
    *,
    workspace: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Pipeline:
    """Returns the pipeline of a declaration.

    Args:
        declaration: The path of a `pipeline.yaml`.
        workspace: The folder of everything that runs make; by default `workspace` beside it.
        overrides: Other values for keys, such as `{"training.epochs": 3}`.

    Raises:
        DeclarationError: The declaration or an override is wrong.
    """
    path = Path(declaration).absolute()
    changed = tuple(f"{key}={json.dumps(value)}" for key, value in (overrides or {}).items())
    project = open_project(path, None if workspace is None else Path(workspace), changed)
    return Pipeline(path, project.pipeline, project.workspace, changed)


def init(
    table: Frame | str | os.PathLike[str],
    target: str | Sequence[str],
    *,
    folder: str | os.PathLike[str] | None = None,
) -> Pipeline:
    """Writes a declaration for a table, as `braid init --from` does, and returns its pipeline.

    Every column has its kind and the reason as a comment: read `p.declaration`, and correct it
    before you trust the model. The same call again returns the pipeline that is there.

    Args:
        table: A frame of pandas, Polars or Arrow, which is written below the folder as Parquet, or
            the path of a table: a file, a folder or a glob.
        target: The column to predict, or several.
        folder: Where the declaration and everything else goes; "braid-TARGET" by default.

    Raises:
        BraidError: The table cannot be read.
        DeclarationError: A target is no column, or another table's declaration is in the folder.
    """
    from flows.commands.init import path_from
    from transforms.proposal.document import write
    from transforms.proposal.proposal import propose

    targets = (target,) if isinstance(target, str) else tuple(target)
    name = _TABLE_NAME.sub("-", targets[0]).strip("-").lower() or "table"
    home = Path(folder or f"braid-{name}").absolute()
    declaration = home / PIPELINE_FILE
    rows = None if isinstance(table, str | os.PathLike) else _parquet(table)
    own = f"data/{name}.parquet"
    path = os.fspath(cast("str", table)) if rows is None else str(home / own)
    if declaration.exists():
        there = load(declaration)
        _refuse_another(there, targets, rows, path)
        return there
    if rows is not None:
        write_atomic(Path(path), rows)
    write(propose(path, targets), home, path_from(home, path) if rows is None else own)
    return load(declaration)


def run(
    declaration: str | os.PathLike[str],
    *,
    workspace: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    retrain: bool = False,
) -> RunRecord:
    """Returns what `load(...).run(...)` does."""
    return load(declaration, workspace=workspace, overrides=overrides).run(retrain=retrain)


def plan(
    declaration: str | os.PathLike[str],
    *,
    workspace: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    retrain: bool = False,
) -> RunPlan:
    """Returns what `load(...).plan(...)` does."""
    return load(declaration, workspace=workspace, overrides=overrides).plan(retrain=retrain)


def status(
    declaration: str | os.PathLike[str],
    *,
    workspace: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> PipelineStatus:
    """Returns what `load(...).status()` does."""
    return load(declaration, workspace=workspace, overrides=overrides).status()


def predict(
    declaration: str | os.PathLike[str],
    rows: FrameT,
    *,
    workspace: str | os.PathLike[str] | None = None,
    alias: str = CHAMPION,
    version: str | None = None,
    keep_invalid: bool = False,
) -> FrameT:
    """Returns what `load(...).model(...).predict(...)` does; each call loads the model anew."""
    model = load(declaration, workspace=workspace).model(alias=alias, version=version)
    return model.predict(rows, keep_invalid=keep_invalid)


def _parquet(frame: Frame) -> bytes:
    import pyarrow.parquet as pq  # here, as a training machine has no Arrow

    from .frames import to_arrow

    sink = io.BytesIO()
    pq.write_table(to_arrow(frame), sink)
    return sink.getvalue()


def _refuse_another(there: Pipeline, targets: Sequence[str], rows: bytes | None, path: str) -> None:
    """Refuses to take the declaration of other rows or targets for that of these."""
    declared = there.spec.source.path
    same_rows = _is_same(path, declared) if rows is None else _has_rows(Path(declared), rows)
    columns = {target.column or name for name, target in there.spec.targets.items()}
    if same_rows and columns == set(targets):
        return
    raise DeclarationError(
        str(there.declaration),
        expected="no declaration, or that of these rows and targets",
        received="other rows" if not same_rows else f"targets {', '.join(sorted(columns))}",
        action="Give another folder, or braid.load this one: nothing is ever written over.",
    )


def _is_same(path: str, declared: str) -> bool:
    if "://" in path or "://" in declared:
        return path == declared
    return os.path.realpath(path) == os.path.realpath(declared)


def _has_rows(path: Path, rows: bytes) -> bool:
    """Returns whether a Parquet file has the rows of another, whoever wrote it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from .frames import are_equal

    try:
        return path.is_file() and are_equal(pq.read_table(path), pq.read_table(io.BytesIO(rows)))
    except (OSError, pa.ArrowException):  # it is no Parquet file
        return False


def _no_run(pipeline: Pipeline, expected: str) -> BraidError:
    return BraidError(
        f"pipeline '{pipeline.spec.name}' in {pipeline.workspace.root}",
        expected=expected,
        received=", ".join(record.run_id for record in pipeline.runs()) or "none",
        action="Run it, or name a run that is there.",
    )
