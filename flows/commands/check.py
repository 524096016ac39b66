"""The work and the output of `braid check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from flows.checks.check_data import check_data
from flows.checks.check_models import check_registry, check_runs
from flows.checks.defects import Defect
from flows.commands.exit_codes import DAMAGED
from flows.console.harmless import say
from flows.console.output import give
from flows.console.wording import counted
from flows.retention.bucket_leftovers import transforms_in_bucket
from flows.retention.exclusion import exclusive
from flows.retention.store_needs import join_store, sweeping
from flows.steps.registration import open_registry
from trainer.registry.own_database import DATABASE_FILE
from trainer.registry.registry import ModelRegistry
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.files import Place, remove
from transforms.contract.workspace.layout import LockKind, Workspace
from transforms.contract.workspace.locks import exclusive_lock

_LOCKED: tuple[LockKind, ...] = ("run", "transform", "windows")


def check(workspace: Workspace, pipeline: PipelineSpec | None, *, repair: bool) -> int:
    """Verifies a whole workspace, and tells of everything that is not as it was written.

    Args:
        workspace: Where everything lies.
        pipeline: The declaration whose registry is looked at; None looks at the workspace's own.
        repair: Whether what a run makes again is removed.

    Returns:
        0 if everything is whole, or is so after the repair; 1 if not.

    Raises:
        BraidError: There is no such workspace, a run works there while it is to be repaired, or
            the registry cannot be reached.
    """
    if not workspace.root.is_dir():
        raise BraidError(
            str(workspace.root),
            expected="a workspace",
            received="no such folder",
            action="Give the declaration whose workspace it is, or --workspace.",
        )
    looked_at: Counter[str] = Counter()
    with ExitStack() as stack:
        if repair:
            join_store(workspace)
            refuse_lost = stack.enter_context(sweeping(workspace))
            _keep_others_out(workspace, stack)
        defects = list(_damages(workspace, pipeline, looked_at))
        removed = _remove(defects, refuse_lost) if repair else []
    for defect in defects:
        _show(workspace, defect, removed)
    seen = ", ".join(counted(number, name) for name, number in looked_at.items()) or "nothing"
    left = [defect for defect in defects if defect not in removed]
    told = {"damaged": [each.told() for each in left], "removed": [d.told() for d in removed]}
    give({"looked_at": looked_at, **told})
    say(f"Looked at {seen} in {workspace.root}.")
    if not defects:
        say("All of it is whole.")
    elif not left:
        say(f"{len(defects)} damaged, and removed: the next run makes it again.")
    else:
        say(f"{len(left)} damaged." + _advice(left, repair=repair))
    return DAMAGED if left else 0


def _damages(
    workspace: Workspace, pipeline: PipelineSpec | None, looked_at: Counter[str]
) -> Iterator[Defect]:
    yield from check_data(workspace, looked_at)
    yield from check_runs(workspace, looked_at)
    uri = None if pipeline is None else pipeline.registry.uri
    yield from check_registry(
        workspace,
        ModelRegistry(workspace.root) if pipeline is None else open_registry(pipeline, workspace),
        looked_at,
        database=workspace.root / DATABASE_FILE if uri is None else None,
        names=None if pipeline is None else [pipeline.registered_name()],
    )


def _keep_others_out(workspace: Workspace, stack: ExitStack) -> None:
    """Holds every lock that a run or a backfill works under, of a bucket all workspaces' leases."""
    store = workspace.stored
    for kind in _LOCKED:
        names = {path.stem for path in workspace.lock(kind, "any").parent.glob("*.lock")}
        if kind == "transform" and isinstance(store, BucketPath):
            names |= transforms_in_bucket(store)
        for name in sorted(names):
            holder = f"{kind} {name}, while the workspace is repaired"
            if kind == "transform":
                stack.enter_context(exclusive(workspace, kind, name, holder))
            else:
                stack.enter_context(exclusive_lock(workspace.lock(kind, name), holder=holder))


def _remove(defects: Sequence[Defect], refuse_lost: Callable[[], None]) -> list[Defect]:
    """Removes what a run makes again, and returns whose that was."""
    removed = [defect for defect in defects if defect.removes]
    for defect in removed:
        refuse_lost()
        for path in defect.removes:
            remove(path)
    return removed


def _show(workspace: Workspace, defect: Defect, removed: Sequence[Defect]) -> None:
    say(f"{_below(workspace, defect.path)}: {defect.what}")
    say(f"  {'removed' if defect in removed else defect.action}")


def _below(workspace: Workspace, path: Place) -> Place:
    if isinstance(path, Path) and path.is_relative_to(workspace.root):
        return path.relative_to(workspace.root)
    return path


def _advice(left: Sequence[Defect], *, repair: bool) -> str:
    remade = 0 if repair else sum(bool(defect.removes) for defect in left)
    return f" Of these a run makes {remade} again once --repair has removed it." if remade else ""
