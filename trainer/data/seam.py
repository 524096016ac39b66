"""The seam between shards and model: what the declaration expects and what the shards hold."""

from __future__ import annotations

from transforms.contract.columns.targets import Target
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import (
    MISSING_SUFFIX,
    WEIGHT_SUFFIX,
    StoredFeature,
    TransformManifest,
)

RoleLayout = tuple[str, str, tuple[int, ...]]  # role, dtype, shape in a row


def check_seam(pipeline: PipelineSpec, manifest: TransformManifest) -> None:
    """Compares what the model of a declaration takes with what its shards hold.

    Raises:
        BraidError: A stored feature is missing, is one too many, or has another role, dtype or
            shape than the declaration gives it.
    """
    expected = expected_layout(pipeline)
    stored = {s.name: s for s in manifest.stored}
    for name in [*expected, *(name for name in stored if name not in expected)]:
        if name not in expected:
            raise _mismatch(manifest, name, "no such feature", _words(_layout(stored[name])))
        if name not in stored:
            raise _mismatch(manifest, name, _words(expected[name]), "nothing")
        if _layout(stored[name]) != expected[name]:
            raise _mismatch(manifest, name, _words(expected[name]), _words(_layout(stored[name])))
        _check_cardinality(pipeline, manifest, stored[name])


def expected_layout(pipeline: PipelineSpec) -> dict[str, RoleLayout]:
    """Returns role, dtype and shape of everything that a declaration's shards have to hold."""
    layout: dict[str, RoleLayout] = {}
    for name, feature in pipeline.features.items():
        layout[name] = ("feature", *feature.layout())
        if feature.has_indicator:
            layout[name + MISSING_SUFFIX] = ("indicator", "float32", ())
    for name, target in pipeline.targets.items():
        layout[name] = ("target", *target.layout())
        if _can_be_masked(target):
            layout[name + WEIGHT_SUFFIX] = ("weight", "float32", ())
    return layout


def _can_be_masked(target: Target) -> bool:
    return "mask" in (target.missing, target.invalid)


def _layout(stored: StoredFeature) -> RoleLayout:
    return stored.role, stored.dtype, stored.shape


def _words(layout: RoleLayout) -> str:
    role, dtype, shape = layout
    return f"a {role} of {dtype} {list(shape)}"


def _check_cardinality(
    pipeline: PipelineSpec, manifest: TransformManifest, stored: StoredFeature
) -> None:
    target = pipeline.targets.get(stored.name)
    is_class = target is not None and target.has_classes
    needs_ids = stored.role == "feature" and stored.dtype == "int64"
    if (needs_ids or is_class) and not stored.cardinality:
        raise _mismatch(manifest, stored.name, "a number of ids", "none")
    labels = manifest.targets[stored.name].labels if is_class else ()
    if is_class and len(labels) != stored.cardinality:
        raise _mismatch(manifest, stored.name, f"{len(labels)} classes", str(stored.cardinality))


def _mismatch(manifest: TransformManifest, name: str, expected: str, received: str) -> BraidError:
    return BraidError(
        f"'{name}' in the shards of transform {manifest.fingerprint}",
        expected=expected,
        received=received,
        action="The shards are from another declaration; run the transform step again.",
    )
