"""Variables in a declaration, and the secrets among them, which nothing may show or keep.

`${NAME}` stands for an environment variable, `${NAME:-default}` has a default, and `$${` is `${`.
Where a secret may stand, in `registry.uri` and in `beam.options`, the declaration holds the
unexpanded text until it is used, so that no job, record, export or registry has the secret. One
that is written out there is moved to a variable of this process, which its steps inherit.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from typing import Any

from transforms.contract.errors import DeclarationError
from transforms.contract.masking import (
    SECRET_NAME,
    masked,
    remember,
    replace_secrets,
    without_passwords,
)

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{")

_Path = tuple[str, ...]
# The one place whose variable a single command needs, and no machine that runs the pipeline has.
_OF_DEPLOYING: _Path = ("notify", "webhook")


def expand(text: str) -> str:
    """Returns a text with the values of its variables; those that are secrets are known then.

    Raises:
        DeclarationError: A variable is not set, or what begins with `${` is none.
    """

    def value_of(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name is None:
            if match.group() == "$${":
                return "${"
            raise DeclarationError(
                masked(text),
                expected="${NAME} or ${NAME:-default}, with letters, digits and _ in the name",
                received="${ with no such name",
                action="Correct it, or write $${ for the two characters themselves.",
            )
        value = os.environ.get(name)
        if not value and default is not None:
            return default  # no secret: the declaration says it
        if value is None:
            raise DeclarationError(
                masked(text),
                expected=f"a value of the environment variable {name}",
                received="none",
                action=f"Set it, or give it a default: ${{{name}:-default}}.",
            )
        if SECRET_NAME.search(name):
            remember(value)
        return value

    expanded = _REFERENCE.sub(value_of, text)
    _remember_secrets_of(expanded)
    return expanded


def _remember_secrets_of(uri: str) -> None:
    def remembered(secret: str) -> str:
        remember(secret)
        return secret

    replace_secrets(uri, remembered)


def expand_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options with the values of their variables, at any depth."""
    return {name: _expand_option(value, name) for name, value in options.items()}


def _expand_option(value: Any, *names: str) -> Any:
    if isinstance(value, str):
        expanded = expand(value)
        if any(map(SECRET_NAME.search, names)):
            remember(expanded)
        return expanded
    if isinstance(value, dict):
        return {name: _expand_option(item, *names, name) for name, item in value.items()}
    return [_expand_option(item, *names) for item in value] if isinstance(value, list) else value


def resolve(document: Any, place: str, path: _Path = ()) -> Any:
    """Returns a part of a declaration with the values of its variables, apart from secrets.

    Args:
        document: Its mappings, lists and scalars.
        place: Where it stands, for errors.
        path: The keys that lead to the part.

    Raises:
        DeclarationError: A variable is not set, or a secret stands where it would be kept.
    """
    if isinstance(document, dict):
        return {key: resolve(value, place, (*path, str(key))) for key, value in document.items()}
    if isinstance(document, list):
        return [resolve(item, place, (*path, str(n))) for n, item in enumerate(document)]
    if not isinstance(document, str):
        return document
    if path == _OF_DEPLOYING:
        return document
    where = f"{place}: {'.'.join(path)}"
    try:
        expanded = expand(document)
    except DeclarationError as error:
        raise DeclarationError(
            where, expected=error.expected, received=error.received, action=error.action
        ) from None
    if _may_hold_secrets(path):
        return _hidden(document, path)
    if _has_secret(document, expanded):
        raise DeclarationError(
            where,
            expected="no password, token or other secret here, as it would be kept in many files",
            received=masked(expanded),
            action="Secrets have their place in registry.uri and beam.options; storage takes its "
            "own from the environment.",
        )
    return expanded


def hide_all(document: Any, path: _Path = ()) -> Any:
    """Returns a part of a declaration with the secrets that it spells out as variables.

    Args:
        document: Its mappings, lists and scalars.
        path: The keys that lead to the part.
    """
    if isinstance(document, dict):
        return {key: hide_all(value, (*path, str(key))) for key, value in document.items()}
    if isinstance(document, list):
        return [hide_all(item, (*path, str(n))) for n, item in enumerate(document)]
    hides = isinstance(document, str) and _may_hold_secrets(path)
    return _hidden(document, path) if hides else document


def _may_hold_secrets(path: _Path) -> bool:
    return path == ("registry", "uri") or path[:2] == ("beam", "options")


def _has_secret(text: str, expanded: str) -> bool:
    names = [match.group(1) for match in _REFERENCE.finditer(text)]
    return any(name and SECRET_NAME.search(name) for name in names) or (
        without_passwords(expanded) != expanded
    )


def _hidden(text: str, path: _Path) -> str:
    """Returns an unexpanded text whose secrets are all variables."""

    def variable(secret: str) -> str:
        match = _REFERENCE.fullmatch(secret)
        if match is not None and match.group(1) is not None and match.group(2) is None:
            return secret
        return f"${{{_variable_of(expand(secret), path)}}}"

    whole = path[:2] == ("beam", "options") and any(map(SECRET_NAME.search, path[2:]))
    hidden = variable(text) if whole else replace_secrets(text, variable)
    expand(hidden)  # makes its secrets known
    return hidden


def _variable_of(value: str, path: _Path) -> str:
    """Returns the name of a variable of this process that has a value: an own one for each."""
    stem = re.sub("[^A-Za-z0-9]", "_", "_".join(["BRAID_SECRET", *path])).upper()
    names = (f"{stem}_{number}" for number in itertools.count(1))
    name = next(name for name in names if os.environ.get(name, value) == value)
    os.environ[name] = value
    return name
