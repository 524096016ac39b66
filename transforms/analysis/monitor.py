"""A day of served rows held against the rows that a model was made of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.analysis.request_counter import RequestCounter
from transforms.columns.conform import blank_column
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.steps.monitoring import (
    ANSWER_PREFIX,
    LOGGED_PREFIX,
    VERSION_COLUMN,
    Compared,
    MonitorJob,
    MonitorResult,
)
from transforms.contract.workspace.documents import reading
from transforms.graph.graph import raw_columns
from transforms.reading.batches import RawBatch
from transforms.reading.unlabelled import row_reader
from transforms.statistics.accumulators import Accumulated, merged
from transforms.statistics.drift_distance import Outcomes, jensen_shannon
from transforms.statistics.drift_reference import binned, edges_of, sample_pairs
from transforms.statistics.drift_test import alarms, p_value

_CHANCE = 0.01  # of a false alarm on a day on which nothing differs
# Of a million rows a hair's breadth is no chance: a shift by 0.07 standard deviations is this far.
_LEAST_DISTANCE = 0.03
_BATCH_ROWS = 4_096
_SHARES = 8  # of a day's files, which cores work on side by side
_MOST_ENTRIES = 64  # of an answer's list


def monitor(text: str) -> MonitorResult:
    """Runs a `MonitorJob` given as JSON: compares features and answers with their references.

    Values of sensitive columns are in no log, and are not compared; nor are times, which move on.

    Raises:
        BraidError: A file of the log is damaged, or no row of it can be compared.
    """
    job = MonitorJob.model_validate_json(text)
    total, refused = _counted(job)
    if not total.rows:
        raise BraidError(
            job.log,
            expected="served rows that training would take",
            received=f"none, and {refused:,} that it would reject",
            action="Wait for requests, or look at why their rows are refused.",
        )
    hidden = job.pipeline.sensitive_columns()
    raws = job.pipeline.raw_features()
    features = {
        name: _compared(pairs, ordered=ordered)
        for name, ordered, pairs in sample_pairs(Path(job.statistics), total)
        if name in raws
        and hidden.isdisjoint(raws[name].columns)
        and not job.pipeline.features[name].moves_on
    }
    predictions, answers = _predictions(job)
    named = alarms(
        {("feature", n): c.p_value for n, c in features.items()}
        | {("prediction", n): c.p_value for n, c in predictions.items()},
        _CHANCE,
    )
    return MonitorResult(
        rows=total.rows,
        refused=refused,
        answers=answers,
        features={n: _judged(c, ("feature", n) in named) for n, c in features.items()},
        predictions={n: _judged(c, ("prediction", n) in named) for n, c in predictions.items()},
    )


def _files(job: MonitorJob) -> list[Path]:
    return sorted(Path(job.log).glob("[!.]*.parquet"))


def _counted(job: MonitorJob) -> tuple[Accumulated, int]:
    """Returns what the rows add up to that training would take, and how many it would not."""
    files, parts = _files(job), []
    shares = [files[start::_SHARES] for start in range(_SHARES)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # In their order, so that any number of cores adds up to the same.
        parts = list(pool.map(partial(_counted_share, job), filter(None, shares)))
    return merged(total for total, _ in parts), sum(refused for _, refused in parts)


def _counted_share(job: MonitorJob, files: Sequence[Path]) -> tuple[Accumulated, int]:
    total, refused = Accumulated(), 0
    counter = RequestCounter.shared(job.pipeline)
    reader = row_reader(job.pipeline)
    for table in _batches(files):
        batch = reader.conform(table)
        taken = np.ones(batch.rows, bool)
        taken[list(batch.refused)] = False
        refused += len(batch.refused)
        if taken.any():
            total.rows += int(taken.sum())
            counter.add_compared(_with_blanks(job.pipeline, counter, batch, taken), total)
    return total, refused


def _batches(files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    """Yields the rows of files; small files of one schema, as a quiet server writes, together."""
    waiting: list[pa.RecordBatch] = []
    for batch in _pieces(files):
        rows = batch.num_rows + sum(each.num_rows for each in waiting)
        if waiting and (rows > _BATCH_ROWS or batch.schema != waiting[0].schema):
            yield pa.concat_batches(waiting)
            waiting = []
        waiting.append(batch)
    if waiting:
        yield pa.concat_batches(waiting)


def _pieces(files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    for path in files:
        with (
            reading(path, also=(pa.ArrowInvalid, OSError)),
            pq.ParquetFile(path) as file,
        ):
            yield from file.iter_batches(_BATCH_ROWS)


def _with_blanks(
    pipeline: PipelineSpec, counter: RequestCounter, batch: RawBatch, taken: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns what is counted of some rows; the targets of served rows are not known."""
    columns = {n: v for n, v in batch.select(taken).items() if n in counter.columns}
    rows = int(taken.sum())
    for name, raw in raw_columns(pipeline, with_targets=True).items():
        if name in counter.columns and name not in columns:
            columns[name] = blank_column(raw, rows)
    return columns


