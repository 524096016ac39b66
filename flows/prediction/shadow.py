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
from flows.prediction.prediction_file import refuse_output
from trainer.registry.registry import ModelRegistry
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.rules.checks import ERROR_COLUMN
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.process.events import Progress
from transforms.contract.process.startup import quick_start
from transforms.contract.workspace.files import replacing

CHAMPION_PREFIX, SHADOW_PREFIX = "champion.", "shadow."
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

    def add(self, keys: Sequence[str | None], champion: list[Any], version: list[Any]) -> None:
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

    def _add_numbers(self, key: str | None, first: np.ndarray, second: np.ndarray) -> None:
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
    """

    champion: str
    version: str
    rows: int
    differences: tuple[Difference, ...]
    only: Counter[str]
    missing: tuple[str, ...]


def shadow(
    pipeline: PipelineSpec,
    registry: ModelRegistry,
    champion: RegisteredVersion,
    version: RegisteredVersion,
    *,
    source: Path,
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
        with quick_start():
            from trainer.export.serving import load
        files = []
        for name, item in (("champion", champion), ("version", version)):
            files.append(Path(scratch) / f"{name}.parquet")
            with reporter.step(name) as view:
                model = load(registry.export_folder(item))
                on_rows = partial(_show, view)
                score_table(model, source, files[-1], on_rows, allow=pipeline.source.allow)
        if output is not None:
            _write_both(files, output)
        return compare(files[0], files[1], champion.version, version.version, pipeline)


def refuse_shadow_output(output: Path, source: Path, pipeline: PipelineSpec) -> None:
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


def compare(
    champion: Path, version: Path, first: str, second: str, pipeline: PipelineSpec
) -> Shadowed:
    """Compares two files of predictions of the same rows in the same order.

    Args:
        champion: The champion's, as `braid predict` writes it.
        version: The other one's.
        first: The champion's version.
        second: The other version.
        pipeline: The declaration; which targets are binary.

    Raises:
        BraidError: They are of other rows, as the models cut other windows.
    """
    key = pq.read_schema(champion).names[0]
    names = [set(pq.read_schema(path).names) - {key, ERROR_COLUMN} for path in (champion, version)]
    binary = {name for name, target in pipeline.targets.items() if target.kind == "binary"}
    differences = {
        name: Difference(name, crossed=0 if name in binary else None)
        for name in pq.read_schema(champion).names
        if name in names[0] & names[1]
    }
    only: Counter[str] = Counter()
    rows = 0
    for left, right in zip_longest(_tables(champion), _tables(version)):
        keys = [] if left is None else left[key].to_pylist()
        if right is None or keys != right[key].to_pylist():
            raise BraidError(
                f"version {second}",
                expected=f"answers for the rows that version {first} answers for",
                received="other keys",
                action="Its declaration cuts other windows out of a table, so that its rows are "
                "others: score with `braid predict --version`.",
            )
        rows += len(keys)
        for name, difference in differences.items():
            difference.add(keys, left[name].to_pylist(), right[name].to_pylist())
        for name in list(differences)[:1]:  # a row has all of its answers, or none
            for one, other in zip(left[name].to_pylist(), right[name].to_pylist(), strict=True):
                only["champion"] += one is not None and other is None
                only["version"] += one is None and other is not None
    missing = tuple(sorted(names[0] ^ names[1]))
    return Shadowed(first, second, rows, tuple(differences.values()), only, missing)


def _tables(path: Path) -> Iterator[pa.Table]:
    """Yields a file's rows, as many at a time wherever its row groups end."""
    file = pq.ParquetFile(path)
    waiting = file.schema_arrow.empty_table()
    for batch in file.iter_batches(_BATCH_ROWS):
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= _BATCH_ROWS:
            yield waiting.slice(0, _BATCH_ROWS)
            waiting = waiting.slice(_BATCH_ROWS)
    yield waiting


def _write_both(files: Sequence[Path], output: Path) -> None:
    champion, version = (pq.read_table(path) for path in files)
    key = champion.column_names[0]
    columns = {key: champion[key]}
    for prefix, table in ((CHAMPION_PREFIX, champion), (SHADOW_PREFIX, version)):
        columns |= {prefix + name: table[name] for name in table.column_names[1:]}
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
