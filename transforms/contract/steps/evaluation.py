"""The result of an evaluation, as `evaluation.json` keeps it."""

from __future__ import annotations

from typing import Any

from transforms.contract.steps.baselines import Baselines
from transforms.contract.steps.results import Result


class EvaluationResult(Result):
    """The metrics of a model beside those of the baselines and of the champion.

    Attributes:
        metrics: By name, such as "test_price_mae".
        baselines: Metrics of answers that cost next to nothing.
        champion_metrics: The champion's on the same test rows; None without one that was scored.
        champion_problem: Why there is a champion that could not be scored.
        parity: The largest difference between export and shards; None without test rows.
        rows: Validation and test rows.
        champion: The folder of the champion's export that it was held against.
        figures: The data of the figures, by target.
        warnings: What is odd, as sentences.
    """

    metrics: dict[str, float]
    baselines: Baselines = Baselines()
    champion_metrics: dict[str, float] | None = None
    champion_problem: str | None = None
    parity: float | None = None
    rows: int = 0
    champion: str | None = None
    figures: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
