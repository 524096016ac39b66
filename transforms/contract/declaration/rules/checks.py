"""Rules that join several places of a declaration.

Each is a function that raises `RuleBroken` with the one place to correct.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from transforms.contract.columns.features import RawColumn
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.rules.evaluation import check_gates, check_slices
from transforms.contract.declaration.rules.expectations import check_expectations_can_be_judged
from transforms.contract.declaration.rules.picture_rules import (
    check_augmentations,
    check_backbones,
    check_decoders,
)
from transforms.contract.declaration.rules.training_rules import (
    check_balance,
    check_members,
    check_objective,
    check_partitions,
    check_start,
)
from transforms.contract.declaration.source import WINDOW_SPLIT_COLUMN
from transforms.contract.declaration.split import HashSplit, TimeSplit
from transforms.contract.network.encoders import encoders_of
from transforms.contract.spec import RuleBroken

ERROR_COLUMN = "error"  # of predictions: why a row could not be scored


def _names_are_unique(pipeline: PipelineSpec) -> None:
    """Refuses names that clash with one another or with what is derived from them."""
    shared = sorted(set(pipeline.features) & set(pipeline.targets))
    if shared:
        raise RuleBroken(
            f"targets.{shared[0]}",
            expected="a name that no feature has",
            received=f"{shared[0]!r} twice",
        )
    for group, names in (("features", pipeline.features), ("targets", pipeline.targets)):
        for name in names:
            if "__" in name:  # what Braid derives from a name: its weight, its indicator
                raise RuleBroken(
                    f"{group}.{name}", expected="a name without '__'", received=repr(name)
                )
    for name in (ERROR_COLUMN, *pipeline.source.name_columns):
        if name in pipeline.targets:
            raise RuleBroken(
                f"targets.{name}",
                expected="another name, as predictions have a column of this one",
                received=f"{name!r}; name the target's column with `column:`",
            )


def _keys_differ_within_a_partition(pipeline: PipelineSpec) -> None:
    """Refuses the partitions' column as the key: it is the same for all rows of one."""
    source = pipeline.source
    if source.key is not None and source.key == source.partition_column:
        raise RuleBroken(
            "source.key",
            expected="a column that differs from row to row",
            received=f"that of partition_by, {source.key!r}",
        )


def _expressions_give_columns_of_their_own(pipeline: PipelineSpec) -> None:
    """Refuses a target that is named like a column which something else reads, and a filter of
    the steps that windows count.
    """
    if pipeline.source.windows is not None and pipeline.source.where is not None:
        raise RuleBroken(
            "source.where",
            expected="no filter beside windows, which count the steps that it leaves out",
            received=repr(pipeline.source.where),
        )
    for name, target in pipeline.targets.items():
        if target.expression is None:
            continue
        others = {n: raw for n, raw in pipeline.raw_targets().items() if n != name}
        read = {
            c for raw in (*pipeline.raw_features().values(), *others.values()) for c in raw.columns
        }
        if name in {*read, *pipeline.source.key_columns, pipeline.split.column}:
            raise RuleBroken(
                f"targets.{name}",
                expected="another name, as a column of this one is read beside the expression",
                received=repr(name),
            )


def _windows_do_not_leak(pipeline: PipelineSpec) -> None:
    """Refuses windows that could show one split what another has to predict."""
    windows = pipeline.source.windows
    if windows is None:
        return
    if pipeline.source.partition_by is not None:
        raise RuleBroken(
            "source.partition_by",
            expected="no partitions, as a window may reach over their borders",
            received=repr(pipeline.source.partition_by),
        )
    if not isinstance(pipeline.split, TimeSplit) or pipeline.split.column != windows.time:
        raise RuleBroken(
            "split",
            expected=f"{{by: time, column: {windows.time}, validation_from: ..., test_from: ...}}, "
            "as windows of one split must not reach into another",
            received=str(pipeline.split.model_dump(exclude_defaults=True) or "none"),
        )
    made = (*pipeline.source.name_columns, WINDOW_SPLIT_COLUMN, *windows.next_columns())
    names = [*made, *windows.values, *windows.keep]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RuleBroken(
            "source.windows",
            expected="a name of its own for every column of a window's row",
            received=f"{twice[0]!r} twice",
        )
    for name, raw in pipeline.raw_features().items():
        later = set(raw.columns).intersection(windows.next_columns())
        if later:
            raise RuleBroken(
                f"features.{name}",
                expected="a column that is known at a window's last step",
                received=repr(min(later)),
            )


