"""Memory of a vocabulary: merging the counted terms of partitions, and freezing the most frequent.

    python -m tests.benchmarks.terms [TERMS]

The partitions have the same terms, or each has its own, and in all there are TERMS distinct ones.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.benchmarks.measuring import Cost, measured, tell_cost
from tests.benchmarks.report import Report
from transforms.kinds.requests import VocabularyRequest
from transforms.statistics.accumulators import Accumulated, merged
from transforms.statistics.frozen import freeze
from transforms.statistics.term_counts import TERMS_SCHEMA, TermCounts

TERMS = 10_000_000
PARTITIONS = 4
KEPT = 1_000_000
NO_TERMS = "none"
LAYOUTS = (NO_TERMS, "in every partition", "in one partition")
FORESEEN = 100_000_000


def main(terms: int) -> None:
    """Merges each layout in a process of its own and reports memory beyond that of no terms."""
    costs: dict[str, Cost] = {}
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(PARTITIONS):
                _write(Path(folder), layout, number, terms)
            costs[layout] = measured(["tests.benchmarks.terms", "merge", folder])
    base = costs.pop(NO_TERMS).peak_mb
    per_term = {name: (cost.peak_mb - base) * 2**20 / terms for name, cost in costs.items()}
    worst = max(per_term.values())
    Report(
        title=f"{terms:,} distinct terms of 14 bytes, merged from {PARTITIONS} partitions",
        command=f"python -m tests.benchmarks.terms {terms}",
        columns=("terms are", "s", "peak MB beyond none", "bytes/term"),
        lines=[
            (
                name,
                f"{cost.seconds:.1f}",
                f"{cost.peak_mb - base:,.0f}",
                f"{per_term[name]:,.0f}",
            )
            for name, cost in costs.items()
        ],
        sentences=[
            f"By calculation {FORESEEN:,} terms take {worst * FORESEEN / 1e9:,.0f} GB.",
        ],
        details={name: asdict(cost) for name, cost in costs.items()},
    ).keep("terms")


def _write(folder: Path, layout: str, number: int, terms: int) -> None:
    own = terms // PARTITIONS
    numbers = {
        NO_TERMS: range(0),
        "in every partition": range(terms),
        "in one partition": range(number * own, (number + 1) * own),
    }[layout]
    digits = pa.array(np.asarray(numbers, np.int64)).cast(pa.string())
    names = pc.binary_join_element_wise("user-", pc.utf8_lpad(digits, 9, "0"), "")
    counts = pa.array(np.ones(len(names), np.int64))
    table = pa.table([names.cast(pa.binary()), counts], schema=TERMS_SCHEMA)
    total = Accumulated(terms={"user": TermCounts([table])})
    total.write(folder / f"{number}.arrow")


def _merge(folder: Path) -> None:
    paths = sorted(folder.glob("*.arrow"))
    request = VocabularyRequest(name="user", values=None, size=KEPT, minimum_count=1)
    freeze([request], merged(map(Accumulated.read, paths)), folder / "frozen")


if __name__ == "__main__":
    if sys.argv[1:2] == ["merge"]:
        tell_cost(lambda: _merge(Path(sys.argv[2])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else TERMS)
