"""The flows of deployments, under a name that no folder of a worker's project has.

A Prefect worker imports a deployment's flow with its working directory first on the path.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from transforms.contract.process.own_packages import full_name

_MODULES = {
    "refresh_model": "flows.orchestration.run_flow",
    "backfill_partitions": "flows.orchestration.backfill_flow",
    "run_trainer_step": "flows.orchestration.trainer_flow",
}


def __getattr__(name: str) -> Any:
    """Returns a flow; a training machine has only what `run_trainer_step` imports.

    Raises:
        AttributeError: There is none of that name.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no flow {name!r}", name=name)
    return getattr(import_module(full_name(_MODULES[name])), name)
