"""The gate: decides, with its reason, if a model may become the champion. Without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from transforms.contract.declaration.judgement.gate import GateSpec
from transforms.contract.declaration.judgement.metrics import is_better, metric_of
from transforms.contract.steps.evaluation import EvaluationResult, MeasuredRows, MeasuredSlice


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
    """One comparison.

    Attributes:
        passed: Whether it holds.
        reason: The sentence.
        margin: By how much it holds, in the metric's unit; negative if it fails.
    """

    passed: bool
    reason: str
    margin: float = math.inf


def decide(
    gates: Sequence[GateSpec],
    metrics: Mapping[str, float],
    champion_metrics: Mapping[str, float] | None,
    champion_problem: str | None = None,
    *,
    constant_metrics: Mapping[str, float],
    evaluation: EvaluationResult | None = None,
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
        evaluation: What the gates with slices and confidence are held against.
    """
    checks: list[_Check] = []
    for gate in gates:
        name, value = str(gate.metric), metrics.get(str(gate.metric))
        if value is None or not math.isfinite(value):
            reason = f"{name} was not measured: there are no rows with a label for it."
            checks.append(_Check(False, reason))
            continue
        rows = MeasuredRows(rows=0, metrics={name: value}, champion=dict(champion_metrics or {}))
        if evaluation is not None and evaluation.test is not None:
            test = evaluation.test
            resampled = {"resampled": test.resampled, "differences": test.differences}
            rows = rows.model_copy(update=resampled)
        without = champion_metrics is None
        # Of all rows, also where slices are judged: the constant answer is not measured on these.
        beside = _beside_constant(gate, rows, constant_metrics.get(name))
        if gate.slice is None:
            compared = _comparison(gate, rows, "", champion_problem, no_champion=without)
            checks += [*_limits(gate, rows, ""), beside, compared]
        else:
            slices = () if evaluation is None else evaluation.slices
            of_slices = _of_slices(gate, slices, champion_problem, no_champion=without)
            checks += [beside, *of_slices]
    checks.sort(key=lambda check: check.passed)
    return GateDecision(all(c.passed for c in checks), tuple(c.reason for c in checks))


def _of_slices(
    gate: GateSpec, slices: Sequence[MeasuredSlice], problem: str | None, *, no_champion: bool
) -> Iterator[_Check]:
    """Yields each comparison of the slice that does worst at it.

    That all slices hold with some confidence needs no more of each of them: Berger,
    "Multiparameter Hypothesis Testing and Acceptance Sampling", 1982.
    """
    name = str(gate.metric)
    measured = [own for own in slices if name in own.metrics and math.isfinite(own.metrics[name])]
    if not measured:
        yield _Check(False, f"{name} was not measured on any slice.")
        return
    compared = []
    for own in measured:
        words = f" for {own.feature} {own.label} ({own.rows:,} rows), the worst slice,"
        beside = _comparison(gate, own, words, problem, no_champion=no_champion)
        compared.append([*_limits(gate, own, words), beside])
    for checks in zip(*compared, strict=True):
        yield min(checks, key=lambda check: (check.passed, check.margin))


def _limits(gate: GateSpec, rows: MeasuredRows, where: str) -> list[_Check]:
    checks = []
    for words, limit, sign in (("at least", gate.at_least, 1), ("at most", gate.at_most, -1)):
        if limit is not None:
            held = _bound(gate, rows, worse_is_lower=sign > 0)
            margin = math.nan if held is None else sign * (held - limit)
            checks.append(_limit(gate, rows, where, f"{words} {limit:.4g}", margin, held))
    return checks


def _limit(
    gate: GateSpec, rows: MeasuredRows, where: str, words: str, margin: float, held: float | None
) -> _Check:
    name, passed = str(gate.metric), margin >= 0
    subject = f"{name} {rows.metrics[name]:.4g}{where}"
    if held is None:
        return _Check(False, f"{subject} has no interval on these rows.", -math.inf)
    verb = "is" if passed else "is not"
    return _Check(passed, f"{subject} {verb} {words}{_confidence(gate, held)}.", margin)


