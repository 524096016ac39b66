"""Scores raw rows with a registered model: every input row gets one output row, or is told why not.

Runs in the command's own process, which loads TensorFlow for it.
"""

from __future__ import annotations

import io
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from PIL import Image

from flows.process import Progress
from flows.progress import Reporter
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.manifest import PROBABILITIES_SUFFIX
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.startup import quick_start
from transforms.contract.targets import ImageTarget
from transforms.contract.workspace import Workspace, replacing
from transforms.refusals import is_refusal, refusal_of

if TYPE_CHECKING:
    from trainer.serving import Scorer

ERROR_COLUMN = "error"
_REASON_LENGTH = 300
_BATCH_ROWS = 512  # 77 MB of pixels at 224x224x3
_SEPARATOR = "|"  # of several labels in one field of a CSV file
_OUTPUT_FORMATS = (".parquet", ".csv")
_PICTURE_DIMENSIONS = 4  # rows, height, width, channels

Columns = dict[str, np.ndarray]
Score = Callable[[Columns], Columns]


@dataclass(frozen=True)
class Scored:
    """What was scored.

    Attributes:
        rows: Rows written.
        failed: Those of them without a prediction.
        model: The model's name and version.
    """

    rows: int
    failed: int
    model: str


@dataclass
class Predictions:
    """The predictions of some rows.

    Attributes:
        columns: A value for each row that could be scored, by output.
        errors: Why a row could not be scored, by its position.
    """

    columns: Columns
    errors: dict[int, str] = field(default_factory=dict)


def score_rows(
    score: Score, columns: Columns, is_refusal: Callable[[Exception], bool]
) -> Predictions:
    """Scores rows, halving what the model refuses until the refused rows stand alone.

    Args:
        score: The model.
        columns: Its inputs, each with one entry for every row.
        is_refusal: Whether an error of the model means that it cannot take some of the rows.
    """
    count = len(next(iter(columns.values())))
    errors: dict[int, str] = {}
    parts: list[Columns] = []
    todo = [np.arange(count)] if count else []
    while todo:
        rows = todo.pop()
        try:
            parts.append(score({name: values[rows] for name, values in columns.items()}))
        except Exception as error:
            if not is_refusal(error):
                raise
            if len(rows) == 1:
                errors[int(rows[0])] = _reason(error)
            else:
                middle = len(rows) // 2
                todo += [rows[middle:], rows[:middle]]  # the first half is taken next
    names = parts[0] if parts else {}
    return Predictions({name: np.concatenate([p[name] for p in parts]) for name in names}, errors)


def predict(
    pipeline: PipelineSpec,
    workspace: Workspace,
    *,
    source: Path,
    output: Path,
    alias: str,
    version: str | None,
    reporter: Reporter,
) -> Scored:
    """Reads raw rows, scores them and writes key, predictions and errors.

    Args:
        pipeline: The declaration; it says which columns there are and which model is meant.
        workspace: The folder of the registry.
        source: The rows.
        output: The file to write; nothing is there until all of it is.
        alias: Which registered model.
        version: Its version instead.
        reporter: Is told about progress.

    Raises:
        BraidError: There is no such model, or the rows cannot be read.
    """
    _refuse_format(output)
    from flows.registration import find_version, open_registry

    registry = open_registry(pipeline, workspace)
    name = pipeline.registered_name()
    registered = find_version(registry, name, alias=alias, version=version)
    with ExitStack() as stack:
        stack.enter_context(_libraries_kept_quiet())
        with quick_start():
            from trainer.serving import load

        view = stack.enter_context(reporter.step("predict"))
        rows, failed = score_table(
            load(registry.export_folder(registered)),
            source,
            output,
            lambda done: view.update(Progress(done=done, total=0, unit="rows")),
            allow=pipeline.source.allow,
        )
    return Scored(rows, failed, f"{registered.name} version {registered.version}")


def score_table(
    model: Scorer,
    source: Path,
    output: Path,
    on_rows: Callable[[int], None],
    *,
    allow: tuple[str, ...] = (),
) -> tuple[int, int]:
    """Scores the rows of a table and writes key, predictions and errors.

    Args:
        model: The loaded export.
        source: The rows.
        output: The file to write; nothing is there until all of it is.
        on_rows: Is told how many rows are written.
        allow: Where the rows' paths may lead, beside the folder of `source`: `source.allow` as it
            is declared now.

    Returns:
        The rows written, and those of them without a prediction.

    Raises:
        BraidError: The rows cannot be read, or there are none.
    """
    from transforms.scoring import read_features

    _refuse_pictures(output, model.pipeline)
    with ExitStack() as stack:
        key = model.pipeline.source.key
        writer = _Writer(stack.enter_context(replacing(output)), output.suffix, key)
        stack.callback(writer.close)
        batches = read_features(model.pipeline, str(source.absolute()), _BATCH_ROWS, allow=allow)
        given = ((batch.keys, batch.columns) for batch in batches)
        for keys, predictions in _scored(model.score, given):
            writer.add(keys, predictions)
            on_rows(writer.rows)
        _refuse_empty(source, writer.rows)
        writer.close()
    return writer.rows, writer.failed


def _scored(
    score: Score, batches: Iterable[tuple[np.ndarray, Columns]]
) -> Iterator[tuple[np.ndarray, Predictions]]:
    """Yields the keys and predictions of batches in their order, while the next are worked on."""
    # One batch leaves cores idle: decoding pictures, the model and reading take turns.
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[tuple[np.ndarray, Future[Predictions]]] = deque()
        for keys, columns in batches:
            begun.append((keys, pool.submit(score_rows, score, columns, is_refusal)))
            if len(begun) > threads:
                first, found = begun.popleft()
                yield first, found.result()
        for rest, found in begun:
            yield rest, found.result()


