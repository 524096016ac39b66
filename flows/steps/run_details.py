"""The details of a run for the registry's page: title, curves, scalars, rows, its end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flows.records.kept import now
from flows.records.record import (
    DECLARED_FILE,
    PAGE_FILE,
    PICTURE_FILE,
    RECORD_FILE,
    SUMMARY_FILE,
    RunRecord,
)
from flows.steps.model_description import LIBRARIES
from flows.steps.work import Work
from trainer.registry.champions import this_person
from trainer.registry.run_entry import DataSet, RunDetails, RunEnd, RunStatus
from trainer.run_folder import HISTORY_FILE, RECIPE_FILE, read_rounds
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.fingerprint import fingerprint
from transforms.contract.masking import masked
from transforms.contract.workspace.documents import read_object
from transforms.contract.workspace.partition import Partition

# A table of a thousand columns has as many kinds; the declaration beside it has all of them.
_MOST_PARAMETERS = 1_000
_REPORT_FILES = (PAGE_FILE, PICTURE_FILE, SUMMARY_FILE, RECORD_FILE, HISTORY_FILE)
_REPORT_FOLDER = "report"
_STATUSES: Mapping[str, RunStatus] = {"failed": "FAILED", "stopped": "KILLED", "killed": "KILLED"}
_GIT_SECONDS = 10.0


def details_of(work: Work, record: RunRecord) -> RunDetails:
    """Returns what a run shows on the registry's page."""
    source = work.pipeline.source
    return RunDetails(
        title=_title(work.pipeline, record),
        started=record.started,
        parameters=parameters_of(work.pipeline, work.folder),
        texts={DECLARED_FILE: work.pipeline.model_dump_json(indent=2)},
        curves=_curves(work.folder),
        data_set=DataSet(
            name=Path(source.path).name or record.pipeline,
            digest=partitions_fingerprint(work.trained),
            source=masked(source.path),
            profile={
                "source_rows": record.source_rows,
                "rejected_rows": record.rejected(),
                **{f"{split}_rows": rows for split, rows in record.rows.items()},
                "partitions": len(work.trained),
                "first_partition": work.trained[0].name,
                "last_partition": work.trained[-1].name,
            },
        ),
    )


def partitions_fingerprint(partitions: Sequence[Partition]) -> str:
    """Returns the fingerprint of some partitions and of their files."""
    return fingerprint([[part.name, part.fingerprint] for part in partitions])


def _title(pipeline: PipelineSpec, record: RunRecord) -> str:
    """Returns pipeline, begin and the first gate's metric, such as "flats 11-29 03:38 auc 0.91"."""
    metric = str(pipeline.gates()[0].metric)
    value = record.metrics.get(metric)
    judged = "" if value is None else f", {metric} {value:.4g}"
    return f"{record.pipeline} {record.started:%Y-%m-%d %H:%M}{judged}"


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns every loss by its epoch, as `epoch.train_loss` and `epoch.train_loss.<target>`."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for epoch in read_rounds(folder):
        losses = {"train_loss": epoch.loss, "validation_loss": epoch.validation_loss}
        losses |= {f"train_loss.{name}": value for name, value in epoch.losses.items()}
        for name, value in losses.items():
            if value is not None:  # without validation rows there is no such loss
                curves.setdefault(f"epoch.{name}", []).append((epoch.epoch + 1, value))
    return curves


def parameters_of(pipeline: PipelineSpec, folder: Path) -> dict[str, Any]:
    """Returns the declaration and the training's numbers as scalars, by their place.

    Of features and targets what differs from the defaults; lists are JSON. They are the first
    thousand: `declaration.json` beside them has all.
    """
    document = pipeline.model_dump(mode="json", exclude={"features", "targets"})
    recipe = folder / RECIPE_FILE
    scalars = {f"recipe.{k}": v for k, v in read_object(recipe).items()} if recipe.exists() else {}
    scalars |= dict(_scalars(document))
    declared = pipeline.model_dump(
        mode="json", include={"features", "targets"}, exclude_defaults=True
    )
    for part in ("targets", "features"):
        for name, spec in declared[part].items():
            kind = getattr(pipeline, part)[name].kind
            scalars |= dict(_scalars({"kind": kind, **spec}, f"{part}.{name}."))
    return dict(list(scalars.items())[:_MOST_PARAMETERS])


def _scalars(document: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict) and value:
            yield from _scalars(value, f"{place}{key}.")
        elif isinstance(value, list | dict):
            yield f"{place}{key}", json.dumps(value)
        elif value is not None:
            yield f"{place}{key}", value


def library_tags() -> dict[str, str]:
    """Returns the versions of the libraries that a model is made with, as tags."""
    tags = {}
    for name in ("keras", *LIBRARIES):
        with suppress(PackageNotFoundError):
            tags[f"braid.library.{name}"] = version(name)
    return tags


def end_of(folder: Path, record: RunRecord, declaration: Path) -> RunEnd:
    """Returns how a run ended, with its report and the commit of its declaration.

    Args:
        folder: The run's folder.
        record: Its record.
        declaration: The path of the pipeline.yaml.
    """
    files = [folder / name for name in _REPORT_FILES]
    return RunEnd(
        status=_STATUSES.get(record.status, "FINISHED"),
        ended=record.ended or now(),
        tags={
            "braid.status": record.status,
            "mlflow.user": this_person(),
            "mlflow.source.name": masked(str(declaration)),
            **_commit(declaration),
        },
        files=[(_REPORT_FOLDER, file) for file in files if file.exists()],
    )


def _commit(declaration: Path) -> dict[str, str]:
    """Returns the git commit that a declaration stands in, if there is one, as MLflow's tags."""
    folder = declaration.absolute().parent

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(folder), *arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError):  # no git, or no repository
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    if not commit:
        return {}
    changed = git("status", "--porcelain", "--untracked-files=no", "--", str(folder))
    return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(bool(changed))}
