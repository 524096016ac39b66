"""The removal of runs and registered versions of a pipeline that nothing needs any more."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.process.run_copies import remove_copies
from flows.records.kept import KeptRecord, read_kept, write_kept
from flows.records.record import FINISHED, RunRecord
from trainer.registry.champions import History
from trainer.registry.registry import ModelRegistry
from trainer.registry.version import RegisteredVersion
from transforms.contract.workspace.files import TEMPORARY, remove
from transforms.contract.workspace.layout import Workspace

_PRUNED = f"{TEMPORARY}pruned-"  # what begins so in a workspace is a removal under way
_DIGITS = 8  # of a name of its own, after the pipeline

Run = tuple[Path, RunRecord]


@dataclass(frozen=True)
class Reason:
    """Something that stays although it is old, and why.

    Attributes:
        what: A version or a run, in words.
        why: What needs it.
    """

    what: str
    why: str


@dataclass(frozen=True)
class Prunable:
    """The runs and versions that nothing needs any more.

    Attributes:
        versions: Registered ones, the oldest first.
        runs: Folders and records, the oldest first.
        needed: What is older than those that are kept, and stays.
    """

    versions: tuple[RegisteredVersion, ...]
    runs: tuple[Run, ...]
    needed: tuple[Reason, ...]


def prunable(
    pipeline: str,
    runs: Sequence[Run],
    versions: Iterable[RegisteredVersion],
    history: History,
    *,
    keep: int,
    others: Iterable[RunRecord] = (),
) -> Prunable:
    """Returns what nothing needs of a pipeline's runs and of the versions that they registered.

    Needed is what is among the newest, what a run that is going on or may be resumed works with,
    the newest run that ended with a model, by which the next one knows that nothing is new, a
    version with an alias, the champion before the present one, and the run of a needed version.

    Args:
        pipeline: The pipeline's name.
        runs: All of its runs, the oldest first.
        versions: All of the registered model, other pipelines' among them, which stay.
        history: Of the registered model.
        keep: How many of the newest runs, and how many of the newest versions, stay in any case.
        others: The runs of other pipelines.
    """
    own = {v.version: v for v in versions if v.run_id.startswith(f"{pipeline}/")}
    by_age = sorted(own.values(), key=lambda version: int(version.version))
    why_runs = _needed_runs([record for _, record in runs])
    why_versions = _needed_versions(own, history, (*(record for _, record in runs), *others))
    run_of = {version: item.run_id.partition("/")[2] for version, item in own.items()}
    for version, run in run_of.items():
        if run in why_runs:
            why_versions.setdefault(version, f"run {run}")
    newest = {version.version for version in by_age[max(0, len(by_age) - keep) :]}
    for version in newest | set(why_versions):
        if version in run_of:
            why_runs.setdefault(run_of[version], f"version {version}")
    old_runs = runs[: max(0, len(runs) - keep)]
    old_versions = [version for version in by_age if version.version not in newest]
    return Prunable(
        versions=tuple(v for v in old_versions if v.version not in why_versions),
        runs=tuple(run for run in old_runs if run[1].run_id not in why_runs),
        needed=(
            *_reasons("version", (v.version for v in old_versions), why_versions),
            *_reasons("run", (record.run_id for _, record in old_runs), why_runs),
        ),
    )


def _reasons(what: str, names: Iterable[str], why: Mapping[str, str]) -> list[Reason]:
    return [Reason(f"{what} {name}", why[name]) for name in names if name in why]


def _needed_versions(
    own: Mapping[str, RegisteredVersion], history: History, records: Iterable[RunRecord]
) -> dict[str, str]:
    """Returns the versions that an alias, a rollback or an open run needs, with the reason."""
    needed = {version: "an alias" for version, item in own.items() if item.aliases}
    former = history.former()
    if former is not None:
        needed.setdefault(former, "`braid rollback`")
    for record in records:
        for version in (record.warm_start, record.compared_with):
            if record.may_be_resumed() and version is not None:
                needed.setdefault(version, f"run {record.run_id}")
    return needed


def _needed_runs(records: Sequence[RunRecord]) -> dict[str, str]:
    """Returns the runs that the next run looks at, with the reason."""
    needed = {r.run_id: "it may be resumed" for r in records if r.may_be_resumed()}
    finished = [record for record in records if record.status in FINISHED]
    for record in finished[-1:]:
        needed[record.run_id] = "it is the newest with a model"
    return needed


def size_of(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder; 0 if there is none."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0


class VersionRemoval(KeptRecord):
    """A version that is being removed, as it is noted before the registry forgets it.

    Attributes:
        registry: The address of the registry.
        name: Of the registered model.
        version: Its number, as text.
        folders: Those that hold the version alone, which go once it is forgotten.
    """

    registry: str
    name: str
    version: str
    folders: tuple[Path, ...]


def remove_version(
    workspace: Workspace, pipeline: str, registry: ModelRegistry, version: RegisteredVersion
) -> None:
    """Removes a version with its folders; what a kill leaves of them goes next time.

    Raises:
        BraidError: It has an alias by now, or the registry cannot be reached.
    """
    removal = VersionRemoval(
        registry=registry.address,
        name=version.name,
        version=version.version,
        folders=registry.local_folders(version),
    )
    note = _out_of_the_way(workspace, pipeline)
    write_kept(note, removal)
    registry.remove(version)
    _remove_all(note, removal)


def remove_run(workspace: Workspace, pipeline: str, folder: Path) -> None:
    """Removes a run's folder as a whole: what a kill leaves of it is no run, and goes next time.

    Its copies in a bucket go before it: they are known by the folder's name alone.

    Raises:
        StoreFailed: The bucket does not answer.
    """
    remove_copies(workspace, folder)
    gone = _out_of_the_way(workspace, pipeline)
    folder.rename(gone)
    remove(gone)


def remove_interrupted(workspace: Workspace, pipeline: str, registry: ModelRegistry) -> None:
    """Goes on with what removals that were killed, or failed, have left.

    Args:
        workspace: Where everything lies.
        pipeline: Whose prunes are meant: those of another one may be under way.
        registry: The pipeline's; of another one, what is registered there is not known here.
    """
    digits = "[0-9a-f]" * _DIGITS
    for path in list(workspace.root.glob(f"{_PRUNED}{pipeline}-{digits}")):
        removal = read_kept(path, VersionRemoval) if path.is_file() else None
        if removal is None:
            remove(path)
        elif removal.registry == registry.address:
            if registry.find(removal.name, version=removal.version) is None:
                _remove_all(path, removal)
            else:  # it was not forgotten, so that it is one like the others
                remove(path)


def _out_of_the_way(workspace: Workspace, pipeline: str) -> Path:
    return workspace.root / f"{_PRUNED}{pipeline}-{uuid.uuid4().hex[:_DIGITS]}"


def _remove_all(note: Path, removal: VersionRemoval) -> None:
    for folder in removal.folders:
        remove(folder)
    remove(note)
