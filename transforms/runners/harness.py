"""Beam's harness in this process: what Beam's containers do, without a container.

A runner says where to ask for all that Beam's own entry point, `sdk_worker_main`, reads from the
environment: https://beam.apache.org/documentation/runtime/sdk-harness-config/.
"""

from __future__ import annotations

import os

import grpc
from apache_beam.portability.api import beam_provision_api_pb2 as provision_api
from apache_beam.portability.api import beam_provision_api_pb2_grpc as provision_service
from apache_beam.runners.worker import sdk_worker_main
from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor
from google.protobuf import json_format, text_format

from transforms.contract.process.startup import keep_freed_memory
from transforms.contract.process.user_folder import user_folder
from transforms.contract.workspace.layout import CACHE_VARIABLE

_ANSWER_SECONDS = 30.0


def provisioned(worker: str, endpoint: str) -> dict[str, str]:
    """Returns the environment variables that a runner provisions a worker with.

    Args:
        worker: The worker's id.
        endpoint: The address of the provision service.

    Raises:
        grpc.RpcError: It does not answer, which the runner learns by this process's end.
    """
    with grpc.insecure_channel(endpoint) as channel:
        service = provision_service.ProvisionServiceStub(channel)
        info = service.GetProvisionInfo(
            provision_api.GetProvisionInfoRequest(),
            metadata=[("worker_id", worker)],
            timeout=_ANSWER_SECONDS,
            wait_for_ready=True,
        ).info
    endpoints = {
        "CONTROL_API_SERVICE_DESCRIPTOR": info.control_endpoint,
        "LOGGING_API_SERVICE_DESCRIPTOR": info.logging_endpoint,
        "STATUS_API_SERVICE_DESCRIPTOR": info.status_endpoint,
    }
    return {
        "WORKER_ID": worker,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    } | {name: text_format.MessageToString(each) for name, each in endpoints.items() if each.url}


def work(worker: str, endpoint: str) -> None:
    """Works for a runner until it ends the worker.

    Copies of what lies in a bucket go into a folder of this machine, as who submits may be another
    one, whose workspace is not here.

    Args:
        worker: The worker's id.
        endpoint: The address of the provision service.
    """
    keep_freed_memory()
    if not os.environ.get(CACHE_VARIABLE):
        os.environ[CACHE_VARIABLE] = str(user_folder("worker"))
    os.environ.update(provisioned(worker, endpoint))
    # Beam's log asks for it, and reads it from the environment when it is imported: too early in a
    # process that was forked.
    WorkerIdInterceptor._worker_id = worker
    sdk_worker_main.main([])
