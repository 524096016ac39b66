"""Scores raw rows with a registered model: every input row gets one output row, or is told why not.

Runs in the command's own process, which loads TensorFlow for it.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flows.console.progress import Reporter
from flows.prediction.prediction_file import (
    Predictions,
    PredictionWriter,
    refuse_output,
    refuse_pictures,
    table_place,
)
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.rules.checks import ERROR_COLUMN
from transforms.contract.errors import BraidError
from transforms.contract.process.events import Progress
from transforms.contract.process.startup import quick_start
from transforms.contract.workspace.files import replacing
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import NOT_ENCODABLE
from transforms.kinds.pictures.bad_pictures import PictureJudge
from transforms.kinds.pictures.refusals import is_refusal

if TYPE_CHECKING:
    from trainer.export.serving import Scorer
    from transforms.reading.batches import RawBatch

_REASON_LENGTH = 300
BATCH_ROWS = 512  # 77 MB of pixels at 224x224x3

Columns = dict[str, np.ndarray]
Score = Callable[[Columns], Columns]


@dataclass(frozen=True)
class Scored:
    """The outcome of scoring a table.

    Attributes:
        rows: Rows written.
        scored: Those of them with a prediction.
        reasons: How many rows have which error, "column: reason", by the most frequent.
    """

    rows: int
    scored: int
    reasons: dict[str, int]

    def failures(self) -> list[str]:
        """Returns lines that say how many rows have an error, and which."""
        if not self.reasons:
            return []
        failed = sum(self.reasons.values())
        told = "all of them scored" if self.scored == self.rows else "not scored"
        width = len(f"{max(self.reasons.values()):,}")
        return [
            f"{failed:,} of them are no rows that training would take, {told}; the column "
            f"'{ERROR_COLUMN}' says why:",
            *(f"  {count:>{width},}  {reason}" for reason, count in self.reasons.items()),
        ]


def score_rows(
    score: Score, columns: Columns, judge: PictureJudge, *, keep_invalid: bool = False
) -> Predictions:
    """Scores rows, halving what the model refuses until the refused rows stand alone.

    Args:
        score: The model.
        columns: Its inputs, each with one entry for every row.
        judge: Says which picture of a refused row is bad, and what the declaration does with it.
        keep_invalid: Whether a row that training would reject is scored as well, without its bad
            pictures.
    """
    count = len(next(iter(columns.values())))
    errors: dict[int, str] = {}
    scored: list[np.ndarray] = []
    parts: list[Columns] = []
    todo = [np.arange(count)] if count else []
    while todo:
        rows = todo.pop()
        whole = len(rows) == count
        given = columns if whole else {name: values[rows] for name, values in columns.items()}
        try:
            part = score(given)
        except Exception as error:
            if not is_refusal(error):
                raise
            if len(rows) > 1:
                middle = len(rows) // 2
                todo += [rows[middle:], rows[:middle]]  # the first half is taken next
                continue
            bad = judge.judge(score, given)
            costs = [picture for picture in bad if picture.costs_row]
            if costs or not bad:
                first = f"{costs[0].column}: {costs[0].reason}" if costs else _reason(error)
                errors[int(rows[0])] = first
            if not bad or (costs and not keep_invalid):
                continue
            part = score(given | {p.input: np.array([b""], object) for p in bad})
        parts.append(part)
        scored.append(rows)
    if len(parts) == 1:
        return _finite(parts[0], scored[0], errors)
    names = parts[0] if parts else {}
    joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return _finite(joined, np.concatenate([np.zeros(0, np.int64), *scored]), errors)


def _finite(columns: Columns, rows: np.ndarray, errors: dict[int, str]) -> Predictions:
    """Returns the predictions without those of rows that have one that is no finite number."""
    keep = np.ones(len(rows), bool)
    for name, values in columns.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            finite = np.isfinite(values.reshape(len(rows), -1)).all(axis=1)
            wrong = dict.fromkeys(rows[~finite].tolist(), f"{name}: prediction_not_finite")
            errors = wrong | errors
            keep &= finite
    if keep.all():
        return Predictions(columns, rows, errors)
    return Predictions({n: values[keep] for n, values in columns.items()}, rows[keep], errors)


def predict(
    pipeline: PipelineSpec,
    workspace: Workspace,
    *,
    source: str,
    output: Path,
    alias: str,
    version: str | None,
    reporter: Reporter,
    keep_invalid: bool = False,
) -> tuple[Scored, str]:
    """Reads raw rows, scores them and writes the rows' names, predictions and errors.

    Args:
        pipeline: The declaration; it says which columns there are and which model is meant.
        workspace: The folder of the registry.
        source: The rows, a path or a URL.
        output: The file to write; nothing is there until all of it is.
        alias: Which registered model.
        version: Its version instead.
        reporter: Is told about progress.
        keep_invalid: Whether rows that training would reject get a prediction beside their error.

    Returns:
        What was scored, and the model's name and version.

    Raises:
        BraidError: There is no such model, the rows cannot be read, or the output is one of them.
    """
    refuse_output(output, source, pipeline.source)
    from flows.steps.registration import find_version, open_registry

    registry = open_registry(pipeline, workspace)
    name = pipeline.registered_name()
    registered = find_version(registry, name, alias=alias, version=version)
    with ExitStack() as stack:
        stack.enter_context(libraries_kept_quiet())
        with quick_start():
            from trainer.export.serving import load

        view = stack.enter_context(reporter.step("predict"))
        scored = score_table(
            load(registry.export_folder(registered)),
            source,
            output,
            lambda done: view.update(Progress(done=done, total=0, unit="rows")),
            allow=pipeline.source.allow,
            keep_invalid=keep_invalid,
        )
    return scored, f"{registered.name} version {registered.version}"


def score_table(
    model: Scorer,
    source: str | Path,
    output: Path,
    on_rows: Callable[[int], None],
    *,
    allow: tuple[str, ...] = (),
    keep_invalid: bool = False,
) -> Scored:
    """Scores the rows of a table and writes the rows' names, predictions and errors.

    The policies are those of the model's own declaration, and it is the reader of the training rows
    that holds them against a row: what training rejects has the same reason here.

    Args:
        model: The loaded export.
        source: The rows, a path or a URL.
        output: The file to write; nothing is there until all of it is.
        on_rows: Is told how many rows are written.
        allow: Where the rows' paths may lead, beside the folder of `source`: `source.allow` as it
            is declared now.
        keep_invalid: Whether rows that training would reject get a prediction beside their error.

    Raises:
        BraidError: The rows cannot be read, there are none, or the output is one of their files.
    """
    from transforms.reading.unlabelled import read_features, row_columns

    refuse_output(output, source, model.pipeline.source)
    refuse_pictures(output, model.pipeline)
    judge = PictureJudge(model.pipeline, with_targets=False)
    with ExitStack() as stack:
        table = table_place(source)
        names = row_columns(model.pipeline, table)
        file = PredictionWriter(stack.enter_context(replacing(output)), output.suffix, names)
        stack.callback(file.close)
        batches = read_features(model.pipeline, table, BATCH_ROWS, allow=allow)
        score = partial(score_batch, model, judge=judge, keep_invalid=keep_invalid)
        for batch, predictions in scored_batches(score, batches):
            file.add(batch.keys, predictions)
            on_rows(file.rows)
        _refuse_empty(source, file.rows)
        file.close()
    return Scored(file.rows, file.scored, dict(file.reasons.most_common()))


def score_batch(
    model: Scorer, batch: RawBatch, *, judge: PictureJudge, keep_invalid: bool
) -> Predictions:
    """Returns the predictions of the rows that training would take, and why not of the others."""
    refused = _not_encodable(model, batch)
    refused |= {row: f"{r.column}: {r.reason}" for row, r in batch.refused.items()}
    if not refused:
        return score_rows(model.score, batch.columns, judge, keep_invalid=keep_invalid)
    taken = np.array([r for r in range(batch.rows) if keep_invalid or r not in refused], np.int64)
    scored = score_rows(model.score, batch.select(taken), judge, keep_invalid=keep_invalid)
    errors = {int(taken[row]): reason for row, reason in scored.errors.items()}
    return Predictions(scored.columns, taken[scored.rows], errors | refused)


def _not_encodable(model: Scorer, batch: RawBatch) -> dict[int, str]:
    """Returns the rows that a user's own kind costs, with the reason that training gives."""
    marked = model.unusable(batch.columns)
    if not marked:
        return {}
    features, raws = model.pipeline.column_features(), model.pipeline.raw_features()
    return {
        int(row): f"{raws[name].columns[0]}: {NOT_ENCODABLE}"
        for name, unusable in marked.items()
        if features[name].invalid == "reject"
        for row in np.flatnonzero(unusable)
    }