def _noise_stands_beside_columns(pipeline: PipelineSpec) -> None:
    """Refuses a model that takes nothing but noise."""
    columns = {column for raw in pipeline.raw_features().values() for column in raw.columns}
    used = pipeline.modelled()
    for name in [name for name in used.features if name not in used.column_features()]:
        if not used.column_features():
            raise RuleBroken(
                f"features.{name}",
                expected="a feature with a column beside it",
                received="noise alone",
            )
        if name in columns:  # the exported model takes both, by these names
            raise RuleBroken(
                f"features.{name}",
                expected="a name that no feature's column has",
                received=repr(name),
            )


def _class_weights_name_labels(pipeline: PipelineSpec) -> None:
    """Refuses weights of classes that a yes-or-no target does not have."""
    for name, target in pipeline.targets.items():
        weights, labels = target.weights_of_classes, target.fixed_labels
        if labels and isinstance(weights, dict) and set(weights) - set(labels):
            raise RuleBroken(
                f"targets.{name}.class_weights",
                expected=f"weights for the labels {' and '.join(map(repr, labels))}",
                received=str(sorted(weights)),
            )


def _thresholds_are_of_what_drifts(pipeline: PipelineSpec) -> None:
    """Refuses thresholds of what has no statistics, and a drift of windows."""
    if pipeline.transform.refit == "when_drifted" and pipeline.source.windows is not None:
        raise RuleBroken(
            "transform.refit",
            expected="always or never where source.windows is declared, as windows are one "
            "partition, which is new as a whole",
            received="'when_drifted'",
        )
    declared = {**pipeline.features, **pipeline.targets}
    measured = [name for name, spec in declared.items() if spec.has_statistics]
    for name in pipeline.transform.drift.features:
        if name not in measured:
            why = "which has no statistics" if name in declared else "which is not declared"
            raise RuleBroken(
                f"transform.drift.features.{name}",
                expected="a feature or target whose statistics a transform freezes "
                f"({', '.join(measured)})",
                received=f"{name!r}, {why}",
            )


def _the_model_takes_what_is_declared(pipeline: PipelineSpec) -> None:
    """Refuses a model of features and targets that are not declared."""
    for group, declared in (("features", pipeline.features), ("targets", pipeline.targets)):
        for name in getattr(pipeline.model, group) or ():
            if name not in declared:
                raise RuleBroken(
                    f"model.{group}", expected=f"some of {', '.join(declared)}", received=repr(name)
                )
    used = pipeline.modelled()
    for name in pipeline.model.encoders:
        if name in pipeline.features and name not in used.features:
            raise RuleBroken(
                f"model.encoders.{name}",
                expected=f"one of model.features ({', '.join(used.features)})",
                received=repr(name),
            )


def _an_input_has_one_column(pipeline: PipelineSpec) -> None:
    """Refuses a column that is named like the input of another one that is read in several ways."""
    seen: dict[str, RawColumn] = {}
    for raw in (*pipeline.raw_features().values(), *pipeline.raw_targets().values()):
        other = seen.setdefault(raw.name, raw)
        if other != raw:
            raise RuleBroken(
                "features",
                expected=f"one source for the model's input {raw.name!r}",
                received=f"the columns {', '.join(other.columns)} and {', '.join(raw.columns)}; "
                "rename one of them",
            )


