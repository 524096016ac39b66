"""The steps of a run by their names, in the order in which a run takes them."""

from __future__ import annotations

from transforms.contract.declaration.pipeline import PipelineSpec

MEASURE_DRIFT = "measure drift"
WINDOWS = "windows"
# Of the steps on the model these are done again whenever a run is gone on with; the others once.
DECIDING = ("gate", "promote")
ON_MODEL = ("train", "export", "check", "evaluate", "register", *DECIDING)


def steps_of(pipeline: PipelineSpec) -> tuple[str, ...]:
    """Returns the names of the steps that a run of a declaration may have."""
    return (
        *((MEASURE_DRIFT,) if pipeline.transform.refit == "when_drifted" else ()),
        *((WINDOWS,) if pipeline.source.windows is not None else ()),
        "check keys",
        *(("expect",) if pipeline.expect else ()),
        *("analyze", "transform", "rows"),
        *ON_MODEL,
    )
