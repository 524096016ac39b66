"""The folders that a step's job names and that no store has: models, and the user's own modules.

The machine that hands a step over puts copies of them beside the job in the bucket. The one that
takes it over gives the job places of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from flows.process.attempt import JOB_FILE
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import fingerprint
from transforms.contract.steps.jobs import TrainJob, WarmStart
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.cache import (
    CONTENTS_FILE,
    download_folder,
    files_below,
    upload_files,
)
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.files import replacing, write_atomic

INPUTS_FOLDER = "inputs"  # of a run's folder, on the machine that took a step over
_CHAMPION, _WARM_START, _MODULES = "champion", "warm_start", "modules"
_MOST_BYTES = 16 * 1024 * 1024  # of modules: more is hardly written by hand
_RUN_AGAIN = "Run the same command again."


class _Handed(BaseModel):
    """The places of a job; what else is in it stays as it is.

    Its declaration is not read here, as kinds of the user's own are not importable yet.
    """

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    workspace: str
    run_folder: str
    champion: str | None = None
    warm_start: WarmStart | None = None


def send_inputs(job: TrainJob, search_path: Path | None, place: BucketPath) -> None:
    """Puts copies of what a job needs beside it.

    Args:
        job: The job.
        search_path: Where the user's own modules lie.
        place: The folder of the attempt.

    Raises:
        BraidError: The modules are too large.
        StoreFailed: The bucket does not take them.
    """
    if job.champion is not None:
        upload_files(files_below(Path(job.champion)), place / _CHAMPION)
    if job.warm_start is not None:
        upload_files(files_below(Path(job.warm_start.folder)), place / _WARM_START)
    if search_path is not None:
        upload_files(_modules_of(search_path), place / _MODULES)


@dataclass(frozen=True)
class TakenOver:
    """A job with the places of this machine.

    Attributes:
        job_file: The file with it.
        search_path: Where the user's own modules lie, if it came with any.
    """

    job_file: Path
    search_path: Path | None


def take_over(attempt: BucketPath, step: str, workspace: Path, run_folder: Path) -> TakenOver:
    """Writes a job that was handed over as one of this machine, with all that it names.

    Args:
        attempt: The folder of the attempt.
        step: The step.
        workspace: That of this machine.
        run_folder: The run's folder in it.

    Raises:
        DamagedFile: Something of it is gone, or other than it was written.
    """
    place = attempt / JOB_FILE
    with reading(place, action=_RUN_AGAIN):
        job = _Handed.model_validate_json(place.read_bytes())
    inputs = run_folder / INPUTS_FOLDER
    job.workspace, job.run_folder = str(workspace), str(run_folder)
    if job.champion is not None:
        job.champion = _received(attempt / _CHAMPION, inputs, job.champion)
    if job.warm_start is not None:
        folder = _received(attempt / _WARM_START, inputs, job.warm_start.folder)
        job.warm_start = WarmStart(version=job.warm_start.version, folder=folder)
    modules = None
    if (attempt / _MODULES / CONTENTS_FILE).exists():
        modules = inputs / _MODULES
        with replacing(modules) as temporary:
            download_folder(attempt / _MODULES, temporary)
    job_file = run_folder / "jobs" / f"{step}.json"
    write_atomic(job_file, job.model_dump_json(indent=2))
    return TakenOver(job_file, modules)


def _received(place: BucketPath, inputs: Path, name: str) -> str:
    """Returns the folder of a model; its name tells it from others, as an evaluation goes by it."""
    local = inputs / f"{place.name}-{fingerprint(name)}"
    if not local.exists():
        with replacing(local) as temporary:
            download_folder(place, temporary)
    return str(local)


def _modules_of(folder: Path) -> dict[str, Path]:
    """Returns the modules beside the declaration and those of packages there, by their paths.

    Raises:
        BraidError: They are too large.
    """
    files = {path.relative_to(folder).as_posix(): path for path in _python_files(folder)}
    size = sum(path.stat().st_size for path in files.values())
    if size > _MOST_BYTES:
        raise BraidError(
            str(folder),
            expected=f"modules of {_MOST_BYTES // 1024**2} MiB at most beside a declaration that "
            "names functions or kinds of your own, as they are handed over with a step",
            received=f"{len(files):,} files of {size / 1024**2:,.0f} MiB",
            action="Put the declaration and its modules into a folder of their own.",
        )
    return files


def _python_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py" and path.is_file():
            yield path
        elif (path / "__init__.py").is_file():
            yield from _python_files(path)
