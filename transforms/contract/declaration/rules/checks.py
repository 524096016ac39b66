"""Rules that join several places of a declaration.

Each is a function that raises `ValueError("@path rule, received X")`, where the path names the one
place to correct.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from transforms.contract.columns.datetimes import Datetime
from transforms.contract.columns.features import Categorical, Image, Noise, RawColumn, Text
from transforms.contract.columns.kinds import Feature
from transforms.contract.columns.targets import BinaryMask, ContinuousImage, ImageTarget, Target
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.rules.pictures import (
    check_augmentations,
    check_backbones,
    check_decoders,
)
from transforms.contract.declaration.source import WINDOW_SPLIT_COLUMN
from transforms.contract.declaration.split import HashSplit, TimeSplit
from transforms.contract.declaration.training import (
    ConstantSchedule,
    DiscriminatorSpec,
    PartitionChoice,
)
from transforms.contract.network.encoders import (
    BagOfWordsEncoder,
    CustomEncoder,
    SharedEncoder,
    encoders_of,
)

ERROR_COLUMN = "error"  # of predictions: why a row could not be scored


def _names_are_unique(pipeline: PipelineSpec) -> None:
    """Refuses names that clash with one another or with what is derived from them."""
    shared = sorted(set(pipeline.features) & set(pipeline.targets))
    if shared:
        raise ValueError(
            f"@targets.{shared[0]} a name that no feature has, received {shared[0]!r} twice"
        )
    for group, names in (("features", pipeline.features), ("targets", pipeline.targets)):
        for name in names:
            if "__" in name:  # what Braid derives from a name: its weight, its indicator
                raise ValueError(f"@{group}.{name} a name without '__', received {name!r}")
    for name in (ERROR_COLUMN, pipeline.source.key):
        if name in pipeline.targets:
            raise ValueError(
                f"@targets.{name} another name, as predictions have a column of this one, "
                f"received {name!r}; name the target's column with `column:`"
            )


def _keys_differ_within_a_partition(pipeline: PipelineSpec) -> None:
    """Refuses the partitions' column as the key: it is the same for all rows of one."""
    if pipeline.source.partition_column == pipeline.source.key:
        raise ValueError(
            "@source.key a column that differs from row to row, received that of partition_by, "
            f"{pipeline.source.key!r}"
        )


def _windows_do_not_leak(pipeline: PipelineSpec) -> None:
    """Refuses windows that could show one split what another has to predict."""
    windows = pipeline.source.windows
    if windows is None:
        return
    if pipeline.source.partition_by is not None:
        raise ValueError(
            "@source.partition_by no partitions, as a window may reach over their borders, "
            f"received {pipeline.source.partition_by!r}"
        )
    if not isinstance(pipeline.split, TimeSplit) or pipeline.split.column != windows.time:
        raise ValueError(
            f"@split {{by: time, column: {windows.time}, validation_from: ..., test_from: "
            f"...}}, as windows of one split must not reach into another, "
            f"received {pipeline.split.model_dump(exclude_defaults=True) or 'none'}"
        )
    made = (pipeline.source.key, WINDOW_SPLIT_COLUMN, *windows.next_columns())
    names = [*made, *windows.values, *windows.keep]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"@source.windows a name of its own for every column of a window's row, "
            f"received {twice[0]!r} twice"
        )
    for name, raw in pipeline.raw_features().items():
        later = set(raw.columns).intersection(windows.next_columns())
        if later:
            raise ValueError(
                f"@features.{name} a column that is known at a window's last step, "
                f"received {min(later)!r}"
            )


def _there_are_partitions_to_choose_from(pipeline: PipelineSpec) -> None:
    """Refuses to choose among the partitions of a table that is one."""
    choice = pipeline.training.partitions
    if isinstance(choice, PartitionChoice) and pipeline.source.partition_by is None:
        raise ValueError(
            "@training.partitions all where source.partition_by is not declared, "
            f"received {choice.in_words()}"
        )


def _a_training_can_begin_early(pipeline: PipelineSpec) -> None:
    """Refuses to begin with the first partition where there is one only, or all have to count."""
    training = pipeline.training
    if training.start == "all":
        return
    if pipeline.source.partition_by is None:
        raise ValueError(
            "@training.start all where source.partition_by is not declared, as a table that is "
            f"one partition is transformed as a whole, received {training.start!r}"
        )
    if not isinstance(training.schedule, ConstantSchedule):
        raise ValueError(
            "@training.schedule.kind constant where training.start is streaming, as the number of "
            "steps is known once everything is transformed, "
            f"received {training.schedule.kind!r}"
        )
    if training.refit == "all":
        raise ValueError(
            "@training.refit auto or null where training.start is streaming, as the length of a "
            "second training follows from rows that are all there, received 'all'"
        )


