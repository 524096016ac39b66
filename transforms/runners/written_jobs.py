"""Jobs that are waited for, known by files of the workspace, so that none is left behind.

A job goes on when the process that waits for it dies. Who waits holds a lock of the operating
system, which dies with it: a job whose lock is free has nobody, and the next run cancels it and
removes the lock's file. The job's workers look for that file before each unit of work, so that also
a job ends that nobody can cancel, as its job server died with all that it knew. Where the store is
a bucket they look for an object of that name instead, and share no folder with who waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
from apache_beam.portability.api import beam_job_api_pb2 as job_api
from apache_beam.portability.api import beam_job_api_pb2_grpc as job_service

from transforms.contract.spec import Spec
from transforms.contract.workspace.bucket import BucketPath, StoreFailed
from transforms.contract.workspace.documents import DamagedFile, read_json
from transforms.contract.workspace.files import TEMPORARY, remove, write_atomic
from transforms.contract.workspace.locks import exclusive_lock, is_held, this_process
from transforms.runners.arrival import ARRIVED_SUFFIX, sign_of

_SUFFIX = ".job"
_LOCK_SUFFIX = ".lock"
CANCEL_SECONDS = 5.0  # less than the flow leaves a step that it ends
_GONE = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNKNOWN)  # Beam's own server says the latter


def cancel(service: job_service.JobServiceStub, job: str) -> bool:
    """Cancels a job, and returns whether it is cancelled, or nobody knows it any more."""
    try:
        service.Cancel(job_api.CancelJobRequest(job_id=job), timeout=CANCEL_SECONDS)
    except grpc.RpcError as error:
        return error.code() in _GONE or _is_unknown(service, job)
    return True


def _is_unknown(service: job_service.JobServiceStub, job: str) -> bool:
    """Returns whether a job server answers, and does not know a job: Flink's cannot say so."""
    try:
        jobs = service.GetJobs(job_api.GetJobsRequest(), timeout=CANCEL_SECONDS).job_info
    except grpc.RpcError:
        return False
    return all(known.job_id != job for known in jobs)


class WrittenJob(Spec):
    """A job that somebody waits for.

    Attributes:
        endpoint: The address of the job server.
        id: The job, by the name that the job server gave it.
    """

    endpoint: str
    id: str


@contextmanager
def waited_for(folder: Path, signs: BucketPath | None = None) -> Iterator[Path]:
    """Yields the lock's file of a job that is waited for, there from now until the block ends.

    It, or its object, has to be there before the job is submitted, as the job's workers look for
    it.

    Args:
        folder: The workspace's folder of such jobs.
        signs: The folder in a bucket in which workers look; None is the workspace's own.

    Raises:
        StoreFailed: The object cannot be written.
    """
    name = f"{uuid.uuid4().hex}{_LOCK_SUFFIX}"
    hidden, path = folder / f"{TEMPORARY}{name}", folder / name
    with exclusive_lock(hidden, holder="a job"):
        try:
            hidden.rename(path)  # locked already: nobody takes it for one whose holder died
            if signs is not None:
                write_atomic(signs / name, this_process())
            yield path
        finally:
            remove(hidden)
            _remove_signs(path, signs)


def _remove_signs(lock: Path, signs: BucketPath | None) -> None:
    """Removes a lock's file and the sign of its job's worker; the file last, by which they are."""
    if signs is not None:
        with suppress(StoreFailed):  # its workers end with the job, or once their work is done
            remove(signs / lock.name)
            remove(sign_of(lock.with_suffix(ARRIVED_SUFFIX), signs))
    remove(lock)
    remove(lock.with_suffix(ARRIVED_SUFFIX))


@contextmanager
def written_down(lock: Path, job: WrittenJob, end: Callable[[], bool]) -> Iterator[None]:
    """Has a job written down while the block waits for it, and from then on unless it has ended.

    Args:
        lock: The file of `waited_for`.
        job: The job.
        end: Ends the job, and returns whether it has ended. It is called however the block ends,
            and also if the job cannot be written down.
    """
    path = lock.with_suffix(_SUFFIX)
    try:
        write_atomic(path, job.model_dump_json())
        yield
    finally:
        if end():
            remove(path)


def cancel_left(folder: Path, signs: BucketPath | None = None) -> list[str]:
    """Cancels the jobs that nobody waits for any more, and returns their ids.

    One whose job server does not answer stays written down. Its workers end by themselves.

    Args:
        folder: The workspace's folder of such jobs.
        signs: The folder in a bucket in which their workers look; None is the workspace's own.
    """
    for lock in folder.glob(f"*{_LOCK_SUFFIX}"):
        with suppress(FileNotFoundError):  # its holder has just ended in order
            if not lock.name.startswith(TEMPORARY) and not is_held(lock):
                _remove_signs(lock, signs)
    for arrived in folder.glob(f"*{ARRIVED_SUFFIX}"):
        if not arrived.with_suffix(_LOCK_SUFFIX).exists():
            remove(arrived)
    left = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        if path.with_suffix(_LOCK_SUFFIX).exists():
            continue
        try:
            job = read_json(path, WrittenJob)
        except (DamagedFile, FileNotFoundError):  # another run has just done so
            continue
        with grpc.insecure_channel(job.endpoint) as channel:
            is_gone = cancel(job_service.JobServiceStub(channel), job.id)
        if is_gone:
            left.append(job.id)
            remove(path)
    return left
