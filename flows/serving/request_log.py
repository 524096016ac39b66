"""A log of served rows: sampled, with their answers, as Parquet files by day.

Answers never wait for it: rows are written by a thread, and let go of if it cannot keep up.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

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

TIME_COLUMN = "braid.time"
_FLUSH_SECONDS = 10.0  # a kill loses no more than these
_HELD_BYTES = 64 << 20


@dataclass(frozen=True)
class _Logged:
    at: datetime
    served: Served
    rows: Rows
    places: tuple[int, ...]
    predictions: Predictions


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
    """

    def __init__(self, kept: KeptRows, counters: Counters) -> None:
        self._folder, self._share = kept.folder, kept.share
        self._counters = counters
        self._random = random.Random()
        self._waiting: list[_Logged] = []
        self._bytes = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def add(self, served: Served, rows: Rows, predictions: Predictions) -> None:
        """Takes the rows of a request, of which a share is kept; returns at once."""
        chosen = tuple(r for r in range(rows.count) if self._random.random() < self._share)
        if not chosen:
            return
        size = _size(rows, chosen)
        with self._changed:
            if self._bytes + size > _HELD_BYTES:
                self._counters.logged.labels("dropped").inc(len(chosen))
                return
            self._waiting.append(_Logged(datetime.now(UTC), served, rows, chosen, predictions))
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
                waiting, self._waiting, self._bytes = self._waiting, [], 0
                is_closed = self._is_closed
            self._write(waiting)
            if is_closed:
                return

    def _write(self, waiting: Iterable[_Logged]) -> None:
        parts: dict[tuple[str, str], list[_Logged]] = defaultdict(list)
        for logged in waiting:  # another version may have other columns
            parts[f"{logged.at:%Y-%m-%d}", logged.served.version].append(logged)
        for (day, version), group in parts.items():
            tables = [_table(logged) for logged in group]
            rows = sum(table.num_rows for table in tables)
            name = f"{group[0].at:%H%M%S}-v{version}-{uuid.uuid4().hex[:8]}.parquet"
            try:
                # Numbers of one request may be texts in another, which spell them.
                whole = pa.concat_tables(tables, promote_options="permissive")
                with replacing(self._folder / f"{DAY_FOLDER}{day}" / name) as temporary:
                    pq.write_table(whole, temporary)
            except (OSError, pa.ArrowException) as error:
                self._counters.logged.labels("dropped").inc(rows)
                say(f"{rows:,} served rows could not be logged: {error}", err=True)
            else:
                self._counters.logged.labels("kept").inc(rows)


def _size(rows: Rows, chosen: tuple[int, ...]) -> int:
    """Returns about how much memory some rows hold."""
    values = (column[row] for column in rows.columns.values() for row in chosen)
    return sum(len(v) if isinstance(v, bytes | str) else 64 for v in values)


def _table(logged: _Logged) -> pa.Table:
    """Returns rows as the model's reader takes them, and beside them what was answered."""
    pipeline, places = logged.served.scorer.pipeline, logged.places
    hidden = pipeline.sensitive_columns()
    columns = {
        name: pa.nulls(len(places), array.type) if name in hidden else array
        for name, array in logged.served.reader.table(logged.rows, places).items()
    }
    predictions = logged.predictions
    small = {n: v for n, v in predictions.columns.items() if v.ndim < PICTURE_DIMENSIONS}
    told = Predictions(small, predictions.rows, predictions.errors)
    keys = np.full(logged.rows.count, b"", object)
    answers = prediction_table((), keys, told).take(list(places))
    for name in answers.column_names:
        columns[name if name == ERROR_COLUMN else LOGGED_PREFIX + name] = answers[name]
    columns[VERSION_COLUMN] = pa.repeat(pa.scalar(logged.served.version), len(places))
    columns[TIME_COLUMN] = pa.repeat(pa.scalar(logged.at), len(places))
    return pa.table(columns)
