"""The page on quality: a line a table, the verdict on all of them, and a JSON file of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import mean

from pydantic import BaseModel

from tests.benchmarks.quality_metrics import METRICS, Comparison, Verdict, compare
from tests.benchmarks.quality_tables import SUBSETS, TABLES
from tests.benchmarks.report import RESULTS, Report, page

PAGE = Path(__file__).parent / "QUALITY.md"
_SECTIONS = (
    "quality",
    "quality_figures",
    *(f"quality_subsets_{name}" for name in SUBSETS),
    "quality_tuning",
    "quality_speed",
)
_COMMAND = "make bench-quality DATA=folder"
_ENOUGH_LEVEL, _ENOUGH_AHEAD = 12, 7  # of the 13 tables
_HEAD = """# What the defaults are worth

Made by `make bench-quality`. Every declaration has a source, a split, features with their kinds and
targets, and nothing else. Baselines are fitted on training and validation rows; Braid and baselines
are judged by the same code on the same test rows.
"""

Figures = dict[str, float]


class SeedResult(BaseModel):
    """One training: its figures on the test rows, and the wall seconds of its `train` step."""

    seed: int
    figures: Figures
    train_seconds: float


class Outcome(BaseModel):
    """All that was measured on one table.

    Attributes:
        rows: The number of rows of each split.
        baselines: The figures of each baseline by its name; the first one decides.
        constant: Those of the best constant answer.
        seeds: Of the declaration with its defaults.
        commit: Of the sources that were run, with `-dirty` if they were changed.
    """

    table: str
    rows: dict[str, int]
    baselines: dict[str, Figures]
    constant: Figures
    seeds: list[SeedResult]
    commit: str

    @property
    def baseline(self) -> Figures:
        """The figures of the baseline that decides."""
        return next(iter(self.baselines.values()))

    def of(self, metric: str) -> list[float]:
        """Returns a metric's figure of every seed."""
        return [seed.figures[metric] for seed in self.seeds]

    def comparison(self) -> Comparison:
        """Returns what the table's deciding metric says."""
        table = TABLES[self.table]
        metric = METRICS[table.task][table.metric]
        return compare(metric, self.of(table.metric), self.baseline[table.metric])

    def keep(self) -> None:
        """Writes the table's JSON file, in place of an earlier run's."""
        path = _outcome_file(self.table)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1) + "\n")


def discard(table: str) -> None:
    """Removes a table's JSON file, if there is one: what failed now is not judged by older runs."""
    _outcome_file(table).unlink(missing_ok=True)


def kept_outcomes() -> list[Outcome]:
    """Returns the newest outcome of every table that has one, in the tables' order."""
    paths = map(_outcome_file, TABLES)
    return [Outcome.model_validate_json(path.read_text()) for path in paths if path.exists()]


def write_page() -> None:
    """Writes QUALITY.md from all that has been measured."""
    kept = [page(name) for name in _SECTIONS if (RESULTS / f"{name}.json").exists()]
    PAGE.write_text("\n".join([_HEAD, "\n\n".join(kept), ""]))


def tables_report(outcomes: Sequence[Outcome]) -> Report:
    """Returns the table of verdicts."""
    columns = (
        "table",
        "train + validation + test rows",
        "metric",
        "baseline",
        "constant",
        "Braid",
        "spread",
        "difference",
        "verdict",
        "train s",
    )
    return Report(
        title="Defaults beside simple models",
        command=_COMMAND,
        columns=columns,
        lines=[_line(outcome) for outcome in outcomes],
        sentences=[
            verdict_sentence({o.table: o.comparison().verdict for o in outcomes}),
            f"Braid is the mean of {_seed_counts(outcomes)} seeds, the spread their highest figure "
            "less the lowest, and a positive difference always in Braid's favour.",
            f"LightGBM {version('lightgbm')}, scikit-learn {version('scikit-learn')}; commit "
            f"{', '.join(dict.fromkeys(o.commit for o in outcomes))}.",
        ],
        details={outcome.table: outcome.model_dump() for outcome in outcomes},
    )


def verdict_sentence(verdicts: Mapping[str, Verdict]) -> str:
    """Returns whether the bounds are met: 12 of 13 level, 7 ahead, none below its tolerance."""

    def those(fits: Callable[[Verdict], bool]) -> list[str]:
        return [name for name, verdict in verdicts.items() if fits(verdict)]

    level = those(lambda verdict: verdict in ("ahead", "at or above"))
    ahead, below = those(lambda v: v == "ahead"), those(lambda v: v == "below")
    complete = set(verdicts) == set(TABLES)
    enough = len(level) >= _ENOUGH_LEVEL and len(ahead) >= _ENOUGH_AHEAD and not below
    word = "Passed" if complete and enough else "Not passed" if complete else "Not complete"
    return (
        f"{word}: at or above the baseline on {len(level)} of {len(verdicts)} tables (at least "
        f"{_ENOUGH_LEVEL} of {len(TABLES)}), ahead by more than the spread on {len(ahead)} (at "
        f"least {_ENOUGH_AHEAD}), below by more than 0.005 AUC or 0.02 accuracy, R2 or MAPE on "
        f"{', '.join(below) or 'none'} (none)."
    )


def figures_report(outcomes: Sequence[Outcome]) -> Report:
    """Returns every metric of every baseline and of Braid."""
    lines = [
        (o.table, metric, name, f"{figures[metric]:.4f}", f"{mean(o.of(metric)):.4f}")
        for o in outcomes
        for metric in METRICS[TABLES[o.table].task]
        for name, figures in o.baselines.items()
    ]
    return Report(
        title="All figures",
        command=_COMMAND,
        columns=("table", "metric", "baseline", "its figure", "Braid"),
        lines=lines,
        sentences=["A baseline is fitted once; Braid's figure is the mean of its seeds."],
        details={},
    )


def subsets_report(table: str, subsets: Mapping[str, list[SeedResult]]) -> Report:
    """Returns what parts of a table's features, and all of them, are worth."""
    metric = TABLES[table].metric
    lines = []
    for name, seeds in subsets.items():
        values = [seed.figures[metric] for seed in seeds]
        spread = f"{max(values) - min(values):.4f}"
        lines.append((name, f"{mean(values):.4f}", spread, _seconds(seeds)))
    return Report(
        title=f"Parts of the features of {table}",
        command=f"python -m tests.benchmarks.quality --data folder --subsets {table}",
        columns=("features", metric, "spread", "train s"),
        lines=lines,
        sentences=["Chosen by `model.features`, so that all train on the same shards."],
        details={name: [seed.model_dump() for seed in seeds] for name, seeds in subsets.items()},
    )


def _line(outcome: Outcome) -> tuple[str, ...]:
    metric, comparison = TABLES[outcome.table].metric, outcome.comparison()
    return (
        outcome.table,
        " + ".join(f"{rows:,}" for rows in outcome.rows.values()),
        metric,
        f"{outcome.baseline[metric]:.4f}",
        f"{outcome.constant[metric]:.4f}",
        f"{comparison.mean:.4f}",
        f"{comparison.spread:.4f}",
        f"{comparison.difference:+.4f}",
        comparison.verdict,
        _seconds(outcome.seeds),
    )


def _seconds(seeds: Sequence[SeedResult]) -> str:
    return ", ".join(f"{seed.train_seconds:.0f}" for seed in seeds)


def _seed_counts(outcomes: Sequence[Outcome]) -> str:
    return " or ".join(map(str, sorted({len(outcome.seeds) for outcome in outcomes})))


def _outcome_file(table: str) -> Path:
    return RESULTS / "quality" / f"{table}.json"
