"""A partition: what new data arrives in, with the files that it consists of."""

from __future__ import annotations

from typing import NamedTuple

from transforms.contract.spec import Spec


class SourceFile(Spec):
    """One file of a partition, as it was when the source was scanned."""

    path: str
    size: int
    modified_ns: int


class PartitionId(NamedTuple):
    """The identity of a partition: equal ones have the same rows.

    Attributes:
        name: The partition's name.
        fingerprint: The fingerprint of its source files.
    """

    name: str
    fingerprint: str


class Partition(Spec):
    """A part of the source, as new data arrives in it.

    Attributes:
        name: "all", the hive directory's name such as "day=2026-01-31", a date in the path such as
            "2026-01-31", or a file's path below the source's folder.
        value: What it compares by, such as "2026-01-31"; None for "all".
        fingerprint: The fingerprint of its files' names, sizes and modification times.
    """

    name: str
    value: str | None
    fingerprint: str
    files: tuple[SourceFile, ...]

    @property
    def id(self) -> PartitionId:
        """Its identity."""
        return PartitionId(self.name, self.fingerprint)
