"""Checks of records, models and registered versions; no run makes them again."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlparse

from flows.checks.defects import Defect, defect_of
from flows.checks.saved_models import (
    GRAPH_FILE,
    INDEX_FILE,
    missing_assets,
    refuse_cut_graph,
    refuse_cut_variables,
)
from flows.records.backfill_record import RECORD_FILE as BACKFILL_FILE
from flows.records.backfill_record import read_backfill
from flows.records.record import DECLARED_FILE, FINISHED, RECORD_FILE, RunRecord, read_record
from trainer.registry.registry import ModelRegistry
from trainer.registry.version import RegisteredVersion
from trainer.run_folder import (
    CHECKPOINT_FOLDER,
    CHOSEN_FILE,
    DECLARATION_FILE,
    EXPORT_FOLDER,
    HISTORY_FILE,
    MODEL_FILE,
    RECIPE_FILE,
)
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import checksum
from transforms.contract.steps.evaluation import EVALUATION_FILE
from transforms.contract.steps.tuning import Trial
from transforms.contract.workspace.documents import (
    BRING_BACK,
    RETRAIN,
    read_json,
    read_object,
    reading,
)
from transforms.contract.workspace.files import TEMPORARY
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import TransformManifest

ANOTHER_VERSION = "Bring the export back from a copy, or give the alias to another version."
_DATABASE = "Bring the database back from a copy; without it no version is registered."
_OF_A_FINISHED_RUN = (RECIPE_FILE, HISTORY_FILE, MODEL_FILE, EXPORT_FOLDER, EVALUATION_FILE)
_BEGINS_ANEW = "A run begins its training anew without it: `--repair` removes it."


def check_runs(workspace: Workspace, looked_at: Counter[str]) -> Iterator[Defect]:
    """Yields what is wrong with the records of runs, tunings and backfills, and with their models.

    Args:
        workspace: Where everything lies.
        looked_at: Takes what was looked at, in words.
    """
    for kind in ("run", "tuning"):
        for folder in _folders(workspace.root / f"{kind}s"):
            looked_at[kind] += 1
            record = folder / RECORD_FILE
            defects = defect_of(record, read_record, folder, action=BRING_BACK)
            if not record.exists() and any(folder.iterdir()):
                defects = [Defect(record, "no such file", BRING_BACK)]
            yield from defects or _files_of_run(folder, read_record(folder))
    for folder in _folders(workspace.root / "backfills"):
        looked_at["backfill"] += 1
        yield from defect_of(folder / BACKFILL_FILE, read_backfill, folder, action=BRING_BACK)


def _files_of_run(folder: Path, record: RunRecord | None) -> Iterator[Defect]:
    ended = record is not None and record.status in FINISHED
    goes_on = record is not None and record.may_be_resumed()
    evaluation = folder / EVALUATION_FILE
    for path in (folder / name for name in _OF_A_FINISHED_RUN):
        if ended and not path.exists():
            yield Defect(path, "no such file", RETRAIN)
    declared = folder / DECLARED_FILE
    if declared.exists():
        yield from defect_of(declared, read_object, declared, action=BRING_BACK)
    for path in (folder / RECIPE_FILE, folder / HISTORY_FILE, evaluation):
        if path.exists() and path == evaluation and goes_on:
            yield from defect_of(path, read_object, path, removes=(path,))
        elif path.exists():
            yield from defect_of(path, read_object, path, action=RETRAIN)
    for path in (folder / MODEL_FILE, folder / CHOSEN_FILE):
        if path.exists():
            yield from defect_of(path, _read_archive, path, action=RETRAIN)
    if (folder / EXPORT_FOLDER).exists():
        yield from _parts_of_export(folder / EXPORT_FOLDER, action=RETRAIN)
    checkpoints = folder / CHECKPOINT_FOLDER
    for path in sorted([*checkpoints.rglob("*.npz"), *checkpoints.rglob("*.json")]):
        read = _read_archive if path.suffix == ".npz" else read_object
        if not path.name.startswith(TEMPORARY):
            removes = (checkpoints,)
            yield from defect_of(path, read, path, action=_BEGINS_ANEW, removes=removes)
    for path in sorted(folder.glob("trials/[0-9]*.json")):
        yield from defect_of(path, _read_trial, path, action=BRING_BACK)


def _parts_of_export(folder: Path, *, action: str) -> Iterator[Defect]:
    path = folder / DECLARATION_FILE
    defects = defect_of(path, _transform_of, folder, action=action)
    yield from defects
    if not defects:
        yield from missing_assets(folder, _transform_of(folder).stored, action=action)
    yield from defect_of(folder / GRAPH_FILE, refuse_cut_graph, folder, action=action)
    yield from defect_of(folder / INDEX_FILE, refuse_cut_variables, folder, action=action)


def check_registry(
    workspace: Workspace,
    registry: ModelRegistry,
    looked_at: Counter[str],
    *,
    database: Path | None,
    names: Iterable[str] | None,
) -> Iterator[Defect]:
    """Yields what is wrong with registered versions whose exports lie on this machine.

    Args:
        workspace: Where the runs are that made them.
        registry: Where they are registered.
        looked_at: Takes what was looked at, in words.
        database: The file that the registry is in, if it is one.
        names: The models to look at; None is all of them.

    Raises:
        BraidError: The registry cannot be reached.
    """
    if database is not None and database.exists():
        defects = defect_of(database, _read_database, database, action=_DATABASE)
        yield from defects
        if defects:
            return
    if database is not None and not database.exists():
        lost = list(_registered(workspace, names or ()))
        if lost:
            what = f"no such file, where run {lost[-1].run_id} registered its model"
            yield Defect(database, what, _DATABASE)
        return
    for name in registry.models() if names is None else names:
        for version in registry.versions(name):
            looked_at["registered version"] += 1
            if urlparse(version.source).scheme in ("", "file"):  # another has a server
                yield from check_version(workspace, registry, version)


def _registered(workspace: Workspace, names: Iterable[str]) -> Iterator[RunRecord]:
    """Yields the runs that registered a version of these models, the oldest first."""
    wanted = set(names)
    for folder in _folders(workspace.root / "runs"):
        with suppress(BraidError):  # which is told already
            record = read_record(folder)
            if record is not None and record.model is not None and record.model.name in wanted:
                yield record


def check_version(
    workspace: Workspace, registry: ModelRegistry, version: RegisteredVersion
) -> Iterator[Defect]:
    """Yields what is wrong with a version's export, by itself and beside the run's.

    Args:
        workspace: Where the run is that made it, if it is there still.
        registry: Where it is registered.
        version: The version.
    """
    try:
        folder = registry.export_folder(version)
    except BraidError as error:
        where = Path(urlparse(version.source).path)
        what = f"{error.received}, which is the export of {error.place}"
        yield Defect(where, what, ANOTHER_VERSION)
        return
    defects = list(_parts_of_export(folder, action=ANOTHER_VERSION))
    yield from defects
    yield from _files_of_mlflow(folder, version)
    if defects or version.run is None:
        return
    own = workspace.run(*version.run) / EXPORT_FOLDER
    for path in sorted(path for path in own.rglob("*") if path.is_file()):
        copy = folder / path.relative_to(own)
        if not copy.exists():
            yield Defect(copy, "no such file, which the run's export has", ANOTHER_VERSION)
        elif checksum(copy) != checksum(path):
            yield Defect(copy, f"other content than {path}", ANOTHER_VERSION)


def _files_of_mlflow(folder: Path, version: RegisteredVersion) -> Iterator[Defect]:
    """Yields what MLflow reads of a version and is not as it was written."""
    for name, expected in version.model_files().items():
        path = folder / name
        if not path.exists():
            yield Defect(path, "no such file, which MLflow reads", ANOTHER_VERSION)
        elif checksum(path) != expected:
            yield Defect(path, "other content than was registered", ANOTHER_VERSION)


def _folders(parent: Path) -> list[Path]:
    """Returns the folders of the runs of all pipelines, or of whatever else each has some of."""
    return sorted(path for path in parent.glob("*/*") if path.is_dir())


def _read_archive(path: Path) -> None:
    with reading(path), zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise ValueError(f"another checksum of {broken} than it had")


def _transform_of(folder: Path) -> TransformManifest:
    path = folder / DECLARATION_FILE
    document = read_object(path, "pipeline", "transform", "arguments")
    with reading(path):
        return TransformManifest.model_validate_json(json.dumps(document["transform"]))


def _read_trial(path: Path) -> None:
    read_json(path, Trial)


def _read_database(path: Path) -> None:
    place = f"{path.absolute().as_uri()}?mode=ro"
    with (
        reading(path, also=(sqlite3.Error,)),
        closing(sqlite3.connect(place, uri=True)) as database,
    ):
        (told,) = database.execute("PRAGMA integrity_check").fetchone()
        (page,) = database.execute("PRAGMA page_size").fetchone()
        if path.stat().st_size % page:
            raise ValueError("the file ends within a page")
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if told != "ok" or "registered_models" not in tables:
            raise ValueError("no registry" if told == "ok" else str(told))
