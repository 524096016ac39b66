"""Rules of what an evaluation and a gate tell rows apart by."""

from __future__ import annotations

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.spec import RuleBroken


def check_slices(pipeline: PipelineSpec) -> None:
    """Refuses slices by what is not declared, is sensitive, or has nothing to be told apart by."""
    for number, (name, how) in enumerate(pipeline.evaluation.cuts()):
        place, feature = f"evaluation.slices.{number}", pipeline.features.get(name)
        if feature is None:
            raise RuleBroken(
                place, expected=f"one of {', '.join(pipeline.features)}", received=repr(name)
            )
        raw = pipeline.raw_features().get(name)
        if raw is not None and pipeline.sensitive_columns().intersection(raw.columns):
            raise RuleBroken(
                place,
                expected="a feature that is not sensitive, as its values are shown",
                received=repr(name),
            )
        is_single = raw is not None and raw.shape == ()
        wanted = "parts" if isinstance(how, int) else how
        if not is_single or getattr(feature, "cut_by", None) != wanted:
            raise RuleBroken(
                place,
                expected="the name of a categorical feature, {number: parts} or {text: length}",
                received=f"{name!r}, which is {feature.kind}, by {how}",
            )


def check_gates(pipeline: PipelineSpec) -> None:
    """Refuses gates on slices or confidence that no evaluation gives."""
    for gate in pipeline.gates():
        for key in ("slice", "confidence"):
            if getattr(gate, key) is not None and not str(gate.metric).startswith("test_"):
                raise RuleBroken(
                    f"gate.{key}",
                    expected="a metric of the test rows, which alone are sliced and resampled",
                    received=repr(gate.metric),
                )
        if gate.slice is not None and not pipeline.evaluation.slices:
            raise RuleBroken(
                "gate.slice", expected="evaluation.slices to choose the worst of", received="none"
            )
        if gate.confidence is not None and pipeline.evaluation.intervals is None:
            raise RuleBroken(
                "gate.confidence",
                expected="evaluation.intervals, whose bootstrap says what chance does",
                received="none",
            )
