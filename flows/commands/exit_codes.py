"""Exit codes of `braid run` and `braid tune`, by a run's status."""

from __future__ import annotations

EXIT_CODES = {"promoted": 0, "refused": 3}
