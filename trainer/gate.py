"""Whether a model may become the champion, and why. Without TensorFlow: the flow decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transforms.contract.model import GateSpec
from transforms.contract.pipeline import is_better


@dataclass(frozen=True)
class GateDecision:
    """The verdict on a model.

    Attributes:
        passed: Whether every gate lets it through.
        reasons: One sentence per comparison, failed or not.
    """

    passed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Check:
    passed: bool
    reason: str


def decide(
    gates: Sequence[GateSpec],
    metrics: Mapping[str, float],
    champion_metrics: Mapping[str, float] | None,
) -> GateDecision:
    """Compares a model's metrics with the declared limits and with the champion's.

    Args:
        gates: `PipelineSpec.gates()`.
        metrics: The model's, by name.
        champion_metrics: The champion's on the same rows; None if there is no champion.
    """
    checks = [check for gate in gates for check in _checks(gate, metrics, champion_metrics)]
    return GateDecision(all(c.passed for c in checks), tuple(c.reason for c in checks))


def _checks(
    gate: GateSpec, metrics: Mapping[str, float], champion_metrics: Mapping[str, float] | None
) -> list[_Check]:
    name = gate.metric
    if name is None:
        raise ValueError("a gate of PipelineSpec.gates() has its metric filled in")
    value = metrics.get(name)
    if value is None or not math.isfinite(value):
        return [_Check(False, f"{name} was not measured: there are no rows with a label for it.")]
    checks = []
    if gate.at_least is not None:
        checks.append(_limit(name, value, value >= gate.at_least, "at least", gate.at_least))
    if gate.at_most is not None:
        checks.append(_limit(name, value, value <= gate.at_most, "at most", gate.at_most))
    if champion_metrics is None:
        checks.append(_Check(True, f"{name} {value:.4g}: there is no champion to compare with."))
    else:
        checks.append(_against(name, value, champion_metrics.get(name), gate.tolerance))
    return checks


def _limit(name: str, value: float, passed: bool, words: str, limit: float) -> _Check:
    verb = "is" if passed else "is not"
    return _Check(passed, f"{name} {value:.4g} {verb} {words} {limit:.4g}.")


def _against(name: str, value: float, champion: float | None, tolerance: float) -> _Check:
    """Compares with the champion: worse by more than the tolerance does not pass."""
    if champion is None or not math.isfinite(champion):
        return _Check(True, f"{name} {value:.4g}: the champion has no such metric on these rows.")
    allowed = tolerance * abs(champion)
    worse = abs(value - champion) if is_better(name, champion, value) else 0.0
    passed = worse <= allowed
    standing = (
        f"worse than the champion's {champion:.4g} by {worse:.4g}"
        if worse
        else f"no worse than the champion's {champion:.4g}"
    )
    return _Check(passed, f"{name} {value:.4g} is {standing}; {allowed:.4g} is allowed.")
