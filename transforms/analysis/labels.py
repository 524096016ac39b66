"""Labels that came later, joined by key with the served rows that they are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from transforms.columns.conform import blank_column
from transforms.columns.hashing import key_bytes
from transforms.columns.schema import number_columns
from transforms.columns.texts import utf8_only
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.source import SourceSpec
from transforms.contract.declaration.split import HashSplit
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.expressions import columns_of
from transforms.contract.steps.monitoring import (
    ANSWER_PREFIX,
    KNOWN_PREFIX,
    LABELLED_FILE,
    LOGGED_PREFIX,
    TRUTH_PREFIX,
    VERSION_COLUMN,
    LabelsJob,
    LabelsResult,
    TargetLabels,
)
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.files import replacing
from transforms.contract.workspace.layout import GRAPH_FOLDER
from transforms.contract.workspace.manifest import (
    DECISION_SUFFIX,
    PROBABILITIES_SUFFIX,
    WEIGHT_SUFFIX,
)
from transforms.reading.batches import BatchReader, RawBatch
from transforms.reading.keys import check_no_shared
from transforms.source.formats import pieces, read_piece, read_schema
from transforms.source.scan import Scan, check_schema, open_filesystem, scan

_BATCH_ROWS = 4_096
_SUFFIXES = ("", PROBABILITIES_SUFFIX, DECISION_SUFFIX)


def labels(text: str) -> LabelsResult:
    """Runs a `LabelsJob` given as JSON: writes the answers of the rows that have labels, and these.

    The labels are encoded as in the shards. A target that is a picture is left out, as no log has
    its answers.

    Raises:
        BraidError: A file of the log is damaged; or the labels cannot be read, lack the key or
            every target, or have two rows of one key.
    """
    job = LabelsJob.model_validate_json(text)
    table = _LabelTable(job)
    served = _read_log(job)
    last = {key: place for place, key in enumerate(served.keys) if key}
    truths = _read_truths(job, table, {key: n for n, key in enumerate(last)})
    joined = np.flatnonzero(truths.joined)
    rows = np.fromiter(last.values(), np.int64, len(last))[joined]
    arrays = {ANSWER_PREFIX + n: values[rows] for n, values in served.answers.items()}
    for name in truths.values:
        arrays[KNOWN_PREFIX + name] = truths.known[name][joined]
        arrays[TRUTH_PREFIX + name] = truths.values[name][joined]
    path = Path(job.folder) / LABELLED_FILE
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type] # no name is one of its arguments
    keyless = int((served.keys == b"").sum())
    return LabelsResult(
        answered=len(served.keys),
        other_versions=served.others,
        keyless=keyless,
        repeated=len(served.keys) - keyless - len(last),
        unlabelled=len(last) - len(joined),
        joined=len(joined),
        targets={name: truths.counts(name) for name in truths.known},
        absent=table.absent,
    )


@dataclass
class _Served:
    """The rows that a version answered for.

    Attributes:
        keys: Bytes objects [rows], empty without a key.
        answers: Numbers by output, float32 [rows, ...]; labels, which these decide on, are none.
        others: Rows that other versions answered for.
    """

    keys: np.ndarray
    answers: dict[str, np.ndarray]
    others: int


def _read_log(job: LabelsJob) -> _Served:
    names = [target + suffix for target in _targets(job.pipeline) for suffix in _SUFFIXES]
    keys, answers, others = [np.zeros(0, object)], dict[str, list[np.ndarray]](), 0
    for path in (file for day in job.days for file in sorted(Path(day).glob("[!.]*.parquet"))):
        with reading(path, also=(pa.ArrowInvalid, OSError)):
            table = pq.read_table(path, columns=_columns(job, path, names), partitioning=None)
            is_own = pc.equal(table[VERSION_COLUMN], job.version)
        others += table.num_rows - pc.sum(is_own).as_py() if table.num_rows else 0
        given = {n: LOGGED_PREFIX + n for n in names if LOGGED_PREFIX + n in table.column_names}
        if not given:  # no row of the file has an answer
            continue
        answered = pc.is_valid(table[next(iter(given.values()))])
        table = table.filter(pc.and_(is_own, answered))
        if not table.num_rows:  # of which lists have no second dimension
            continue
        keys.append(_keys(job.pipeline, table))
        for name, column in given.items():
            values = table[column]
            if not _is_text(values.type):
                answers.setdefault(name, []).append(np.asarray(values.to_pylist(), np.float32))
    joined = {name: np.concatenate(parts) for name, parts in answers.items()}
    return _Served(np.concatenate(keys), joined, others)


def _columns(job: LabelsJob, path: Path, names: Sequence[str]) -> list[str]:
    """Returns the columns of a file of the log that are needed: pictures and texts are none."""
    wanted = (*job.pipeline.source.key_columns, VERSION_COLUMN, *(LOGGED_PREFIX + n for n in names))
    return [name for name in pq.read_schema(path).names if name in wanted]


def _targets(pipeline: PipelineSpec) -> dict[str, Any]:
    return {name: spec for name, spec in pipeline.targets.items() if spec.picture_size is None}


def _keys(pipeline: PipelineSpec, table: pa.Table) -> np.ndarray:
    """Returns the rows' keys; an older log has none, as it kept what the model takes alone."""
    names = pipeline.source.key_columns
    if any(name not in table.column_names for name in names):
        return np.full(table.num_rows, b"", object)
    return key_bytes(*(table[name].combine_chunks() for name in names))


