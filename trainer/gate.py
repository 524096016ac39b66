"""Whether a model may become the champion, and why. Without TensorFlow: the flow decides."""

from __future__ import annotations

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
    if value is None or value != value:  # NaN
        return [_Check(False, f"{name} was not measured: there are no rows with a label for it.")]
    checks = [
        _limit(name, value, value >= gate.at_least, "at least", gate.at_least)
        for _ in range(gate.at_least is not None)
    ]
    return checks


def _limit(name: str, value: float, passed: bool, words: str, limit: float) -> _Check:
    verb = "is" if passed else "is not"
    return _Check(passed, f"{name} {value:.4g} {verb} {words} {limit:.4g}.")
