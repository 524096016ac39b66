"""Searches of MLflow's client: all pages of one, and values in its filters."""

from __future__ import annotations

from typing import Any


def every(search: Any, **arguments: Any) -> list[Any]:
    """Returns the entities of every page of a search."""
    entities, token = [], None
    while True:
        page = search(**arguments, page_token=token)
        entities += page
        token = page.token
        if not token:
            return entities


def equals(field: str, value: str) -> str:
    """Returns the filter for what has a value."""
    escaped = value.replace("'", "''")
    return f"{field} = '{escaped}'"