def _is_text(type_: pa.DataType) -> bool:
    while pa.types.is_list(type_):
        type_ = type_.value_type
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


class _LabelTable:
    """The table of labels, as a source of the targets that it has.

    Args:
        job: Names it.

    Attributes:
        pipeline: The declaration with the table as its source. What a target lacks or cannot use
            costs its row nothing but this label.
        targets: The targets that it has all columns of.
        absent: The others.

    Raises:
        BraidError: It cannot be read, or lacks the key or every target, or two rows have one key.
    """

    def __init__(self, job: LabelsJob) -> None:
        own = job.pipeline
        key, hidden = own.source.key, own.source.sensitive_key
        source = SourceSpec(path=job.labels, key=key, sensitive_key=hidden)
        scanned = _scanned(source)
        self._files = scanned.files()
        self._filesystem, _ = open_filesystem(source.path)
        names = set(read_schema(None, self._filesystem, self._files[0].path).names)
        targets = _targets(own)
        self._columns = {name: _columns_of(own, name) for name in targets}
        self.targets = tuple(name for name in targets if self._columns[name] <= names)
        self.absent = tuple(name for name in targets if name not in self.targets)
        if not self.targets:
            wanted = sorted(set().union(*self._columns.values()))
            raise DeclarationError(
                f"--labels {job.labels}",
                expected=f"a column of a target: {', '.join(wanted)}",
                received=f"the columns {', '.join(sorted(names))}",
                action="Give the table that has the key and what came true.",
            )
        masked = {
            name: spec.model_copy(update={"missing": "mask", "invalid": "mask"})
            for name, spec in own.targets.items()
        }
        changes = {"source": source, "split": HashSplit(), "targets": masked}
        self.pipeline = own.model_copy(update=changes)
        present = {name: masked[name] for name in self.targets}
        alone = self.pipeline.model_copy(update={"features": {}, "targets": present})
        check_schema(alone, self._files)
        check_no_shared(alone, scanned.partitions)

    def rows_of(self, keys: dict[bytes, int]) -> Iterator[RawBatch]:
        """Yields the labels of some keys."""
        raws = self.pipeline.raw_targets()
        reader = BatchReader(self.pipeline, {raws[name].name for name in self.targets})
        names = self.pipeline.source.key_columns
        columns = sorted(set(names).union(*(self._columns[name] for name in self.targets)))
        numbers = number_columns(self.pipeline)
        for file in self._files:
            for piece in pieces(None, self._filesystem, file.path, file.size):
                for batch in read_piece(
                    None, self._filesystem, piece, columns, _BATCH_ROWS, numbers=numbers
                ):
                    given = key_bytes(*(utf8_only(batch.column(name))[0] for name in names))
                    is_served = np.array([key in keys for key in given], bool)
                    if is_served.any():
                        yield reader.conform(batch.filter(pa.array(is_served)))