def _noise_stands_beside_columns(pipeline: PipelineSpec) -> None:
    """Refuses a model that takes nothing but noise."""
    columns = {column for raw in pipeline.raw_features().values() for column in raw.columns}
    for name, feature in pipeline.modelled().features.items():
        if not isinstance(feature, Noise):
            continue
        if not pipeline.modelled().column_features():
            raise ValueError(
                f"@features.{name} a feature with a column beside it, received noise alone"
            )
        if name in columns:  # the exported model takes both, by these names
            raise ValueError(
                f"@features.{name} a name that no feature's column has, received {name!r}"
            )


def _class_weights_name_labels(pipeline: PipelineSpec) -> None:
    """Refuses weights of classes that a yes-or-no target does not have."""
    for name, target in pipeline.targets.items():
        weights = getattr(target, "class_weights", None)
        if target.kind == "binary" and isinstance(weights, dict) and set(weights) - {"0", "1"}:
            raise ValueError(
                f"@targets.{name}.class_weights weights for the labels '0' and '1', "
                f"received {sorted(weights)}"
            )


def _thresholds_are_of_what_drifts(pipeline: PipelineSpec) -> None:
    """Refuses thresholds of what has no statistics, and a drift of windows."""
    if pipeline.transform.refit == "when_drifted" and pipeline.source.windows is not None:
        raise ValueError(
            "@transform.refit always or never where source.windows is declared, as windows are one "
            "partition, which is new as a whole, received 'when_drifted'"
        )
    declared = {**pipeline.features, **pipeline.targets}
    measured = [name for name, spec in declared.items() if _has_statistics(spec)]
    for name in pipeline.transform.drift.features:
        if name not in measured:
            why = "which has no statistics" if name in declared else "which is not declared"
            raise ValueError(
                f"@transform.drift.features.{name} a feature or target whose statistics a "
                f"transform freezes ({', '.join(measured)}), received {name!r}, {why}"
            )


def _has_statistics(spec: Feature | Target) -> bool:
    if isinstance(spec, Categorical):
        return spec.encoding == "vocabulary"
    if isinstance(spec, Datetime):
        return "trend" in spec.parts
    return not isinstance(spec, Image | ImageTarget | Noise)


def _the_model_takes_what_is_declared(pipeline: PipelineSpec) -> None:
    """Refuses a model of features and targets that are not declared."""
    for group, declared in (("features", pipeline.features), ("targets", pipeline.targets)):
        for name in getattr(pipeline.model, group) or ():
            if name not in declared:
                raise ValueError(f"@model.{group} some of {', '.join(declared)}, received {name!r}")
    used = pipeline.modelled()
    for name in pipeline.model.encoders:
        if name in pipeline.features and name not in used.features:
            raise ValueError(
                f"@model.encoders.{name} one of model.features "
                f"({', '.join(used.features)}), received {name!r}"
            )


def _an_input_has_one_column(pipeline: PipelineSpec) -> None:
    """Refuses a column that is named like the input of another one that is read in several ways."""
    seen: dict[str, RawColumn] = {}
    for raw in (*pipeline.raw_features().values(), *pipeline.raw_targets().values()):
        other = seen.setdefault(raw.name, raw)
        if other != raw:
            raise ValueError(
                f"@features one source for the model's input {raw.name!r}, received the columns "
                f"{', '.join(other.columns)} and {', '.join(raw.columns)}; rename one of them"
            )


def _encoders_fit_their_features(pipeline: PipelineSpec) -> None:
    """Refuses encoders that cannot read their feature."""
    for name, encoder in pipeline.model.encoders.items():
        if name not in pipeline.features:
            raise ValueError(f"@model.encoders.{name} the name of a feature, received {name!r}")
        if isinstance(encoder, SharedEncoder):
            _refuse_to_share(pipeline, name, encoder)
            continue
        kind = pipeline.features[name].kind
        allowed = encoders_of(kind)
        if type(encoder) not in allowed:
            kinds = ", ".join(cls.model_fields["kind"].default for cls in allowed)
            raise ValueError(
                f"@model.encoders.{name}.kind one of {kinds} for the {kind} feature, "
                f"received {encoder.kind!r}"
            )


def _refuse_to_share(pipeline: PipelineSpec, name: str, encoder: SharedEncoder) -> None:
    place = f"@model.encoders.{name}.with"
    other = pipeline.modelled().features.get(encoder.with_)
    own = pipeline.features[name]
    if other is None or encoder.with_ == name:
        raise ValueError(f"{place} the name of another feature, received {encoder.with_!r}")
    if isinstance(pipeline.model.encoders.get(encoder.with_), SharedEncoder):
        raise ValueError(
            f"{place} a feature with an encoder of its own, received {encoder.with_!r}, "
            "which shares one"
        )
    if own.kind != other.kind:
        raise ValueError(f"{place} another {own.kind} feature, received the kind {other.kind}")
    if own.layout() != other.layout():
        (dtype, shape), (other_dtype, other_shape) = own.layout(), other.layout()
        raise ValueError(
            f"{place} a feature of {dtype} {list(shape)} as this one, "
            f"received {other_dtype} {list(other_shape)}"
        )
    if not _ids_mean_the_same(own, other):
        raise ValueError(
            f"{place} features without a vocabulary, hashed alike or both with identity, as "
            f"the same id is another word in each, received two of kind {own.kind}"
        )


