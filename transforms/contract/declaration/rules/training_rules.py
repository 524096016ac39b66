"""The rules of a declaration's training, which join it with source, targets and model."""

from __future__ import annotations

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.training import (
    ConstantSchedule,
    DiscriminatorSpec,
    PartitionChoice,
)
from transforms.contract.spec import RuleBroken


def check_partitions(pipeline: PipelineSpec) -> None:
    """Refuses to choose among the partitions of a table that is one.

    Raises:
        RuleBroken: With the place in the document.
    """
    choice = pipeline.training.partitions
    if isinstance(choice, PartitionChoice) and pipeline.source.partition_by is None:
        raise RuleBroken(
            "training.partitions",
            expected="all where source.partition_by is not declared",
            received=choice.in_words(),
        )


def check_start(pipeline: PipelineSpec) -> None:
    """Refuses to begin with the first partition where there is one only, or all have to count.

    Raises:
        RuleBroken: With the place in the document.
    """
    training = pipeline.training
    if training.start == "all":
        return
    if pipeline.source.partition_by is None:
        raise RuleBroken(
            "training.start",
            expected="all where source.partition_by is not declared, as a table that is one "
            "partition is transformed as a whole",
            received=repr(training.start),
        )
    if not isinstance(training.schedule, ConstantSchedule):
        raise RuleBroken(
            "training.schedule.kind",
            expected="constant where training.start is streaming, as the number of steps is known "
            "once everything is transformed",
            received=repr(training.schedule.kind),
        )
    if training.refit == "all":
        raise RuleBroken(
            "training.refit",
            expected="auto or null where training.start is streaming, as the length of a second "
            "training follows from rows that are all there",
            received="'all'",
        )


def check_balance(pipeline: PipelineSpec) -> None:
    """Refuses to balance a single loss.

    Raises:
        RuleBroken: With the place in the document.
    """
    if pipeline.training.loss_balance == "uncertainty" and len(pipeline.modelled().targets) < 2:
        raise RuleBroken(
            "training.loss_balance", expected="fixed for a single target", received="'uncertainty'"
        )


def check_members(pipeline: PipelineSpec) -> None:
    """Refuses the spread of a single network's answers.

    Raises:
        RuleBroken: With the place in the document.
    """
    if pipeline.training.members == 1 and pipeline.spread_targets():
        raise RuleBroken(
            "training.members",
            expected=f"auto, or 2 or more, as targets.{pipeline.spread_targets()[0]}.spread is how "
            "far members' answers lie apart",
            received="1",
        )


def check_objective(pipeline: PipelineSpec) -> None:
    """Refuses adversarial training without a picture, noise or conditions.

    Raises:
        RuleBroken: With the place in the document.
    """
    training = pipeline.training
    if training.objective == "supervised":
        if training.discriminator != DiscriminatorSpec():
            raise RuleBroken(
                "training.discriminator",
                expected="objective: adversarial beside it",
                received="'supervised'",
            )
        return
    used = pipeline.modelled()
    pictures = [target for target in used.targets.values() if target.has_pixel_values]
    if len(pictures) != 1 or len(used.targets) != 1:
        kinds = ", ".join(f"{name} of kind {t.kind}" for name, t in used.targets.items())
        raise RuleBroken(
            "training.objective",
            expected="a single image target, with values and no classes, for 'adversarial'",
            received=kinds,
        )
    if len(used.column_features()) == len(used.features):
        raise RuleBroken(
            "training.objective",
            expected="a feature of kind noise for 'adversarial'",
            received=", ".join(used.features),
        )
    if training.early_stopping_patience not in (None, "auto"):
        raise RuleBroken(
            "training.early_stopping_patience",
            expected="null for objective 'adversarial', as no loss says which epoch is best",
            received=str(training.early_stopping_patience),
        )