def _scanned(source: SourceSpec) -> Scan:
    try:
        return scan(source)
    except BraidError as error:
        raise DeclarationError(
            f"--labels {source.path}",
            expected="a table of labels: a file, a folder or a glob of one format",
            received=error.received,
            action="Give a table with the key and the columns of targets.",
        ) from None


def _columns_of(pipeline: PipelineSpec, target: str) -> set[str]:
    expression = pipeline.targets[target].expression
    raw = pipeline.raw_targets()[target]
    return set(columns_of(expression) if expression else raw.columns)


@dataclass
class _Truths:
    """The labels of served rows, of which there are N keys.

    Attributes:
        joined: Which keys the table has, bool [N].
        values: By target as the shards have it, [N, ...]; 0 where there is none.
        known: By target which of them have a label, bool [N].
        unusable: How many have none, by target and reason.
        unknown: How many are of a class that is not known, by target.
    """

    joined: np.ndarray
    known: dict[str, np.ndarray]
    values: dict[str, np.ndarray] = field(default_factory=dict)
    unusable: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def counts(self, name: str) -> TargetLabels:
        """Returns what there is of a target's labels."""
        invalid = sum(
            rows
            for (own, reason), rows in self.unusable.items()
            if own == name and reason != "missing"
        )
        return TargetLabels(
            labelled=int(self.known[name].sum()),
            missing=self.unusable[name, "missing"],
            invalid=invalid,
            unknown=self.unknown[name],
        )

    def add(self, places: np.ndarray, name: str, values: np.ndarray, known: np.ndarray) -> None:
        """Puts a batch's labels of a target where their keys are."""
        shape = (len(self.joined), *values.shape[1:])
        self.values.setdefault(name, np.zeros(shape, values.dtype))[places] = values
        self.known[name][places] = known


def _read_truths(job: LabelsJob, table: _LabelTable, keys: dict[bytes, int]) -> _Truths:
    manifest = job.manifest()
    read, fed = table.pipeline.raw_targets(), manifest.raw_targets
    raws = {name: read[name] for name in table.targets}
    truths = _Truths(np.zeros(len(keys), bool), {n: np.zeros(len(keys), bool) for n in raws})
    graph = job.folders().transform_folder(job.transform) / GRAPH_FOLDER
    with reading(graph / "saved_model.pb", also=(tf.errors.OpError,)):
        loaded = tf.saved_model.load(str(graph))
    inputs = {raw.name: raw for raw in (*manifest.raw_features.values(), *fed.values())}
    for batch in table.rows_of(keys):
        if not len(batch.keys):
            continue
        places = np.array([keys[key] for key in batch.keys])
        truths.joined[places] = True
        truths.unusable += batch.unusable
        given = {name: blank_column(raw, len(places)) for name, raw in inputs.items()}
        given |= {fed[name].name: batch.columns[raw.name] for name, raw in raws.items()}
        outputs = loaded.transform({name: tf.constant(values) for name, values in given.items()})
        for name, raw in raws.items():
            known = outputs[name + WEIGHT_SUFFIX].numpy() > 0
            truths.add(places, name, outputs[name].numpy(), known)
            truths.unknown[name] += int((~known & _is_there(batch.columns[raw.name])).sum())
    return truths


def _is_there(values: np.ndarray) -> np.ndarray:
    """Returns the rows with a text, bool [rows]; a number is a label wherever it is one."""
    if values.dtype != object:
        return np.zeros(len(values), bool)
    return np.asarray((values != b"").reshape(len(values), -1).any(axis=1))
