"""The contract between transforms and trainer: what was frozen, and what lies in the shards."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import pairwise
from typing import Literal, Protocol

from transforms.contract.columns.features import RawColumn
from transforms.contract.declaration.split import SplitName
from transforms.contract.spec import Spec
from transforms.contract.workspace.partition import PartitionId

PROBABILITIES_SUFFIX = "__probabilities"  # of a target with classes: every class's, when served
SPREAD_SUFFIX = "__spread"  # of a target: how far its members' answers lie apart, when served
DECISION_SUFFIX = "__decision"  # of a target with a threshold: 1 for yes, when served
WEIGHT_SUFFIX = "__weight"  # of a target: 1 for a row with a label, 0 for a masked one
RAW_TARGET_PREFIX = "target/"  # of a transformed target beside the raw columns of a test row
MISSING_SUFFIX = "__missing"  # of a feature: 1 for a row whose value was missing
# Of a feature of a user's own kind: 1 for a row whose value it cannot encode. Not in the shards.
UNUSABLE_SUFFIX = "__unusable"
NOT_ENCODABLE = "not_encodable"  # the reason of such a row's reject
# Of stored values that are scored at a time; what a network makes of them is many times that.
_BATCH_BYTES = 8 * 1024 * 1024


class StoredFeature(Spec):
    """One feature of a shard's `tf.Example` records.

    Attributes:
        name: Its name in the record, and of the model's input.
        role: What the model does with it.
        kind: The declared kind that it comes from.
        dtype: Its element type once parsed; pixels are "uint8".
        shape: Its shape in a row, without the batch.
        storage: How it lies in the record: "values", or a picture's "raw", "jpeg" or "png" bytes.
            What is "drawn" is in no record: it is noise.
        cardinality: The number of ids, for features that are ids.
        first_term: The id of the first term, for ids that a vocabulary gave; `read_terms` has the
            terms. Lower ids stand for no term, such as a missing value, and those beyond the last
            term are buckets of unknown terms.
        distribution: What noise is drawn from.
        term_weights: A weight per id, for texts that declare them: the smooth inverse document
            frequency ln((1 + n) / (1 + d)) + 1 of a term that d of the n training rows have. The
            padding's is 0, and an unknown term counts as one that no row has.
        padded: Whether a row may end in padding along its first axis: NaN in every channel.
        edges: Of each number in a row, rising values between which a piece of the training rows
            lies, on the stored scale: for encoders that treat the pieces apart. A column of one
            value has none.
    """

    name: str
    role: Literal["feature", "indicator", "target", "weight"]
    kind: str
    dtype: Literal["int64", "float32", "uint8"]
    shape: tuple[int, ...]
    storage: Literal["values", "raw", "jpeg", "png", "drawn"] = "values"
    cardinality: int | None = None
    first_term: int | None = None
    distribution: Literal["normal", "uniform"] | None = None
    term_weights: tuple[float, ...] = ()
    padded: bool = False
    edges: tuple[tuple[float, ...], ...] = ()

    def row_bytes(self) -> int:
        """Returns the size of a row's values in memory, in bytes."""
        size = {"int64": 8, "float32": 4, "uint8": 1}[self.dtype]
        for dimension in self.shape:
            size *= dimension
        return size


class TargetStatistics(Spec):
    """Statistics of a target over the training rows.

    Numbers are stored on the scale that is learnt. That of the curve "linear" is
    (x - mean) / scale; that of "log" is (sign(x) * log(1 + |x|) - mean) / scale; that of "quantile"
    goes straight from one of the knots' scores to the next, and beyond the knots on by 1 / scale.

    Attributes:
        labels: The classes, in the order of their ids; empty for numbers.
        counts: Training rows per class, in the same order.
        mean: One value, or one for each entry of the last axis.
        scale: Likewise.
        curve: What numbers went through before they were stored.
        knots: Of "log" and "quantile", numbers in the column's unit, never falling: from the least
            of the training rows to the greatest, for each entry of the last axis.
        scores: Where the knots are on the scale that is learnt, likewise.
    """

    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    curve: Literal["linear", "log", "quantile"] = "linear"
    knots: tuple[tuple[float, ...], ...] = ()
    scores: tuple[tuple[float, ...], ...] = ()

    def steepest(self) -> tuple[float, ...]:
        """Returns what one step on the learnt scale is at most in the column's unit.

        That of "log" is so for numbers about 0, and grows with them.
        """
        if self.curve != "quantile":
            return self.scale
        return tuple(map(_steepest, self.knots, self.scores, self.scale))


