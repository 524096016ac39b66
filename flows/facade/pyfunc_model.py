"""The loader that an `MLmodel` names, by a name that no folder of a user's project has."""

from __future__ import annotations

from flows.serving.pyfunc_model import _load_pyfunc

__all__ = ["_load_pyfunc"]