def _refuse_format(output: Path) -> None:
    if output.suffix not in _OUTPUT_FORMATS:
        raise _other_output(output, f"a name that ends in {' or '.join(_OUTPUT_FORMATS)}")


def _refuse_pictures(output: Path, pipeline: PipelineSpec) -> None:
    for name, target in pipeline.targets.items():
        if isinstance(target, ImageTarget) and output.suffix != ".parquet":
            raise _other_output(
                output, f"a name that ends in .parquet, as '{name}' is a picture in every row"
            )


def _other_output(output: Path, expected: str) -> DeclarationError:
    return DeclarationError(
        f"--output {output}",
        expected=expected,
        received=repr(output.suffix),
        action="Give another name.",
    )


def _refuse_empty(source: Path, rows: int) -> None:
    if rows == 0:
        raise BraidError(
            str(source),
            expected="rows to score",
            received="an empty table",
            action="Give a table with rows.",
        )


@contextmanager
def _libraries_kept_quiet() -> Iterator[None]:
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
    """Returns why the model refuses a row, in the words of a transform's rejects.

    What no picture says is TensorFlow's own message, without its account of where it said so.
    """
    reason = refusal_of(error)
    if reason is not None:
        return reason
    text = str(getattr(error, "message", error)).rpartition("<stack traces unavailable>")[2]
    return " ".join(text.partition("[[{{")[0].split())[:_REASON_LENGTH]


class _Writer:
    """Writes batches of predictions as they come.

    The first prediction tells the columns' types; until then, rows without one are held back.
    """

    def __init__(self, path: Path, suffix: str, key: str) -> None:
        self.rows = 0
        self.failed = 0
        self._path = path
        self._suffix = suffix
        self._key = key
        self._waiting: list[pa.Table] = []
        self._schema: pa.Schema | None = None
        self._file: pq.ParquetWriter | pacsv.CSVWriter | None = None

    def add(self, keys: pa.Array, predictions: Predictions) -> None:
        count = len(keys)
        self.rows += count
        self.failed += len(predictions.errors)
        table = _table(self._key, keys, predictions, flat=self._suffix == ".csv")
        if predictions.columns and self._schema is None:
            self._open(table.schema)
        self._waiting.append(table)
        if self._schema is not None:
            self._flush()

    def close(self) -> None:
        if self._waiting:
            self._open(self._waiting[0].schema)
            self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, schema: pa.Schema) -> None:
        self._schema = schema
        writer = pq.ParquetWriter if self._suffix == ".parquet" else pacsv.CSVWriter
        self._file = writer(self._path, schema)

    def _flush(self) -> None:
        if self._schema is None or self._file is None:
            raise ValueError("the file is opened before rows are written to it")
        for table in self._waiting:
            columns = [
                table[f.name] if f.name in table.column_names else pa.nulls(table.num_rows, f.type)
                for f in self._schema
            ]
            self._file.write_table(pa.table(columns, schema=self._schema))
        self._waiting = []


def _table(key: str, keys: pa.Array, predictions: Predictions, *, flat: bool) -> pa.Table:
    """Returns key, predictions and errors, a row for every key."""
    count = len(keys)
    scored = np.asarray([row for row in range(count) if row not in predictions.errors], dtype=int)
    positions: list[int | None] = [None] * count
    for position, row in enumerate(scored.tolist()):
        positions[row] = position
    take = pa.array(positions, pa.int64())
    columns = {key: pa.array(keys, pa.string())}
    for name, values in predictions.columns.items():
        columns |= {column: array.take(take) for column, array in _arrays(name, values, flat=flat)}
    errors = [predictions.errors.get(row) for row in range(count)]
    columns[ERROR_COLUMN] = pa.array(errors, pa.string())
    return pa.table(columns)


def _png(pixels: np.ndarray) -> bytes:
    """Returns a PNG of class ids as they are, or of values from 0 to 1 as 0 to 255, [H, W, C]."""
    if pixels.dtype.kind == "f":
        pixels = np.clip(np.round(pixels * 255), 0, 255).astype(np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(encoded, "PNG")
    return encoded.getvalue()


def _arrays(name: str, values: np.ndarray, *, flat: bool) -> Iterator[tuple[str, pa.Array]]:
    """Yields an output's columns; CSV has no lists, so there every entry is a column."""
    if values.dtype.kind in "OS":
        yield name, _texts(values, flat=flat)
    elif values.ndim == 1:
        yield name, pa.array(values)
    elif values.ndim == _PICTURE_DIMENSIONS:
        # The probabilities of every class at every pixel are too much for a table.
        if not name.endswith(PROBABILITIES_SUFFIX):
            yield name, pa.array([_png(pixels) for pixels in values], pa.binary())
    elif flat:
        for place in np.ndindex(values.shape[1:]):
            yield "_".join([name, *map(str, place)]), pa.array(values[:, *place])
    else:
        type_ = pa.from_numpy_dtype(values.dtype)
        for _ in values.shape[1:]:
            type_ = pa.list_(type_)
        yield name, pa.array(values.tolist(), type_)


def _texts(values: np.ndarray, *, flat: bool) -> pa.Array:
    """Returns one text a row, or the list of a row's texts without the empty ones."""
    if values.ndim == 1:
        return pa.array([str(value) for value in values], pa.string())
    lists = [[str(value) for value in row if value] for row in values]
    if flat:
        return pa.array([_SEPARATOR.join(row) for row in lists], pa.string())
    return pa.array(lists, pa.list_(pa.string()))