def _steepest(knots: tuple[float, ...], scores: tuple[float, ...], beyond: float) -> float:
    rises = zip(pairwise(knots), pairwise(scores), strict=True)
    return max([beyond, *((x[1] - x[0]) / (z[1] - z[0]) for x, z in rises if z[1] > z[0])])


class TransformManifest(Spec):
    """One frozen transform: `transforms/<fingerprint>/transform.json`.

    Beside it lie `graph/`, a SavedModel whose `transform` takes every raw column and whose
    `transform_features` takes those of the features only, with a vocabulary as the asset
    `<feature>.txt`, and `statistics/`.

    Attributes:
        fingerprint: The transform's name.
        declaration: The fingerprint of all that the declaration says of the data.
        raw_features: The graph's input of every feature, by feature name.
        raw_targets: The graph's input of every target, by target name.
        stored: What the shards hold, in a fixed order, and the noise beside it.
        targets: The statistics of every target.
        rows: Training rows that were analyzed.
        partitions: The source partitions that were analyzed, with their fingerprints.
        unused: What the graph takes and the model does not.
        base: The transform whose ids it keeps, if its vocabularies are stable.
        warnings: What a person should know of a feature's column, as a sentence by feature name.
    """

    fingerprint: str
    declaration: str
    raw_features: dict[str, RawColumn]
    raw_targets: dict[str, RawColumn]
    stored: tuple[StoredFeature, ...]
    targets: dict[str, TargetStatistics]
    rows: int
    partitions: dict[str, str]
    unused: tuple[RawColumn, ...] = ()
    base: str | None = None
    warnings: dict[str, str] = {}

    def of_model(self, features: Container[str], targets: Container[str]) -> TransformManifest:
        """Returns the manifest as a model sees it that uses some features and targets."""
        raws = {name: raw for name, raw in self.raw_features.items() if name in features}
        used = {raw.name for raw in raws.values()}
        others = {raw.name: raw for raw in self.raw_features.values() if raw.name not in used}
        return self.model_copy(
            update={
                "raw_features": raws,
                "raw_targets": {n: raw for n, raw in self.raw_targets.items() if n in targets},
                "stored": tuple(
                    stored
                    for stored in self.stored
                    if stored.name.partition("__")[0]
                    in (features if stored.role in ("feature", "indicator") else targets)
                ),
                "targets": {n: known for n, known in self.targets.items() if n in targets},
                "unused": tuple(others.values()),
            }
        )

    def partition_ids(self) -> set[PartitionId]:
        """Returns the partitions that it was frozen on."""
        return {PartitionId(*item) for item in self.partitions.items()}

    def inputs(self) -> tuple[StoredFeature, ...]:
        """Returns what the model takes."""
        return tuple(s for s in self.stored if s.role in ("feature", "indicator"))

    def batch_rows(self, most: int) -> int:
        """Returns how many rows to score at a time: fewer than `most` if their pictures are big."""
        row_bytes = sum(stored.row_bytes() for stored in self.stored)
        return max(1, min(most, _BATCH_BYTES // row_bytes))

    def raw_inputs(self) -> tuple[RawColumn, ...]:
        """Returns the columns that the exported model takes, each once."""
        return tuple({raw.name: raw for raw in self.raw_features.values()}.values())

    def in_records(self) -> tuple[StoredFeature, ...]:
        """Returns what the shards' records hold."""
        return tuple(s for s in self.stored if s.storage != "drawn")

    def noise(self) -> tuple[StoredFeature, ...]:
        """Returns what no record holds, as it is drawn."""
        return tuple(s for s in self.stored if s.storage == "drawn")

    def serving_inputs(self) -> tuple[RawColumn, ...]:
        """Returns all that the exported model takes: the columns, then the noise."""
        noise = (RawColumn(name=s.name, dtype="float32", shape=s.shape) for s in self.noise())
        return (*self.raw_inputs(), *noise)


class Shard(Spec):
    """One committed TFRecord file.

    Attributes:
        file: Its name in the partition's folder.
        split: The split of its rows.
        content: "stored" is the transformed features of `TransformManifest.stored`; "raw" is the
            same test rows as the exported model takes them, with their transformed targets.
        rows: Records in the file.
        bytes: The file's size.
        checksum: The XXH3 hash of the file, in hex.
    """

    file: str
    split: SplitName
    content: Literal["stored", "raw"] = "stored"
    rows: int
    bytes: int
    checksum: str


class RejectCount(Spec):
    """The number of rows that one reason cost, with an example.

    Attributes:
        column: The column whose value is to blame.
        reason: Its short name, such as "not_finite".
        rows: How many there are.
        example_key: The key of one of them.
        example_file: The file that it is in.
    """

    column: str
    reason: str
    rows: int
    example_key: str
    example_file: str


class ReplacedCount(Spec):
    """The number of values of a column that were unusable and replaced by the feature's default.

    Attributes:
        column: The column.
        reason: Why they were unusable, such as "missing".
        rows: How many there are.
    """

    column: str
    reason: str
    rows: int


class ShardManifest(Spec):
    """One committed partition: `shards/<transform>/<partition>/manifest.json`, written last.

    Attributes:
        transform: The fingerprint of the transform that wrote the shards.
        partition: The partition's name, such as "day=2026-01-31".
        partition_fingerprint: The fingerprint of the source files that were read.
        shards: Every file, in a fixed order.
        rows: Source rows that were read and are not left out.
        left_out: Source rows that `source.where` leaves out.
        rejects: Rows that could not be used, per column and reason.
        replaced: Values that were replaced, per column and reason.
    """

    transform: str
    partition: str
    partition_fingerprint: str
    shards: tuple[Shard, ...]
    rows: int
    left_out: int = 0
    rejects: tuple[RejectCount, ...] = ()
    replaced: tuple[ReplacedCount, ...] = ()

    def rows_in(self, split: str) -> int:
        """Returns the number of rows that a split has in this partition."""
        return sum(s.rows for s in self.shards if s.split == split and s.content == "stored")

    def rejected(self) -> int:
        """Returns the number of rejected rows."""
        return sum(reject.rows for reject in self.rejects)


class CountsRows(Protocol):
    """Anything that counts its rejected rows and replaced values: a partition, or a part of one."""

    @property
    def rejects(self) -> tuple[RejectCount, ...]:
        """Rejected rows, per column and reason."""
        ...

    @property
    def replaced(self) -> tuple[ReplacedCount, ...]:
        """Replaced values, per column and reason."""
        ...


def total_rejects(parts: Iterable[CountsRows]) -> list[RejectCount]:
    """Returns the rejects of all parts, the most frequent reason first."""
    totals: dict[tuple[str, str], RejectCount] = {}
    for reject in (reject for part in parts for reject in part.rejects):
        place = (reject.column, reject.reason)
        rows = totals[place].rows if place in totals else 0
        example = totals.get(place, reject)
        totals[place] = example.model_copy(update={"rows": rows + reject.rows})
    return sorted(totals.values(), key=lambda r: (-r.rows, r.column, r.reason))


def total_replaced(parts: Iterable[CountsRows]) -> list[ReplacedCount]:
    """Returns the replaced values of all parts, the most frequent reason first."""
    totals: dict[tuple[str, str], int] = {}
    for item in (item for part in parts for item in part.replaced):
        place = (item.column, item.reason)
        totals[place] = totals.get(place, 0) + item.rows
    counts = [ReplacedCount(column=c, reason=r, rows=n) for (c, r), n in totals.items()]
    return sorted(counts, key=lambda r: (-r.rows, r.column, r.reason))
