"""The MLflow run of a run of ours: what people search, plot and compare on the registry's page."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from trainer.registry.model_files import Description, write_model_files
from trainer.registry.searches import equals
from trainer.registry.version import FILES_TAG

_ARTIFACT = "export"  # the folder of a run's files
_PARAMETER_LENGTH = 6000  # MLflow refuses longer ones
# What a server takes at once: https://mlflow.org/docs/latest/api_reference/rest-api.html#log-batch
_MOST_PARAMETERS, _MOST_METRICS = 100, 1000
_DIGEST_LENGTH = 36  # MLflow refuses longer ones

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class DataSet:
    """The rows of a run, as MLflow's data set.

    Attributes:
        name: Of the table.
        digest: The fingerprint of its files; cut to what MLflow takes.
        source: Where it lies.
        profile: Counts of rows and the like, by name.
    """

    name: str
    digest: str
    source: str
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunDetails:
    """The details that a run shows beside its metrics and tags.

    Attributes:
        title: What the page calls it; "" is the run's own name.
        started: When it began.
        parameters: What to show of the declaration; long values are cut.
        texts: Files to keep beside the export, by name.
        curves: A metric's values by the number of their epoch, from 1.
        data_set: Its rows.
    """

    title: str = ""
    started: datetime | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    data_set: DataSet | None = None


@dataclass(frozen=True)
class RunEnd:
    """The end of a run.

    Attributes:
        status: In MLflow's words.
        ended: When.
        tags: What is known by then only.
        files: What to keep beside the export, each with the folder that it goes to.
    """

    status: RunStatus
    ended: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, Path]] = ()


def experiment_of(client: Any, name: str, location: str | None) -> str:
    """Returns the id of an experiment, which is made if it is not there.

    Args:
        client: MLflow's.
        name: The experiment's.
        location: Where the files of its runs go; None leaves it to the server.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, artifact_location=location))
    return str(experiment.experiment_id)


def run_of(
    client: Any,
    experiment: str,
    identity: tuple[str, str],
    tags: Mapping[str, str],
    details: RunDetails,
) -> str:
    """Returns the id of the MLflow run of a run of ours, as a crashed attempt left it or new.

    Args:
        client: MLflow's.
        experiment: The experiment's id.
        identity: The tag that names our run, and its value, which is its title if it has no other.
        tags: Fingerprints and the like.
        details: Title, begin and rows.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    tag, name = identity
    known = client.search_runs([experiment], equals(f"tags.`{tag}`", name))
    if known:
        entry = known[0]
    else:
        started = None if details.started is None else _milliseconds(details.started)
        title = details.title or name
        entry = client.create_run(
            experiment, start_time=started, tags={**tags, tag: name}, run_name=title
        )
    run = str(entry.info.run_id)
    rows = details.data_set
    if rows is not None and not entry.inputs.dataset_inputs:
        data_set = Dataset(
            name=rows.name,
            digest=rows.digest[:_DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": rows.source}),
            profile=json.dumps(dict(rows.profile)),
        )
        context = InputTag(key="mlflow.data.context", value="training")
        client.log_inputs(run, [DatasetInput(dataset=data_set, tags=[context])])
    return run


def log_details(client: Any, run: str, metrics: Mapping[str, float], details: RunDetails) -> None:
    """Logs what a run shows; metrics and texts that a killed attempt has logged come again.

    Numbers that are not finite, which some databases do not take, are left out.
    """
    from mlflow.entities import Metric, Param

    logged = client.get_run(run).data
    now = int(time.time() * 1000)
    points = [Metric(name, value, now, 0) for name, value in metrics.items()]
    points += [
        Metric(name, value, now, epoch)
        for name, curve in details.curves.items()
        for known in [_epochs_of(client, run, name) if name in logged.metrics else set()]
        for epoch, value in curve
        if epoch not in known
    ]
    for batch in _batches([p for p in points if math.isfinite(p.value)], _MOST_METRICS):
        client.log_batch(run, metrics=batch)
    # MLflow refuses another value for a parameter that a crashed attempt has logged.
    new = {name: value for name, value in details.parameters.items() if name not in logged.params}
    params = [Param(name, str(value)[:_PARAMETER_LENGTH]) for name, value in new.items()]
    for batch in _batches(params, _MOST_PARAMETERS):
        client.log_batch(run, params=batch)
    for file, text in details.texts.items():
        client.log_text(run, text, file)


def _epochs_of(client: Any, run: str, curve: str) -> set[int]:
    """Returns the epochs of a curve that an attempt has logged: it may have been killed midway."""
    return {point.step for point in client.get_metric_history(run, curve)}


def log_export(
    client: Any, run: str, export: Path, described: Description | None
) -> tuple[str, dict[str, str]]:
    """Keeps an export, and beside it what MLflow reads to open it.

    Args:
        client: MLflow's.
        run: The id of the MLflow run.
        export: The export's folder.
        described: What MLflow is to know of it, to open it.

    Returns:
        Where it lies, and the tag with the checksums of what MLflow reads.
    """
    client.log_artifacts(run, str(export), _ARTIFACT)
    source = f"{client.get_run(run).info.artifact_uri}/{_ARTIFACT}"
    if described is None:
        return source, {}
    with tempfile.TemporaryDirectory() as folder:
        checksums = write_model_files(Path(folder), described, run)
        client.log_artifacts(run, folder, _ARTIFACT)
    return source, {FILES_TAG: json.dumps(checksums)}


def end_run(client: Any, run: str, end: RunEnd) -> None:
    """Notes how a run ended, and keeps its files."""
    for folder, file in end.files:
        client.log_artifact(run, str(file), folder)
    for name, value in end.tags.items():
        client.set_tag(run, name, value)
    client.set_terminated(run, end.status, _milliseconds(end.ended))


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
