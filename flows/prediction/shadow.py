"""Shadow scoring: a version beside the champion on the same rows, and how their answers differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.console.progress import Reporter, StepView
from flows.prediction.predict import libraries_kept_quiet, score_table
from flows.prediction.prediction_file import refuse_output, table_place
from trainer.registry.registry import ModelRegistry
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.rules.checks import ERROR_COLUMN
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.process.events import Progress
from transforms.contract.process.startup import quick_start
from transforms.contract.workspace.files import replacing

_CHAMPION_PREFIX, _SHADOW_PREFIX = "champion.", "shadow."
_MOST_CHANGES = 5  # of a label into another
_BATCH_ROWS = 10_000
_YES = 0.5


@dataclass
class Difference:
    """The difference of two models' answers in one column.

    Attributes:
        name: The column's.
        rows: Rows with an answer of both.
        same: Those with equal answers; numbers are equal to a millionth of their size.
        total: Of numbers the sum of absolute differences, over all entries of a row's list.
        entries: How many numbers that is of.
        largest: Of numbers the largest difference.
        at: The key of its row.
        crossed: Of a binary target's probabilities, rows on different sides of a half.
        changes: Of labels how often one became another, (champion's, version's).
    """

    name: str
    rows: int = 0
    same: int = 0
    total: float = 0.0
    entries: int = 0
    largest: float = 0.0
    at: str | None = None
    crossed: int | None = None
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, keys: Sequence[str], champion: list[Any], version: list[Any]) -> None:
        """Takes the answers of some rows; None is no answer."""
        for key, first, second in zip(keys, champion, version, strict=True):
            if first is None or second is None:
                continue
            self.rows += 1
            if isinstance(first, float | list) and _is_numbers(first):
                self._add_numbers(key, np.asarray(first, float), np.asarray(second, float))
            else:
                self.same += first == second
                if first != second and not isinstance(first, bytes):
                    self.changes[_label(first), _label(second)] += 1

    def _add_numbers(self, key: str, first: np.ndarray, second: np.ndarray) -> None:
        if first.shape != second.shape:  # other classes, or another length
            return
        apart = np.abs(first - second)
        self.same += bool(np.allclose(first, second, rtol=1e-6, atol=1e-9))
        self.total += float(apart.sum())
        self.entries += apart.size
        if apart.size and (self.at is None or apart.max() > self.largest):
            self.largest, self.at = float(apart.max()), key
        if self.crossed is not None:
            self.crossed += bool((first >= _YES) != (second >= _YES))

    @property
    def mean(self) -> float:
        """The mean absolute difference of numbers; NaN of what are none."""
        return self.total / self.entries if self.entries else math.nan

    def commonest(self) -> list[tuple[tuple[str, str], int]]:
        """Returns the most frequent changes of a label."""
        return self.changes.most_common(_MOST_CHANGES)


@dataclass(frozen=True)
class Shadowed:
    """The outcome of scoring rows with two models.

    Attributes:
        champion: The champion's version.
        version: The other one.
        rows: How many.
        differences: By column of both.
        only: Rows that only one of them answers, "champion" or "version".
        missing: Columns that only one of them has.
        unlike: Columns that have values of another kind in each, as the target's kind changed.
    """

    champion: str
    version: str
    rows: int
    differences: tuple[Difference, ...]
    only: Counter[str]
    missing: tuple[str, ...]
    unlike: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """A version's answers for the rows of a table.

    Attributes:
        version: The version.
        path: Their Parquet file, as `braid predict` writes it.
        key: Its columns that name the rows.
        binary: Its columns that are probabilities of a binary target.
    """

    version: str
    path: Path
    key: tuple[str, ...]
    binary: frozenset[str]

    @property
    def schema(self) -> pa.Schema:
        """The columns of the answers."""
        others = {*self.key, ERROR_COLUMN}
        return pa.schema([f for f in pq.read_schema(self.path) if f.name not in others])


def shadow(
    pipeline: PipelineSpec,
    registry: ModelRegistry,
    champion: RegisteredVersion,
    version: RegisteredVersion,
    *,
    source: str,
    output: Path | None,
    reporter: Reporter,
) -> Shadowed:
    """Scores rows with both models and compares their answers row by row.

    Each judges the rows by the declaration that it was trained with.

    Args:
        pipeline: The declaration; `source.allow` is the one that counts now.
        registry: Where both are registered.
        champion: The version with the alias.
        version: The other one.
        source: The rows, as `braid predict` takes them.
        output: A Parquet file for key and answers of both; None writes none.
        reporter: Is told about progress.

    Raises:
        BraidError: An export is not there, or the rows cannot be read.
    """
    with TemporaryDirectory() as scratch, libraries_kept_quiet():
        from transforms.reading.unlabelled import row_columns

        with quick_start():
            from trainer.export.serving import load
        answers = []
        for name, item in (("champion", champion), ("version", version)):
            path = Path(scratch) / f"{name}.parquet"
            with reporter.step(name) as view:
                model = load(registry.export_folder(item))
                on_rows = partial(_show, view)
                score_table(model, source, path, on_rows, allow=pipeline.source.allow)
            key = row_columns(model.pipeline, table_place(source))
            answers.append(Answers(item.version, path, key, _binary(model.pipeline)))
        compared = compare(*answers)
        if output is not None:
            _write_both(answers, output)
        return compared


def refuse_shadow_output(output: Path, source: str, pipeline: PipelineSpec) -> None:
    """Refuses to write the answers of both where they would be read, or as CSV.

    Raises:
        DeclarationError: The output is no Parquet file, or would be one of the rows' files.
    """
    refuse_output(output, source, pipeline.source)
    if output.suffix != ".parquet":
        raise DeclarationError(
            f"--output {output}",
            expected="a name that ends in .parquet",
            received=repr(output.suffix),
            action="Give another name.",
        )


def _show(view: StepView, done: int) -> None:
    view.update(Progress(done=done, total=0, unit="rows"))


def _binary(pipeline: PipelineSpec) -> frozenset[str]:
    return frozenset(name for name, spec in pipeline.targets.items() if spec.kind == "binary")


def compare(champion: Answers, version: Answers) -> Shadowed:
    """Compares two versions' answers for the same rows in the same order.

    Raises:
        BraidError: They are for other rows, as the models cut other windows or name rows otherwise.
    """
    first, second = champion.schema, version.schema
    both = [name for name in first.names if name in second.names]
    unlike = tuple(
        name for name in both if _sort_of(first.field(name)) != _sort_of(second.field(name))
    )
    binary = champion.binary & version.binary
    differences = {
        name: Difference(name, crossed=0 if name in binary else None)
        for name in both
        if name not in unlike
    }
    only: Counter[str] = Counter()
    rows = 0
    for left, right in zip_longest(_tables(champion), _tables(version)):
        keys = _keys(left, champion.key)
        if champion.key != version.key or keys != _keys(right, version.key):
            raise _other_rows(champion, version)
        rows += len(keys)
        shown = [", ".join(part or "" for part in key) for key in keys]
        for name, difference in differences.items():
            difference.add(shown, left[name].to_pylist(), right[name].to_pylist())
        for name in both[:1]:  # a row has all of its answers, or none
            pairs = zip(left[name].is_valid(), right[name].is_valid(), strict=True)
            for one, other in ((a.as_py(), b.as_py()) for a, b in pairs):
                only["champion"] += one and not other
                only["version"] += other and not one
    return Shadowed(
        champion.version,
        version.version,
        rows,
        tuple(differences.values()),
        only,
        missing=tuple(sorted(set(first.names) ^ set(second.names))),
        unlike=unlike,
    )


def _sort_of(column: pa.Field) -> str:
    """Returns of what sort a column's values are: numbers of any size are of one."""
    lists, values = 0, column.type
    while pa.types.is_list(values):
        lists, values = lists + 1, values.value_type
    is_number = pa.types.is_integer(values) or pa.types.is_floating(values)
    return "list of " * lists + ("number" if is_number else str(values))


