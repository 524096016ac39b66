"""The bootstrap of an evaluation: seconds for 100,000 rows, 20 slices and 1,000 replicates.

`python -m tests.benchmarks.intervals [--rows N] [--replicates N]`
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np

from trainer.evaluation.resampling import resample
from trainer.evaluation.row_terms import Measure, RowTerms
from trainer.evaluation.slices import Slice
from trainer.network.heads import head_of
from trainer.network.scores import Score
from transforms.contract.declaration.judgement.evaluation import EvaluationSpec
from transforms.contract.declaration.parsing import parse

SLICINGS, PARTS = 5, 4

DECLARATION = {
    "name": "benchmark",
    "source": {"path": "data", "key": "id"},
    "features": {"area": {"kind": "numeric"}},
    "targets": {"sold": {"kind": "binary"}, "price": {"kind": "numeric"}},
}


def main() -> None:
    """Prints the seconds with a champion and without one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--replicates", type=int, default=1_000)
    options = parser.parse_args()
    model, champion = (_measures(options.rows, seed) for seed in (1, 2))
    declared = EvaluationSpec(replicates=options.replicates)
    for name, other in (("alone", {}), ("beside a champion", champion)):
        start, cpu = time.perf_counter(), time.process_time()
        whole, slices = resample(
            declared, options.rows, model, other, _slices(options.rows), seed=1
        )
        seconds = time.perf_counter() - start
        sys.stdout.write(
            f"{name}: {options.rows:,} rows, {len(slices)} slices, {options.replicates:,} "
            f"replicates, {len(whole.metrics)} metrics: {seconds:.1f} s, "
            f"{time.process_time() - cpu:.1f} s of CPU\n"
        )
        sys.stdout.flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sys.stdout.write(f"peak memory {peak:.2f} GB\n")


def _measures(rows: int, seed: int) -> dict[str, Measure]:
    pipeline, random = parse(DECLARATION), np.random.default_rng(seed)
    truths = np.random.default_rng(0)
    sold = truths.random(rows) < 0.3
    price = truths.normal(size=rows)
    answers: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "sold": (sold.astype(np.float32), np.clip(0.5 * sold + random.random(rows) / 2, 0, 1)),
        "price": (price, price + random.normal(size=rows)),
    }
    terms = RowTerms(pipeline)
    terms.begin(rows)
    for name, (truth, prediction) in answers.items():
        spec = pipeline.targets[name]
        scores: dict[str, Score] = {
            metric: head_of(spec).metrics[metric](spec) for metric in spec.metrics
        }
        labelled = np.ones(rows, bool)
        losses = np.abs(truth - prediction)
        terms.add(
            name,
            labelled,
            losses,
            scores,
            truth,
            dict.fromkeys(scores, prediction.astype(np.float32)),
        )
    return terms.measures("test")


def _slices(rows: int) -> list[Slice]:
    random = np.random.default_rng(3)
    parts = [random.integers(0, PARTS, rows) for _ in range(SLICINGS)]
    return [
        Slice(f"column_{number}", f"part {part}", np.flatnonzero(own == part))
        for number, own in enumerate(parts)
        for part in range(PARTS)
    ]


if __name__ == "__main__":
    main()
