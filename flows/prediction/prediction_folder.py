"""A folder of predictions: a part a unit of work, by partition, and the records beside them.

    day=2026-01-01/part-KEY-00000.parquet                 what is read
    _braid/folder.json                                    whose predictions these are
    _braid/partitions/day=2026-01-01/KEY/plan.json        how the partition was cut into units
    _braid/partitions/day=2026-01-01/KEY/00000-ATTEMPT    a unit's part, until all units are done
    _braid/partitions/day=2026-01-01/KEY/00000.json       its receipt: the unit is done
    _braid/partitions/day=2026-01-01/KEY/done.json        the partition is done

KEY names the model's version and the partition's files, so that one listing of the records tells
what is done. What begins with "_" is no part of a table to Arrow, Spark and Braid.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from flows.prediction.folder_files import FolderFiles
from flows.prediction.score_job import Scoring
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import DeclarationError
from transforms.contract.spec import Spec
from transforms.contract.workspace.layout import folder_name_of
from transforms.contract.workspace.partition import Partition
from transforms.source.scan import WHOLE_TABLE

_RECORDS = "_braid"
_OWNER = f"{_RECORDS}/folder.json"
_PARTITIONS = f"{_RECORDS}/partitions"
_PART = re.compile(r"part-([0-9a-f]{16})-[0-9]{5,}\.parquet")


class Owner(Spec):
    """Whose predictions a folder has.

    Attributes:
        pipeline: The name in the declaration.
        model: The registered model's.
        partition_by: What its parts are partitioned by, as JSON; "" is nothing.
    """

    pipeline: str
    model: str
    partition_by: str

    def in_words(self) -> str:
        """Returns it as a part of a sentence."""
        by = f", partitioned by {self.partition_by}" if self.partition_by else ", not partitioned"
        return f"model '{self.model}' of pipeline '{self.pipeline}'{by}"


class Plan(Spec):
    """The way in which a partition was cut, which a resumed scoring follows.

    Attributes:
        at_least: How many units were asked for.
    """

    at_least: int


class UnitReceipt(Spec):
    """The record of a unit that is scored; with it the unit is done, whatever happens later.

    Attributes:
        scoring: By which model, and how.
        part: The name of its part until the partition is done.
        bytes: The part's size.
        rows: Rows of the source, all of which are in the part.
        scored: Those of them with a prediction.
        reasons: How many rows have which error.
    """

    scoring: Scoring
    part: str
    bytes: int
    rows: int
    scored: int
    reasons: dict[str, int]


class DonePartition(Spec):
    """The record of a partition that is scored: the sums of its units' receipts.

    Attributes:
        scoring: By which model, and how.
        partition: Its name.
        fingerprint: The fingerprint of its files.
        parts: How many parts it has.
        rows: Rows of the source, all of which are in the parts.
        scored: Those of them with a prediction.
        reasons: How many rows have which error.
    """

    scoring: Scoring
    partition: str
    fingerprint: str
    parts: int
    rows: int
    scored: int
    reasons: dict[str, int]


class PredictionFolder:
    """A folder of predictions.

    Args:
        files: What is in it.
        place: Its path or its URL, for errors.
    """

    def __init__(self, files: FolderFiles, place: str) -> None:
        self._files, self._place = files, place

    @classmethod
    def open(cls, place: str) -> PredictionFolder:
        """Returns the folder of a path or a URL.

        Raises:
            DeclarationError: The URL is of no file system that there is.
        """
        return cls(FolderFiles.open(place, "--output"), place)

    def claim(self, owner: Owner) -> None:
        """Makes the folder that of a pipeline's predictions.

        Raises:
            DeclarationError: It has something else, or predictions of another.
        """
        known = self._files.read(_OWNER, Owner)
        if known == owner:
            return
        if known is not None or self._is_taken():
            raise DeclarationError(
                f"--output {self._place}",
                expected="a folder that is empty, or not there yet, or has predictions of "
                f"{owner.in_words()}",
                received="other files" if known is None else f"predictions of {known.in_words()}",
                action="Give another folder.",
            )
        self._files.write(_OWNER, owner)

    def _is_taken(self) -> bool:
        if self._files.size() is not None:  # it is a file
            return True
        # A claim that was killed leaves no more than a temporary file among the records.
        return any(not name.startswith(f"{_RECORDS}/") for name in self._files.sizes())

    def undone(self, partitions: Sequence[Partition], scoring: Scoring) -> list[Partition]:
        """Returns the partitions that are not done, by one listing."""
        records = self._files.sizes(_PARTITIONS)
        return [p for p in partitions if not records.get(self.records(p, scoring).done_path)]

    def paths(self) -> set[str]:
        """Returns the paths of all records, by one listing."""
        return set(self._files.sizes(_PARTITIONS))

    def records(self, partition: Partition, scoring: Scoring) -> PartitionRecords:
        """Returns the records of one partition's scoring."""
        return PartitionRecords(self._files, partition, scoring)


