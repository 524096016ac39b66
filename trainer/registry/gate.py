"""Whether a model may become the champion, and why. Without TensorFlow: the flow decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transforms.contract.declaration.gate import GateSpec
from transforms.contract.declaration.metrics import is_better


@dataclass(frozen=True)
class GateDecision:
    """The verdict on a model.

    Attributes:
        passed: Whether every gate lets it through.
        reasons: One sentence per comparison, the failed ones first.
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
    champion_problem: str | None = None,
    *,
    constant_metrics: Mapping[str, float],
) -> GateDecision:
    """Compares a model's metrics with the declared limits, the constant answer's, the champion's.

    A model that is not better than the constant answer is refused whatever the gate says.

    Args:
        gates: `PipelineSpec.gates()`.
        metrics: The model's, by name.
        champion_metrics: The champion's on the same rows; None if it has none.
        champion_problem: Why there is a champion that could not be scored. No gate that compares
            with it passes then: the champion might be the better one.
        constant_metrics: Those of the answer that is the same for every row: `Baselines.constant`.
    """
    checks = []
    for gate in gates:
        name, value = str(gate.metric), metrics.get(str(gate.metric))
        if value is None or not math.isfinite(value):
            reason = f"{name} was not measured: there are no rows with a label for it."
            checks.append(_Check(False, reason))
            continue
        checks += _limits(gate, name, value)
        checks.append(_beside_constant(name, value, constant_metrics.get(name)))
        checks.append(_comparison(gate, name, value, champion_metrics, champion_problem))
    checks.sort(key=lambda check: check.passed)
    return GateDecision(all(c.passed for c in checks), tuple(c.reason for c in checks))


def _limits(gate: GateSpec, name: str, value: float) -> list[_Check]:
    checks = []
    if gate.at_least is not None:
        checks.append(_limit(name, value, value >= gate.at_least, "at least", gate.at_least))
    if gate.at_most is not None:
        checks.append(_limit(name, value, value <= gate.at_most, "at most", gate.at_most))
    return checks


def _beside_constant(name: str, value: float, constant: float | None) -> _Check:
    """Compares with the answer that is the same for every row: as good as it does not pass."""
    if constant is None or not math.isfinite(constant):
        return _Check(True, f"{name} {value:.4g}: the constant answer has no such metric.")
    if name.endswith("_recall") and constant == 1:
        # Yes to every row: no model can do better, and one that tells rows apart does worse.
        reason = f"{name} {value:.4g}: the constant answer is yes, so it is not compared."
        return _Check(True, reason)
    better = is_better(name, value, constant)
    verb = "is" if better else "is not"
    reason = f"{name} {value:.4g} {verb} better than the constant answer's {constant:.4g}."
    return _Check(better, reason)


def _comparison(
    gate: GateSpec,
    name: str,
    value: float,
    champion_metrics: Mapping[str, float] | None,
    champion_problem: str | None,
) -> _Check:
    if not gate.compare:
        reason = f"{name} {value:.4g}: gate.compare is false, so the champion does not count."
        return _Check(True, reason)
    if champion_problem is not None:
        return _Check(
            False,
            f"{name} {value:.4g}: the champion could not be scored: {champion_problem}. Keep "
            "the columns and rows that it needs, or set gate.compare: false to judge without it.",
        )
    if champion_metrics is None:
        return _Check(True, f"{name} {value:.4g}: there is no champion to compare with.")
    return _against(name, value, champion_metrics.get(name), gate.tolerance)


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
