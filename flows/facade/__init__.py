"""Braid for notebooks and for kinds of your own.

    import braid

    p = braid.init(table, target="price")   # a declaration for a pandas, Polars or Arrow table
    p.run()                                 # table in, registered model out
    p.champion.predict(more)                # predictions, in the frame that the rows came in
    p.report()

`load` opens a declaration that is there. What is named here stays; what is not, may change. The
import loads neither TensorFlow nor Prefect; `keras.models.load_model` knows a run's `model.keras`
after it.
"""

from __future__ import annotations

import runpy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# A checkout has its packages beside each other, where a user's folder could be taken for one of
# them; the file is loaded by its path for the same reason. A wheel has them inside of this one.
_OF_A_CHECKOUT = (
    Path(__file__).absolute().parents[2] / "transforms/contract/process/own_packages.py"
)
if _OF_A_CHECKOUT.exists():
    runpy.run_path(str(_OF_A_CHECKOUT))["find_own_first"]()

from transforms.contract.process.own_packages import full_name

from .keras_objects import register_with_keras

if TYPE_CHECKING:
    from flows.records.plan import RunPlan
    from flows.records.record import RunRecord
    from flows.report.status import PipelineStatus
    from transforms.contract.columns.features import FeatureSpec, Layout, RawColumn
    from transforms.contract.declaration.pipeline import PipelineSpec
    from transforms.contract.errors import BraidError, DeclarationError
    from transforms.contract.spec import RuleBroken
    from transforms.contract.workspace.manifest import StoredFeature, TransformManifest
    from transforms.kinds.requests import (
        Fitted,
        Learnt,
        MomentsRequest,
        QuantilesRequest,
        Request,
        VocabularyRequest,
    )

    from .model import Model
    from .pipeline import Pipeline, init, load, plan, predict, run, status
    from .report import Report

__all__ = [
    "BraidError",
    "DeclarationError",
    "FeatureSpec",
    "Fitted",
    "Layout",
    "Learnt",
    "Model",
    "MomentsRequest",
    "Pipeline",
    "PipelineSpec",
    "PipelineStatus",
    "QuantilesRequest",
    "RawColumn",
    "Report",
    "Request",
    "RuleBroken",
    "RunPlan",
    "RunRecord",
    "StoredFeature",
    "TransformManifest",
    "VocabularyRequest",
    "init",
    "load",
    "plan",
    "predict",
    "run",
    "status",
]

# Each is imported when it is first asked for: the answers to a kind's requests need TensorFlow,
# tables need Arrow, and a training machine has neither Arrow nor Beam.
_HOMES = {
    ".model": ("Model",),
    ".pipeline": ("Pipeline", "init", "load", "plan", "predict", "run", "status"),
    ".report": ("Report",),
    "flows.records.plan": ("RunPlan",),
    "flows.records.record": ("RunRecord",),
    "flows.report.status": ("PipelineStatus",),
    "transforms.contract.columns.features": ("FeatureSpec", "Layout", "RawColumn"),
    "transforms.contract.declaration.pipeline": ("PipelineSpec",),
    "transforms.contract.errors": ("BraidError", "DeclarationError"),
    "transforms.contract.spec": ("RuleBroken",),
    "transforms.contract.workspace.manifest": ("StoredFeature", "TransformManifest"),
    "transforms.kinds.requests": (
        "Fitted",
        "Learnt",
        "MomentsRequest",
        "QuantilesRequest",
        "Request",
        "VocabularyRequest",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Returns one of `__all__`.

    Raises:
        AttributeError: It is none.
    """
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    module = import_module(home, __name__) if home[0] == "." else import_module(full_name(home))
    return globals().setdefault(name, getattr(module, name))


def __dir__() -> list[str]:
    return list(__all__)


register_with_keras()