class PartitionRecords:
    """The records of one partition's scoring, and its parts.

    Args:
        files: Those of the folder of predictions.
        partition: The partition.
        scoring: By which model, and how.
    """

    def __init__(self, files: FolderFiles, partition: Partition, scoring: Scoring) -> None:
        self._files, self._partition, self._scoring = files, partition, scoring
        self._key = scoring.key(partition)
        self._all = f"{_PARTITIONS}/{folder_name_of(partition.name)}"
        self._own = f"{self._all}/{self._key}"
        self.done_path = f"{self._own}/done.json"
        is_whole_table = partition.value is None and partition.name == WHOLE_TABLE
        self._parts = "" if is_whole_table else f"{partition.name}/"

    def planned(self, at_least: int) -> int:
        """Returns how many units are asked for: now, or by the scoring that this one resumes."""
        path = f"{self._own}/plan.json"
        plan = self._files.read(path, Plan)
        if plan is None:
            plan = Plan(at_least=at_least)
            self._files.write(path, plan)
        return plan.at_least

    def receipt_path(self, unit: int) -> str:
        """Returns the path of a unit's receipt."""
        return f"{self._own}/{unit:05d}.json"

    def failure_path(self, unit: int) -> str:
        """Returns the path of what a unit that failed has instead of a receipt."""
        return f"{self._own}/{unit:05d}.failed.json"

    def receipt(self, unit: int) -> UnitReceipt | None:
        """Returns the receipt of a unit, if there is one and its part is whole."""
        receipt = self._files.read(self.receipt_path(unit), UnitReceipt)
        if receipt is None:
            return None
        places = (f"{self._own}/{receipt.part}", self._part(unit))
        is_whole = any(self._files.size(place) == receipt.bytes for place in places)
        return receipt if is_whole else None

    def failure(self, unit: int) -> ErrorReport | None:
        """Returns why a unit failed, if it did."""
        return self._files.read(self.failure_path(unit), ErrorReport)

    def is_done(self, unit: int) -> bool:
        """Returns whether a unit has its receipt, or all of the partition is done."""
        return any(self._files.size(name) for name in (self.receipt_path(unit), self.done_path))

    def begin_again(self, unit: int) -> None:
        """Removes what says that a unit is done, or has failed."""
        self._files.remove([self.receipt_path(unit), self.failure_path(unit)])

    @contextmanager
    def new_part(self, unit: int) -> Iterator[tuple[str, pa.NativeFile]]:
        """Gives the name of a unit's part and what it is written to; it goes if the block fails.

        The name is this attempt's own, as a runner may have a unit done twice at once. Its end is
        not that of a table's files: whatever lists those does not read it before it is whole.
        """
        part = f"{unit:05d}-{uuid.uuid4().hex[:8]}"
        name = f"{self._own}/{part}"
        try:
            with self._files.open_new(name) as stream:
                yield part, stream
        except BaseException:
            self._files.remove([name])
            raise

    def write_receipt(self, unit: int, receipt: UnitReceipt) -> None:
        """Says that a unit is done."""
        self._files.write(self.receipt_path(unit), receipt)

    def write_failure(self, unit: int, report: ErrorReport) -> None:
        """Says that a unit failed by its own rows."""
        self._files.write(self.failure_path(unit), report)

    def commit(self, receipts: Sequence[UnitReceipt]) -> DonePartition:
        """Lets the parts of the partition take the place of those that were there before.

        The former parts go first: a reader may miss rows for a moment, and sees none twice. What
        says of them that they are done goes before them, so that no kill leaves it without them.

        Args:
            receipts: Of all units, in their order.
        """
        records = self._files.sizes(self._all)
        keys = {name.removeprefix(f"{self._all}/").partition("/")[0] for name in records}
        for key in keys - {self._key}:
            self._files.remove_folder(f"{self._all}/{key}")
        there = self._files.sizes(self._parts.rstrip("/"), recursive=False)
        parts = {name: _PART.fullmatch(name.rpartition("/")[2]) for name in there}
        self._files.remove(name for name, m in parts.items() if m and m[1] != self._key)
        for unit, receipt in enumerate(receipts):
            if f"{self._own}/{receipt.part}" in records:
                self._files.move(f"{self._own}/{receipt.part}", self._part(unit))
        done = self._summed(receipts)
        self._files.write(self.done_path, done)
        self._files.remove(n for n in self._files.sizes(self._own) if n != self.done_path)
        return done

    def _summed(self, receipts: Sequence[UnitReceipt]) -> DonePartition:
        reasons: Counter[str] = Counter()
        for receipt in receipts:
            reasons.update(receipt.reasons)
        return DonePartition(
            scoring=self._scoring,
            partition=self._partition.name,
            fingerprint=self._partition.fingerprint,
            parts=len(receipts),
            rows=sum(receipt.rows for receipt in receipts),
            scored=sum(receipt.scored for receipt in receipts),
            reasons=dict(reasons.most_common()),
        )

    def _part(self, unit: int) -> str:
        return f"{self._parts}part-{self._key}-{unit:05d}.parquet"