def _keys(table: pa.Table | None, names: Sequence[str]) -> list[tuple[str | None, ...]]:
    """Returns the parts of each row's key."""
    if table is None:
        return []
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def _other_rows(champion: Answers, version: Answers) -> BraidError:
    return BraidError(
        f"version {version.version}",
        expected=f"answers for the rows that version {champion.version} answers for",
        received="other keys",
        action="Its declaration has another key or cuts other windows out of a table, so that its "
        "rows are others: score with `braid predict --version`.",
    )


def _tables(answers: Answers) -> Iterator[pa.Table]:
    """Yields the rows of answers, as many at a time wherever the file's row groups end."""
    file = pq.ParquetFile(answers.path)
    waiting = file.schema_arrow.empty_table()
    for batch in file.iter_batches(_BATCH_ROWS):
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= _BATCH_ROWS:
            yield waiting.slice(0, _BATCH_ROWS)
            waiting = waiting.slice(_BATCH_ROWS)
    yield waiting


def _write_both(both: Sequence[Answers], output: Path) -> None:
    """Writes the key, and the champion's answers before the other version's."""
    columns: dict[str, pa.ChunkedArray] = {}
    for prefix, own in zip((_CHAMPION_PREFIX, _SHADOW_PREFIX), both, strict=True):
        table = pq.read_table(own.path)
        columns |= {
            name if name in own.key else prefix + name: table[name] for name in table.column_names
        }
    with replacing(output) as temporary:
        pq.write_table(pa.table(columns), temporary)


def _is_numbers(value: Any) -> bool:
    while isinstance(value, list):
        if not value:
            return False
        value = value[0]
    return isinstance(value, float)


def _label(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
