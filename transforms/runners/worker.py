"""A worker of a Beam runner as a process: what Beam's containers do, without a container.

A runner whose `environment_type` is PROCESS starts a command with `--id` and
`--provision_endpoint`. There the worker asks for all else that Beam's own entry point,
`sdk_worker_main`, reads from the environment:
https://beam.apache.org/documentation/runtime/sdk-harness-config/.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import grpc
from apache_beam.portability.api import beam_provision_api_pb2 as provision_api
from apache_beam.portability.api import beam_provision_api_pb2_grpc as provision_service
from google.protobuf import json_format, text_format

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Works for a runner until it ends the worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    given, _ = parser.parse_known_args(arguments)
    # Prism quotes values as if a shell read them.
    worker, endpoint = (text.strip("'") for text in (given.id, given.provision_endpoint))
    os.environ.update(provisioned(worker, endpoint))
    # Not before: Beam reads the worker's id, which its log asks for, when it is imported.
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


if __name__ == "__main__":
    main()
