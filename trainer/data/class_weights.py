"""The weights of classes in the training loss."""

from __future__ import annotations

from transforms.contract.columns.targets import TargetSpec
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import DeclarationError
from transforms.contract.workspace.manifest import TargetStatistics, TransformManifest


def class_weights(
    pipeline: PipelineSpec, manifest: TransformManifest
) -> dict[str, tuple[float, ...]]:
    """Returns the weight of every class, in the order of their ids, for targets that declare it.

    Keras 3 refuses `class_weight` for a model of several outputs, so these go into the sample
    weights.

    Raises:
        DeclarationError: A weight is declared for a label that the training rows do not have.
    """
    weights = {}
    for name, target in pipeline.targets.items():
        declared = target.weights_of_classes
        if declared is None:
            continue
        statistics = manifest.targets[name]
        if declared == "balanced":
            weights[name] = _balanced(statistics)
        else:
            weights[name] = _declared(name, target, declared, statistics)
    return weights


def _balanced(statistics: TargetStatistics) -> tuple[float, ...]:
    """Returns rows / (classes * rows of the class): every class has the same total weight."""
    rows, classes = sum(statistics.counts), len(statistics.counts)
    return tuple(rows / (classes * count) if count else 1.0 for count in statistics.counts)


def _declared(
    name: str,
    target: TargetSpec,
    declared: dict[str, float],
    statistics: TargetStatistics,
) -> tuple[float, ...]:
    unknown = sorted(set(declared) - set(statistics.labels))
    if unknown:
        raise DeclarationError(
            f"targets.{name}.class_weights",
            expected="labels of the training rows"
            + ("" if target.sensitive else f": {', '.join(statistics.labels[:20])}"),
            received=repr(unknown[0]),
            action="Correct the label; a label that is not listed weighs 1.",
        )
    return tuple(declared.get(label, 1.0) for label in statistics.labels)