def _compared(pairs: list[tuple[Outcomes, Outcomes]], *, ordered: bool) -> Compared:
    """Compares the positions of a list, of which any may differ, or one value."""
    smallest = min((p_value(*pair, ordered=ordered) for pair in pairs), default=1.0)
    apart = [float(jensen_shannon(left.shares(), right.shares())) for left, right in pairs]
    return Compared(
        p_value=min(1.0, len(pairs) * smallest),
        distance=float(np.sqrt(np.mean(apart))) if apart else 0.0,
    )


def _judged(compared: Compared, is_named: bool) -> Compared:
    is_alarm = is_named and compared.distance >= _LEAST_DISTANCE
    return compared.model_copy(update={"is_alarm": is_alarm})


def _predictions(job: MonitorJob) -> tuple[dict[str, Compared], int]:
    """Returns the answers of the version beside those for its test rows, and how many there are."""
    if job.answers is None:
        return {}, 0
    path = Path(job.answers)
    with reading(path), np.load(path, allow_pickle=False) as file:
        reference = {name.removeprefix(ANSWER_PREFIX): file[name] for name in file.files}
    columns: dict[str, list[pa.ChunkedArray]] = {}
    rows = 0
    wanted = [VERSION_COLUMN, *(LOGGED_PREFIX + name for name in reference)]
    for logged in _files(job):
        with pq.ParquetFile(logged) as file:
            table = file.read([name for name in file.schema_arrow.names if name in wanted])
        table = table.filter(pa.compute.equal(table[VERSION_COLUMN], job.version))
        rows += table.num_rows
        for name in reference:
            if LOGGED_PREFIX + name in table.column_names:
                columns.setdefault(name, []).append(table[LOGGED_PREFIX + name].drop_null())
    compared = {}
    for name, parts in columns.items():
        values = [value for part in parts for value in part.to_pylist()]
        if values and len(reference[name]):
            pairs, ordered = _answer_pairs(reference[name], values)
            compared[name] = _compared(pairs, ordered=ordered)
    return compared, rows


def _answer_pairs(
    reference: np.ndarray, values: list[object]
) -> tuple[list[tuple[Outcomes, Outcomes]], bool]:
    if reference.dtype.kind == "f":
        old = reference.reshape(len(reference), -1)[:, :_MOST_ENTRIES]
        new = np.asarray(values, np.float32).reshape(len(values), -1)[:, :_MOST_ENTRIES]
        pairs = []
        for place in range(old.shape[1]):
            edges = edges_of(old[:, place])
            pairs.append((binned(edges, old[:, place]), binned(edges, new[:, place])))
        return pairs, True
    old_labels = [_labels(value) for value in reference.tolist()]
    new_labels = [_labels(value) for value in values]
    known = sorted({label for labels in old_labels for label in labels})
    return [(_label_sample(old_labels, known), _label_sample(new_labels, known))], False


def _labels(value: object) -> list[str]:
    labels = value if isinstance(value, list) else [value]
    return [str(label) for label in labels if label not in (None, "")]


def _label_sample(rows: list[list[str]], known: list[str]) -> Outcomes:
    """Returns how many rows have which label, the last outcome being any other."""
    places = {label: place for place, label in enumerate(known)}
    counts = np.zeros(len(known) + 1)
    for row in rows:
        for label in row:
            counts[places.get(label, len(known))] += 1
    return Outcomes(len(rows), sum(not row for row in rows), counts)
