"""A model that the user builds: found by its import path, checked against the declaration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from trainer.network.heads import head_of
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import DeclarationError
from transforms.contract.user_modules import import_module
from transforms.contract.workspace.manifest import TransformManifest

_PLACE = "model.builder"


def build_declared(path: str, pipeline: PipelineSpec, manifest: TransformManifest) -> keras.Model:
    """Calls a builder and checks what it returns.

    Args:
        path: "package.module:function".
        pipeline: The declaration.
        manifest: What the shards hold.

    Raises:
        DeclarationError: There is no such function, or its model does not take the stored
            features or does not give the targets.
    """
    model = find(path)(pipeline, manifest)
    if not isinstance(model, keras.Model):
        raise _wrong("a keras.Model", type(model).__name__, "Return a functional keras.Model.")
    inputs, outputs = _named(model, "input"), _named(model, "output")
    _compare_inputs(inputs, manifest)
    _compare_outputs(outputs, pipeline, manifest)
    return model


def find(path: str, place: str = _PLACE) -> Callable[..., Any]:
    """Returns a function by its import path; modules of the working directory are found too.

    Args:
        path: "package.module:function".
        place: Where the declaration names it.

    Raises:
        DeclarationError: The module or the function is not there, or fails on import.
    """
    module_name, _, name = path.partition(":")
    module = import_module(module_name, place)
    function = getattr(module, name, None)
    if not callable(function):
        raise _wrong(
            f"a function {name!r} in {module_name}",
            "no such name" if function is None else type(function).__name__,
            "Correct the name after the colon.",
            place=place,
        )
    return function  # type: ignore[no-any-return]


def _named(model: keras.Model, side: str) -> dict[str, keras.KerasTensor]:
    try:
        tensors = getattr(model, side)
    except (AttributeError, ValueError):
        tensors = None
    if not isinstance(tensors, dict):
        raise _wrong(
            f"a functional keras.Model with a dict of named {side}s",
            f"{side}s of type {type(tensors).__name__}",
            "Build it as keras.Model({name: keras.Input(...)}, {target: ...}).",
        )
    return tensors


def _compare_inputs(inputs: dict[str, Any], manifest: TransformManifest) -> None:
    expected = {s.name: (s.dtype, (None, *s.shape)) for s in manifest.inputs()}
    unknown = sorted(set(inputs) - set(expected))
    if unknown:
        raise _wrong(
            f"inputs among {', '.join(sorted(expected))}",
            f"an input {unknown[0]!r}",
            "Name the inputs as the transform manifest's `inputs()` does.",
        )
    for name, (dtype, shape) in expected.items():
        if name not in inputs:
            raise _wrong(f"an input {name!r}", "none", "Take every stored feature and indicator.")
        received = (inputs[name].dtype, tuple(inputs[name].shape))
        if received != (dtype, shape):
            raise _wrong(
                f"input {name!r} of {dtype} {shape}",
                f"{received[0]} {received[1]}",
                f"Use keras.Input({shape[1:]}, dtype={dtype!r}).",
            )


def _compare_outputs(
    outputs: dict[str, Any], pipeline: PipelineSpec, manifest: TransformManifest
) -> None:
    if set(outputs) != set(pipeline.targets):
        raise _wrong(
            f"the outputs {', '.join(sorted(pipeline.targets))}",
            ", ".join(sorted(outputs)) or "none",
            "Give every target, under its own name, and nothing else.",
        )
    stored = {s.name: s for s in manifest.stored}
    for name, target in pipeline.targets.items():
        head = head_of(target)
        shape = (None, *head.shape(target, stored[name]))
        if tuple(outputs[name].shape) != shape:
            raise _wrong(
                f"output {name!r} of shape {shape}",
                str(tuple(outputs[name].shape)),
                f"End it with activation {head.activation(target)!r}.",
            )


def _wrong(expected: str, received: str, action: str, *, place: str = _PLACE) -> DeclarationError:
    return DeclarationError(place, expected=expected, received=received, action=action)