def _encoders_fit_their_features(pipeline: PipelineSpec) -> None:
    """Refuses encoders that cannot read their feature."""
    for name, encoder in pipeline.model.encoders.items():
        if name not in pipeline.features:
            raise RuleBroken(
                f"model.encoders.{name}", expected="the name of a feature", received=repr(name)
            )
        if encoder.shares_with is not None:
            _refuse_to_share(pipeline, name, encoder.shares_with)
            continue
        kind = pipeline.features[name].kind
        allowed = encoders_of(kind)
        if type(encoder) not in allowed:
            kinds = ", ".join(cls.model_fields["kind"].default for cls in allowed)
            raise RuleBroken(
                f"model.encoders.{name}.kind",
                expected=f"one of {kinds} for the {kind} feature",
                received=repr(encoder.kind),
            )


def _refuse_to_share(pipeline: PipelineSpec, name: str, source: str) -> None:
    place = f"model.encoders.{name}.with"
    other = pipeline.modelled().features.get(source)
    own = pipeline.features[name]
    if other is None or source == name:
        raise RuleBroken(place, expected="the name of another feature", received=repr(source))
    encoder = pipeline.model.encoders.get(source)
    if encoder is not None and encoder.shares_with is not None:
        raise RuleBroken(
            place,
            expected="a feature with an encoder of its own",
            received=f"{source!r}, which shares one",
        )
    if own.kind != other.kind:
        raise RuleBroken(
            place, expected=f"another {own.kind} feature", received=f"the kind {other.kind}"
        )
    if own.layout() != other.layout():
        (dtype, shape), (other_dtype, other_shape) = own.layout(), other.layout()
        raise RuleBroken(
            place,
            expected=f"a feature of {dtype} {list(shape)} as this one",
            received=f"{other_dtype} {list(other_shape)}",
        )
    if not own.ids_mean_as_in(other):
        raise RuleBroken(
            place,
            expected="features without a vocabulary, hashed alike or both with identity, as the "
            "same id is another word in each",
            received=f"two of kind {own.kind}",
        )


def _weights_of_terms_are_used(pipeline: PipelineSpec) -> None:
    """Refuses weights of terms that no encoder looks at."""
    if pipeline.model.builder is not None:
        return  # it finds them in the manifest
    for name, feature in pipeline.modelled().features.items():
        encoder = pipeline.encoder_of(name)
        if feature.has_term_weights and not encoder.reads_term_weights:
            raise RuleBroken(
                f"model.encoders.{name}.kind",
                expected=f"bag_of_words or custom, as features.{name}.weights is for these",
                received=repr(encoder.kind),
            )


def _gate_metrics_exist(pipeline: PipelineSpec) -> None:
    """Refuses a gate on a metric that no evaluation gives."""
    for gate in pipeline.gates():
        if gate.metric not in pipeline.metric_names():
            raise RuleBroken(
                "gate.metric",
                expected=f"one of {', '.join(pipeline.metric_names())}",
                received=repr(gate.metric),
            )
        split = str(gate.metric).partition("_")[0]
        if isinstance(pipeline.split, HashSplit) and getattr(pipeline.split, split) == 0:
            raise RuleBroken(
                f"split.{split}", expected=f"rows to judge {gate.metric} on", received="0 percent"
            )


CHECKS: tuple[Callable[[PipelineSpec], None], ...] = (
    _names_are_unique,
    _keys_differ_within_a_partition,
    _expressions_give_columns_of_their_own,
    _windows_do_not_leak,
    check_partitions,
    check_start,
    _noise_stands_beside_columns,
    _class_weights_name_labels,
    _thresholds_are_of_what_drifts,
    _the_model_takes_what_is_declared,
    _an_input_has_one_column,
    _encoders_fit_their_features,
    _weights_of_terms_are_used,
    check_augmentations,
    check_decoders,
    check_backbones,
    check_balance,
    check_members,
    check_objective,
    _gate_metrics_exist,
    check_slices,
    check_gates,
    check_expectations_can_be_judged,
)


def _fitting(pipeline: PipelineSpec) -> PipelineSpec:
    for check in CHECKS:
        check(pipeline)
    return pipeline


# A declaration as it is read: valid, and its parts fit together.
FITTING_PIPELINE: TypeAdapter[PipelineSpec] = TypeAdapter(
    Annotated[PipelineSpec, AfterValidator(_fitting)]
)
