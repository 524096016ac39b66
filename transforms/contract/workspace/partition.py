"""A partition: what new data arrives in, with the files that it consists of."""

from __future__ import annotations

from transforms.contract.spec import Spec


class SourceFile(Spec):
    """One file of a partition, as it was when the source was scanned."""

    path: str
    size: int
    modified_ns: int


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
