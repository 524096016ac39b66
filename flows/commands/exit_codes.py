"""Exit codes of commands that have done their work; errors and signals have their own."""

from __future__ import annotations

DAMAGED = 1  # of `braid check`
WOULD_FAIL = 1  # of `braid validate`
PARTITIONS_FAILED = 1  # of `braid backfill`, and of `braid predict` into a folder
BROKEN = 1  # of `braid doctor`
DRIFTED = 4  # of `braid monitor`
# By the status of the run that a command ends with.
EXIT_CODES = {"promoted": 0, "refused": 3}
