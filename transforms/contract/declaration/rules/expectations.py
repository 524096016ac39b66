"""Rules of `expect`: what is expected is something that the analysis keeps statistics of."""

from __future__ import annotations

from transforms.contract.columns.features import Categorical, FeatureSpec, Numeric
from transforms.contract.columns.targets import Multiclass, Multilabel, NumericTarget, TargetSpec
from transforms.contract.declaration.judgement.expect import ROWS, Expectation
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.spec import RuleBroken


def check_expectations_can_be_judged(pipeline: PipelineSpec) -> None:
    """Refuses expectations of what is not declared, or has no such statistics."""
    declared: dict[str, FeatureSpec | TargetSpec] = {
        **pipeline.column_features(),
        **pipeline.targets,
    }
    for name, expected in pipeline.expect.items():
        if name == ROWS:
            _refuse_all_but(name, expected, "at_least", "at_most")
        elif name not in declared:
            raise RuleBroken(
                f"expect.{name}",
                expected=f"'{ROWS}', or one of {', '.join(declared)}",
                received=repr(name),
            )
        else:
            _refuse_all_but(name, expected, *judged_of(declared[name]))


def judged_of(spec: FeatureSpec | TargetSpec) -> tuple[str, ...]:
    """Returns which expectations the statistics of a feature or target can be held against.

    Rows without a value that are rejected for it are in no statistics:
    `transform.max_reject_fraction` is about these.
    """
    missing = () if spec.missing == "reject" else ("missing_at_most",)
    if isinstance(spec, Numeric | NumericTarget):
        return ("between", *missing)
    if isinstance(spec, Categorical):
        return ("new_at_most", *missing) if spec.encoding == "vocabulary" else ()
    return ("new_at_most", *missing) if isinstance(spec, Multiclass | Multilabel) else ()


def _refuse_all_but(name: str, expected: Expectation, *allowed: str) -> None:
    for key in sorted(expected.model_fields_set):
        if key not in allowed:
            raise RuleBroken(
                f"expect.{name}.{key}",
                expected=f"one of {', '.join(allowed)} for '{name}'"
                if allowed
                else f"nothing of '{name}', as the analysis keeps no such statistics of its kind",
                received=repr(key),
            )