def scored_batches(
    score: Callable[[RawBatch], Predictions],
    batches: Iterable[RawBatch],
    threads: int | None = None,
) -> Iterator[tuple[RawBatch, Predictions]]:
    """Yields batches in their order with their predictions, while the next are worked on.

    Args:
        score: Scores one.
        batches: What is read.
        threads: How many are worked on at once, by default one a core.
    """
    # One batch leaves cores idle: decoding pictures, the model and reading take turns.
    threads = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[tuple[RawBatch, Future[Predictions]]] = deque()
        for batch in batches:
            begun.append((batch, pool.submit(score, batch)))
            if len(begun) > threads:
                first, predictions = begun.popleft()
                yield first, predictions.result()
        for rest, predictions in begun:
            yield rest, predictions.result()


def _refuse_empty(source: str | Path, rows: int) -> None:
    if rows == 0:
        raise BraidError(
            str(source),
            expected="rows to score",
            received="an empty table",
            action="Give a table with rows.",
        )


@contextmanager
def libraries_kept_quiet() -> Iterator[None]:
    """Keeps TensorFlow's C++ notes off the terminal: many lines at its start, one a refused value.

    The error column has what they say. `BRAID_DEBUG=1` lets them through.
    """
    if os.environ.get("BRAID_DEBUG"):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _reason(error: Exception) -> str:
    """Returns what the model says of a row, without TensorFlow's account of where it said so."""
    text = str(getattr(error, "message", error)).rpartition("<stack traces unavailable>")[2]
    text = " ".join(text.partition("[[{{")[0].split())
    # The graph refuses a value by converting the reason to a number: see the transform of images.
    return text.rpartition("could not correctly convert string: ")[2][:_REASON_LENGTH]
