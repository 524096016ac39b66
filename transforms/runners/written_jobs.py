"""Jobs that are waited for, written down in the workspace, so that none is left behind.

A job goes on when the process that waits for it dies. Who waits holds a lock of the operating
system, which dies with it: a job whose lock is free has nobody, and the next run cancels it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from apache_beam.portability.api import beam_job_api_pb2 as job_api
from apache_beam.portability.api import beam_job_api_pb2_grpc as job_service

from transforms.contract.spec import Spec
from transforms.contract.workspace.documents import DamagedFile, read_json
from transforms.contract.workspace.files import remove, write_atomic
from transforms.contract.workspace.locks import exclusive_lock, is_held

_SUFFIX = ".job"
CANCEL_SECONDS = 5.0  # less than the flow leaves a step that it ends
_GONE = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNKNOWN)  # Beam's own server says the latter


def cancel(service: job_service.JobServiceStub, job: str) -> bool:
    """Cancels a job, and returns whether it is cancelled, or nobody knows it any more."""
    try:
        service.Cancel(job_api.CancelJobRequest(job_id=job), timeout=CANCEL_SECONDS)
    except grpc.RpcError as error:
        return error.code() in _GONE
    return True


class WrittenJob(Spec):
    """A job that somebody waits for.

    Attributes:
        endpoint: The address of the job server.
        id: The job, by the name that the job server gave it.
    """

    endpoint: str
    id: str


@contextmanager
def written_down(folder: Path, job: WrittenJob, end: Callable[[], bool]) -> Iterator[None]:
    """Has a job written down while the block waits for it, and from then on unless it has ended.

    Args:
        folder: Where.
        job: The job.
        end: Ends the job, and returns whether it has ended. It is called however the block ends,
            and also if the job cannot be written down.
    """
    path = folder / f"{uuid.uuid4().hex}{_SUFFIX}"
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(_lock(path), holder=f"job {job.id}"))
            write_atomic(path, job.model_dump_json())
            yield
        finally:
            if end():
                remove(path)
                remove(_lock(path))


def cancel_left(folder: Path) -> list[str]:
    """Cancels the jobs that nobody waits for any more, and returns their ids.

    One whose job server does not answer stays written down.
    """
    left = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        if is_held(_lock(path)):
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
            remove(_lock(path))
    return left


def _lock(path: Path) -> Path:
    return path.with_suffix(".lock")
