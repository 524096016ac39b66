"""The work of `braid promote` and `braid rollback`: the export answers, then the alias moves."""

from __future__ import annotations

import os
from typing import NoReturn

from flows.checks.check_models import check_version
from flows.console.harmless import say
from flows.console.output import give
from flows.prediction.predict import libraries_kept_quiet
from flows.steps.registration import find_version, reach_registry
from trainer.registry.champions import CHAMPION, Cause
from trainer.registry.registry import ModelRegistry
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.process.startup import quick_start
from transforms.contract.workspace.layout import Workspace

_BY_NUMBER = (
    "`braid history` tells what there was; `braid promote` takes any version by its number."
)


def promote(pipeline: PipelineSpec, workspace: Workspace, version: str, reason: str) -> None:
    """Makes a version the champion, and says whose place it takes.

    Raises:
        BraidError: There is no such version, its export is missing or damaged or does not answer,
            or the registry cannot be reached. The champion stays.
    """
    registry = reach_registry(pipeline, workspace)
    name = pipeline.registered_name()
    registered = find_version(registry, name, alias=CHAMPION, version=version)
    if CHAMPION not in registered.aliases:
        _try_out(workspace, registry, registered)
    change = registry.promote(name, version, Cause("hand", reason))
    _give(name, version, None if change is None else change.before, moved=change is not None)
    if change is None:
        say(f"{name} version {version} is the champion already.")
        return
    place = f"in the place of version {change.before}" if change.before else "the first"
    say(f"{name} version {version} is the champion now, {place}.")
    if change.gate:
        say(f"Its gate {change.gate}")


def roll_back(pipeline: PipelineSpec, workspace: Workspace, reason: str) -> None:
    """Makes the champion before this one the champion again, and says which that is.

    Raises:
        BraidError: There is none, or as of `promote`. The champion stays.
    """
    registry = reach_registry(pipeline, workspace)
    name = pipeline.registered_name()
    history = registry.history(name)
    champion, former = history.champion, history.former()
    if champion is None:
        _refuse(name, expected="a champion to go back from", received="none")
    if former is None:
        received = f"version {champion}, and no word of one before it"
        _refuse(name, expected="a champion before the present one", received=received)
    registered = registry.find(name, version=former)
    if registered is None:
        expected = f"version {former}, which was the champion before version {champion}"
        _refuse(name, expected=expected, received="no such version any more")
    _try_out(workspace, registry, registered)
    registry.promote(name, former, Cause("rollback", reason, instead_of=champion))
    _give(name, former, champion, moved=True)
    say(f"{name} version {former} is the champion again, in the place of version {champion}.")


def _try_out(workspace: Workspace, registry: ModelRegistry, registered: RegisteredVersion) -> None:
    """Refuses a version whose export is not whole, or does not load and answer here and now."""
    place = f"version {registered.version} of {registered.name}"
    for defect in check_version(workspace, registry, registered):
        raise BraidError(
            place,
            expected="its whole export, before it becomes the champion",
            received=f"{defect.path}: {defect.what}",
            action=defect.action,
        )
    # A training may have the GPU's memory as a whole, and an export answers without one.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with libraries_kept_quiet():
        with quick_start():
            from trainer.export.serving import load, try_out

        try_out(load(registry.export_folder(registered)))


def _give(name: str, champion: str, before: str | None, *, moved: bool) -> None:
    give({"model": name, "champion": champion, "before": before, "moved": moved})


def _refuse(name: str, *, expected: str, received: str) -> NoReturn:
    raise BraidError(f"model '{name}'", expected=expected, received=received, action=_BY_NUMBER)
