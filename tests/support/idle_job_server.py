"""A job server in this process that takes jobs and does nothing of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager

import grpc
from apache_beam.portability.api import beam_job_api_pb2 as job_api
from apache_beam.portability.api import beam_job_api_pb2_grpc as job_service


class IdleJobServer(job_service.JobServiceServicer):  # type: ignore[misc]
    """A job server whose jobs run until they are cancelled.

    Attributes:
        endpoint: Its address.
        cancels: Whether it does so; else it says that it cannot now.
        restarted: Whether it knows no job, and says so as Flink's does.
        cancelled: The cancelled jobs.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.cancels = True
        self.restarted = False
        self.cancelled: list[str] = []
        self._jobs = 0

    def DescribePipelineOptions(self, request, context):  # noqa: N802 - gRPC's names, as below
        return job_api.DescribePipelineOptionsResponse()

    def Prepare(self, request, context):  # noqa: N802
        self._jobs += 1
        return job_api.PrepareJobResponse(preparation_id=f"job-{self._jobs}")

    def Run(self, request, context):  # noqa: N802
        return job_api.RunJobResponse(job_id=request.preparation_id)

    def GetState(self, request, context):  # noqa: N802
        return job_api.JobStateEvent(state=job_api.JobState.RUNNING)

    def GetStateStream(self, request, context):  # noqa: N802
        yield self.GetState(request, context)

    def GetMessageStream(self, request, context):  # noqa: N802
        yield from ()

    def GetJobs(self, request, context):  # noqa: N802
        known = [] if self.restarted else [f"job-{n + 1}" for n in range(self._jobs)]
        return job_api.GetJobsResponse(job_info=[job_api.JobInfo(job_id=job) for job in known])

    def Cancel(self, request, context):  # noqa: N802
        if self.restarted:
            context.abort(grpc.StatusCode.INTERNAL, "")
        if not self.cancels:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        self.cancelled.append(request.job_id)
        return job_api.CancelJobResponse(state=job_api.JobState.CANCELLED)


@contextmanager
def idle_job_server() -> Iterator[IdleJobServer]:
    """Yields a job server on loopback, which ends with the block."""
    service = IdleJobServer()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    job_service.add_JobServiceServicer_to_server(service, server)
    service.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield service
    finally:
        server.stop(0)
