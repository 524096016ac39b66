"""From a YAML document to a `PipelineSpec`, with errors that name the place in the document."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from pydantic import ValidationError

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.problems import problems_of
from transforms.contract.declaration.rules.checks import FITTING_PIPELINE
from transforms.contract.declaration.secrets import hide_all, resolve
from transforms.contract.declaration.text_defaults import with_text_defaults
from transforms.contract.declaration.yaml_text import MOST_BYTES, YamlError, read_yaml
from transforms.contract.errors import DeclarationError
from transforms.contract.user_modules import search

_ACTION = "Correct the declaration; `braid schema` prints every key with its type and default."


def load(path: Path, overrides: Iterable[str] = ()) -> PipelineSpec:
    """Reads a declaration.

    Args:
        path: The YAML file.
        overrides: "training.epochs=3" and the like; the value is YAML.

    Raises:
        DeclarationError: The file is not there, is not YAML, or declares something wrong. All that
            is wrong is named at once.
    """
    document = read_document(path, overrides)
    search(path.parent)
    spec = parse(document, place=str(path))
    located = _with_absolute_source(_with_absolute_store(spec, path.parent), path.parent)
    _refuse_store_in_source(located, str(path))
    return _with_absolute_weights(located, path.parent)


def hide_secrets(overrides: Iterable[str]) -> tuple[str, ...]:
    """Returns what `--set` said, with secrets that it spells out as variables of this process.

    Overrides are kept by Prefect, as the parameters of a flow.
    """
    return tuple(_hidden(override) for override in overrides)


def _hidden(override: str) -> str:
    document: dict[str, Any] = {}
    _override(document, override)
    path = override.partition("=")[0]
    value: Any = hide_all(document)
    if value == document:
        return override
    for key in path.split("."):
        value = value[key]
    return f"{path}={json.dumps(value)}"  # which is YAML too


def read_document(path: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Returns what a declaration's file says, with other values for some keys.

    Raises:
        DeclarationError: The file is not there or is no YAML mapping, or an override is no setting.
    """
    try:
        document = read_yaml(_text(path))
    except YamlError as error:
        raise DeclarationError(
            str(path),
            expected="a YAML document",
            received=str(error),
            action="Correct the YAML at the line that is named.",
        ) from None
    if not isinstance(document, dict):
        raise DeclarationError(
            str(path),
            expected="a mapping with name, source, features and targets",
            received=type(document).__name__,
            action=_ACTION,
        )
    for override in overrides:
        _override(document, override)
    return document


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for, a device never ends
            raise DeclarationError(
                str(path),
                expected="a YAML file",
                received="a folder" if path.is_dir() else "no regular file",
                action="Give the path of a pipeline.yaml; `braid init DIR` writes one.",
            )
        with path.open(encoding="utf-8") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # of a path with a NUL, of bytes that are not UTF-8
        raise DeclarationError(
            str(path),
            expected="a readable YAML file in UTF-8",
            received=str(getattr(error, "strerror", None) or error),
            action="Give the path of a pipeline.yaml; `braid init DIR` writes one.",
        ) from None


def parse(document: dict[str, Any], place: str = "declaration") -> PipelineSpec:
    """Validates a declaration that is already a mapping.

    Raises:
        DeclarationError: With every wrong place, one a line; or a variable has no value.
    """
    try:
        text = json.dumps(with_text_defaults(document), default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DeclarationError(
            place,
            expected="keys that are text, finite numbers, and no value that holds itself",
            received=str(error),
            action="Correct the YAML.",
        ) from None
    resolved = resolve(json.loads(text), place)
    try:
        return FITTING_PIPELINE.validate_json(json.dumps(resolved))
    except ValidationError as error:
        problems = problems_of(error, resolved)
    if len(problems) == 1:
        problem = problems[0]
        raise DeclarationError(
            f"{place}: {problem.place}",
            expected=problem.expected,
            received=problem.received,
            action=_ACTION,
        )
    lines = "".join(
        f"\n  {p.place}: expected {p.expected}, received {p.received}" for p in problems
    )
    raise DeclarationError(
        place,
        expected="a valid declaration",
        received=f"{len(problems)} wrong places:{lines}\n",
        action=_ACTION,
    )


def _override(document: dict[str, Any], override: str) -> None:
    path, separator, value = override.partition("=")
    if not separator or not all(path.split(".")):
        raise DeclarationError(
            f"--set {override}",
            expected="a path in the declaration and a value, such as training.epochs=3",
            received=repr(override),
            action="Write --set PATH=VALUE.",
        )
    *parents, last = path.split(".")
    place: Any = document
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise DeclarationError(
            f"--set {override}",
            expected="a path through mappings of the declaration",
            received=repr(path),
            action="Name a key that the declaration has or may have.",
        )
    try:
        place[last] = read_yaml(value)
    except YamlError as error:
        raise DeclarationError(
            f"--set {override}",
            expected="a value in YAML",
            received=str(error),
            action="Write the value as it would stand in the YAML file.",
        ) from None


def _with_absolute_source(spec: PipelineSpec, folder: Path) -> PipelineSpec:
    """Takes the source's relative paths from the declaration's folder, wherever a command runs."""

    def absolute(path: str) -> str:
        return path if "://" in path else str((folder / path).absolute())

    allow = tuple(map(absolute, spec.source.allow))
    paths = {"path": absolute(spec.source.path), "allow": allow}
    return spec.model_copy(update={"source": spec.source.model_copy(update=paths)})


def _with_absolute_store(spec: PipelineSpec, folder: Path) -> PipelineSpec:
    """Takes a store's relative path from the declaration's folder."""
    store = spec.declared_store()
    if store is None or "://" in store.path:
        return spec
    path = str((folder / store.path).resolve())
    return spec.model_copy(update={"store": store.model_copy(update={"path": path})})


def _refuse_store_in_source(spec: PipelineSpec, place: str) -> None:
    """Refuses a store whose files would be rows of the table.

    Raises:
        DeclarationError: It lies in the source's folder.
    """
    store = spec.declared_store()
    if store is None:
        return
    source, inner = _comparable(spec.source.path), _comparable(store.path)
    if inner.is_relative_to(source):
        raise DeclarationError(
            f"{place}: store",
            expected=f"a place outside of the source, {spec.source.path}",
            received=store.path,
            action="Give the store a folder of its own beside the source.",
        )


def _comparable(path: str) -> PurePath:
    """Returns a path or URL up to its first wildcard, without options and credentials."""
    if "://" not in path:
        return Path(_up_to_wildcard(path) or "/").resolve()
    scheme, _, rest = path.partition("?")[0].partition("://")
    bucket, _, inner = rest.partition("/")
    return PurePosixPath(scheme, bucket.rpartition("@")[2], _up_to_wildcard(inner))


def _up_to_wildcard(path: str) -> str:
    parts = itertools.takewhile(lambda part: not set("*?[") & set(part), path.split("/"))
    return "/".join(parts)


def _with_absolute_weights(spec: PipelineSpec, folder: Path) -> PipelineSpec:
    """Takes an encoder's relative weights file from the declaration's folder."""
    encoders = {n: encoder.located_in(folder) for n, encoder in spec.model.encoders.items()}
    model = spec.model.model_copy(update={"encoders": encoders})
    return spec.model_copy(update={"model": model})
