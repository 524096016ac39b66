"""A log of served rows: sampled, with their answers, as Parquet files by day.

Answers never wait for it: rows are written by a thread, and let go of if it cannot keep up.
"""

from __future__ import annotations

import random
import sys
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.console.harmless import say
from flows.prediction.prediction_file import PICTURE_DIMENSIONS, Predictions, prediction_table
from flows.serving.counters import Counters
from flows.serving.rows import Rows
from flows.serving.served import Served
from transforms.contract.declaration.rules.checks import ERROR_COLUMN
from transforms.contract.steps.monitoring import DAY_FOLDER, LOGGED_PREFIX, VERSION_COLUMN
from transforms.contract.workspace.files import replacing

_TIME_COLUMN = "braid.time"
_FLUSH_SECONDS = 10.0  # a kill loses no more than these
_HELD_BYTES = 64 << 20


@dataclass(frozen=True)
class _Logged:
    """The kept rows of a request, without the others.

    Attributes:
        at: When they were answered.
        served: What answered.
        rows: The rows.
        predictions: Their answers but pictures.
        size: How many bytes they hold, about.
    """

    at: datetime
    served: Served
    rows: Rows
    predictions: Predictions
    size: int


@dataclass(frozen=True)
class KeptRows:
    """The choice of served rows to keep.

    Attributes:
        folder: Where the days are.
        share: Of the rows that are kept, from 0 to 1.
    """

    folder: Path
    share: float = 1.0


class RequestLog:
    """The log of one server.

    Values of sensitive columns are left out, and so are answers that are pictures.

    Args:
        kept: Which rows it keeps, and where.
        counters: Are told how many.
        draws: Decide on the rows of a share; by default others in every process.
    """

    def __init__(
        self, kept: KeptRows, counters: Counters, draws: random.Random | None = None
    ) -> None:
        self._folder, self._share = kept.folder, kept.share
        self._counters = counters
        self._random = draws or random.Random()
        self._waiting: list[_Logged] = []
        self._bytes = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def add(self, served: Served, rows: Rows, predictions: Predictions) -> None:
        """Takes the rows of a request, of which a share is kept; returns at once."""
        chosen = [r for r in range(rows.count) if self._random.random() < self._share]
        if not chosen:
            return
        # What is not kept of a request is let go of with it.
        rows, predictions = rows.at(chosen), _without_pictures(predictions).at(chosen)
        size = _size(rows, predictions)
        with self._changed:
            if self._bytes + size > _HELD_BYTES:
                self._counters.logged.labels("dropped").inc(rows.count)
                return
            self._waiting.append(_Logged(datetime.now(UTC), served, rows, predictions, size))
            self._bytes += size

    def close(self) -> None:
        """Writes what waits, and ends the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._is_closed:
                    self._changed.wait(_FLUSH_SECONDS)
                waiting, self._waiting = self._waiting, []
                is_closed = self._is_closed
            self._write(waiting)
            with self._changed:
                self._bytes -= sum(logged.size for logged in waiting)
            if is_closed:
                return

    def _write(self, waiting: Iterable[_Logged]) -> None:
        parts: dict[tuple[str, str], list[_Logged]] = defaultdict(list)
        for logged in waiting:  # another version may have other columns
            parts[f"{logged.at:%Y-%m-%d}", logged.served.version].append(logged)
        for (day, version), group in parts.items():
            rows = sum(logged.rows.count for logged in group)
            name = f"{group[0].at:%H%M%S}-v{version}-{uuid.uuid4().hex[:8]}.parquet"
            try:
                table = _table(group)
                with replacing(self._folder / f"{DAY_FOLDER}{day}" / name) as temporary:
                    pq.write_table(table, temporary)
            except Exception as error:  # whatever it is, the next rows are written
                self._counters.logged.labels("dropped").inc(rows)
                say(f"{rows:,} served rows could not be logged: {error}", err=True)
            else:
                self._counters.logged.labels("kept").inc(rows)


def _without_pictures(predictions: Predictions) -> Predictions:
    small = {n: v for n, v in predictions.columns.items() if v.ndim < PICTURE_DIMENSIONS}
    return Predictions(small, predictions.rows, predictions.errors)


def _size(rows: Rows, predictions: Predictions) -> int:
    """Returns about how many bytes some rows and their answers hold."""
    held = sum(map(_held, rows.columns.values())) + sum(map(_held, predictions.errors.values()))
    for values in predictions.columns.values():
        held += values.nbytes
        if values.dtype == object:
            held += sum(map(_held, values.flat))
    return held


def _held(value: Any) -> int:
    entries = sum(map(_held, value)) if isinstance(value, list) else 0
    return sys.getsizeof(value) + entries


def _table(group: Sequence[_Logged]) -> pa.Table:
    """Returns rows of one version as its reader takes them, their keys, and what was answered."""
    served = group[0].served
    hidden = served.scorer.pipeline.sensitive_columns()
    # One table of all: numbers of one request may be texts, which spell them, in another.
    rows = [logged.rows for logged in group]
    columns = {
        name: pa.nulls(len(array), array.type) if name in hidden else array
        for name, array in (served.reader.table(rows) | served.reader.key(rows)).items()
    }
    parts = [
        prediction_table((), np.full(logged.rows.count, b"", object), logged.predictions)
        for logged in group
    ]
    answers = pa.concat_tables(parts, promote_options="default")
    for name in answers.column_names:
        columns[name if name == ERROR_COLUMN else LOGGED_PREFIX + name] = answers[name]
    columns[VERSION_COLUMN] = pa.repeat(pa.scalar(served.version), answers.num_rows)
    times = [logged.at for logged in group for _ in range(logged.rows.count)]
    columns[_TIME_COLUMN] = pa.array(times)
    return pa.table(columns)
