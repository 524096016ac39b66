from __future__ import annotations

import json
from concurrent import futures

import grpc
import pytest
from apache_beam.portability.api import (
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)

from transforms.runners.harness import provisioned


class Provision(beam_provision_api_pb2_grpc.ProvisionServiceServicer):
    """Answers as a runner does, and keeps who asked."""

    asked: str = ""

    def GetProvisionInfo(self, request, context):  # noqa: N802 - gRPC's name
        type(self).asked = dict(context.invocation_metadata())["worker_id"]
        info = beam_provision_api_pb2.ProvisionInfo(
            control_endpoint=endpoints_pb2.ApiServiceDescriptor(url="host:1"),
            logging_endpoint=endpoints_pb2.ApiServiceDescriptor(url="host:2"),
            runner_capabilities=["a", "b"],
        )
        info.pipeline_options["beam:option:parallelism:v1"] = "2"
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)


@pytest.fixture
def endpoint():
    server = grpc.server(futures.ThreadPoolExecutor(1))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(Provision(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0)


def test_a_worker_asks_its_runner_for_what_beams_entry_point_reads_from_the_environment(endpoint):
    variables = provisioned("1-1", endpoint)
    assert Provision.asked == "1-1"
    assert json.loads(variables.pop("PIPELINE_OPTIONS")) == {"beam:option:parallelism:v1": "2"}
    assert variables == {
        "WORKER_ID": "1-1",
        "RUNNER_CAPABILITIES": "a b",
        "CONTROL_API_SERVICE_DESCRIPTOR": 'url: "host:1"\n',
        "LOGGING_API_SERVICE_DESCRIPTOR": 'url: "host:2"\n',
    }