def _weights_of_terms_are_used(pipeline: PipelineSpec) -> None:
    """Refuses weights of terms that no encoder looks at."""
    if pipeline.model.builder is not None:
        return  # it finds them in the manifest
    for name, feature in pipeline.modelled().features.items():
        encoder = pipeline.encoder_of(name)
        weighted = isinstance(feature, Text) and feature.weights is not None
        if weighted and not isinstance(encoder, (BagOfWordsEncoder, CustomEncoder)):
            raise ValueError(
                f"@model.encoders.{name}.kind bag_of_words or custom, as "
                f"features.{name}.weights is for these, received {encoder.kind!r}"
            )


def _balance_has_something_to_balance(pipeline: PipelineSpec) -> None:
    """Refuses to balance a single loss."""
    if pipeline.training.loss_balance == "uncertainty" and len(pipeline.modelled().targets) < 2:
        raise ValueError("@training.loss_balance fixed for a single target, received 'uncertainty'")


def _a_spread_has_members(pipeline: PipelineSpec) -> None:
    """Refuses the spread of a single network's answers."""
    if pipeline.training.members == 1 and pipeline.spread_targets():
        raise ValueError(
            f"@training.members auto, or 2 or more, as targets.{pipeline.spread_targets()[0]}."
            "spread is how far members' answers lie apart, received 1"
        )


def _an_adversary_has_a_picture_to_judge(pipeline: PipelineSpec) -> None:
    """Refuses adversarial training without a picture, noise or conditions."""
    training = pipeline.training
    if training.objective == "supervised":
        if training.discriminator != DiscriminatorSpec():
            raise ValueError(
                "@training.discriminator objective: adversarial beside it, received 'supervised'"
            )
        return
    used = pipeline.modelled()
    pictures = [t for t in used.targets.values() if isinstance(t, BinaryMask | ContinuousImage)]
    if len(pictures) != 1 or len(used.targets) != 1:
        kinds = ", ".join(f"{name} of kind {t.kind}" for name, t in used.targets.items())
        raise ValueError(
            "@training.objective a single image target, with values and no classes, for "
            f"'adversarial', received {kinds}"
        )
    if len(used.column_features()) == len(used.features):
        raise ValueError(
            "@training.objective a feature of kind noise for 'adversarial', received "
            f"{', '.join(used.features)}"
        )
    if training.early_stopping_patience not in (None, "auto"):
        raise ValueError(
            "@training.early_stopping_patience null for objective 'adversarial', as no loss "
            f"says which epoch is best, received {training.early_stopping_patience}"
        )


def _gate_metrics_exist(pipeline: PipelineSpec) -> None:
    """Refuses a gate on a metric that no evaluation gives."""
    for gate in pipeline.gates():
        if gate.metric not in pipeline.metric_names():
            raise ValueError(
                f"@gate.metric one of {', '.join(pipeline.metric_names())}, "
                f"received {gate.metric!r}"
            )
        split = str(gate.metric).partition("_")[0]
        if isinstance(pipeline.split, HashSplit) and getattr(pipeline.split, split) == 0:
            raise ValueError(f"@split.{split} rows to judge {gate.metric} on, received 0 percent")


def _ids_mean_the_same(left: Feature, right: Feature) -> bool:
    """Returns whether an id stands for the same value in both: learnt ids never do."""
    if isinstance(left, Categorical) and isinstance(right, Categorical):
        return left.encoding == right.encoding != "vocabulary"
    return not hasattr(left, "vocabulary_size")


CHECKS: tuple[Callable[[PipelineSpec], None], ...] = (
    _names_are_unique,
    _keys_differ_within_a_partition,
    _windows_do_not_leak,
    _there_are_partitions_to_choose_from,
    _a_training_can_begin_early,
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
    _balance_has_something_to_balance,
    _a_spread_has_members,
    _an_adversary_has_a_picture_to_judge,
    _gate_metrics_exist,
)


def _fitting(pipeline: PipelineSpec) -> PipelineSpec:
    for check in CHECKS:
        check(pipeline)
    return pipeline


# A declaration as it is read: valid, and its parts fit together.
FITTING_PIPELINE: TypeAdapter[PipelineSpec] = TypeAdapter(
    Annotated[PipelineSpec, AfterValidator(_fitting)]
)