def _bound(gate: GateSpec, rows: MeasuredRows, *, worse_is_lower: bool) -> float | None:
    """Returns the value to judge: the metric's, or what it is with the gate's confidence.

    None if that is not known.
    """
    name = str(gate.metric)
    if gate.confidence is None:
        return rows.metrics[name]
    resampled = rows.resampled.get(name)
    if resampled is None:
        return None
    return resampled.at(1 - gate.confidence if worse_is_lower else gate.confidence)


def _confidence(gate: GateSpec, held: float) -> str:
    if gate.confidence is None:
        return ""
    return f" with {gate.confidence * 100:g} % confidence, with which it is {held:.4g}"


def _beside_constant(gate: GateSpec, rows: MeasuredRows, constant: float | None) -> _Check:
    """Compares with the answer that is the same for every row: as good as it does not pass."""
    name, value = str(gate.metric), rows.metrics[str(gate.metric)]
    if constant is None or not math.isfinite(constant):
        return _Check(True, f"{name} {value:.4g}: the constant answer has no such metric.")
    if name.endswith("_recall") and constant == 1:
        # Yes to every row: no model can do better, and one that tells rows apart does worse.
        reason = f"{name} {value:.4g}: the constant answer is yes, so it is not compared."
        return _Check(True, reason)
    held = _bound(gate, rows, worse_is_lower=not metric_of(name).lower_is_better)
    if held is None:
        return _Check(False, f"{name} {value:.4g} has no interval on these rows.")
    better = is_better(name, held, constant)
    verb = "is" if better else "is not"
    reason = f"{name} {value:.4g} {verb} better than the constant answer's {constant:.4g}"
    return _Check(better, f"{reason}{_confidence(gate, held)}.")


def _comparison(
    gate: GateSpec, rows: MeasuredRows, where: str, problem: str | None, *, no_champion: bool
) -> _Check:
    """Compares with the champion: worse by more than the tolerance does not pass."""
    name, value = str(gate.metric), rows.metrics[str(gate.metric)]
    subject = f"{name} {value:.4g}{where}"
    if not gate.compare:
        reason = f"{name} {value:.4g}: gate.compare is false, so the champion does not count."
        return _Check(True, reason)
    if problem is not None:
        return _Check(
            False,
            f"{name} {value:.4g}: the champion could not be scored: {problem}. Keep "
            "the columns and rows that it needs, or set gate.compare: false to judge without it.",
        )
    if no_champion:
        return _Check(True, f"{name} {value:.4g}: there is no champion to compare with.")
    champion = rows.champion.get(name)
    if champion is None or not math.isfinite(champion):
        return _Check(True, f"{subject}: the champion has no such metric on these rows.")
    allowed = gate.tolerance * abs(champion)
    if gate.confidence is not None:
        return _beyond_chance(gate, rows, subject, champion, allowed)
    worse = abs(value - champion) if is_better(name, champion, value) else 0.0
    standing = (
        f"worse than the champion's {champion:.4g} by {worse:.4g}"
        if worse
        else f"no worse than the champion's {champion:.4g}"
    )
    reason = f"{subject} is {standing}; {allowed:.4g} is allowed."
    return _Check(worse <= allowed, reason, allowed - worse)


def _beyond_chance(
    gate: GateSpec, rows: MeasuredRows, subject: str, champion: float, allowed: float
) -> _Check:
    """Compares with the champion on the same rows, as a test of non-inferiority."""
    name, level = str(gate.metric), float(gate.confidence or 0)
    difference = rows.differences.get(name)
    if difference is None:
        return _Check(False, f"{subject}: its difference from the champion is not known.")
    lower = metric_of(name).lower_is_better
    worse = max(0.0, difference.at(level) if lower else -difference.at(1 - level))
    reason = (
        f"{subject} is with {level * 100:g} % confidence at most {worse:.4g} worse than the "
        f"champion's {champion:.4g} on the same rows; {allowed:.4g} is allowed."
    )
    return _Check(worse <= allowed, reason, allowed - worse)
