from __future__ import annotations

import time

import pytest

from tests.support import stand_ins
from transforms.contract.servers import problem_of


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql", "mysql+pymysql", "mssql"])
def test_a_port_that_refuses_is_told_at_once(scheme):
    with stand_ins.nobody() as address:
        assert problem_of(f"{scheme}://u:p@{address}/x") == "Connection refused"


@pytest.mark.parametrize("serve", [stand_ins.hang, stand_ins.drip])
@pytest.mark.parametrize("scheme", ["http", "https", "postgresql+psycopg2", "mysql"])
def test_a_server_that_never_answers_is_told_in_time(scheme, serve):
    if serve is stand_ins.drip and scheme != "http":
        return  # garbage is an answer, which the client is to judge
    with stand_ins.server(serve) as address:
        started = time.monotonic()
        problem = problem_of(f"{scheme}://{address}/x", seconds=0.5)
        assert time.monotonic() - started < 2
    assert problem is not None
    assert "no answer within 0.5 seconds" in problem or "timed out" in problem


@pytest.mark.parametrize(
    ("status", "path", "problem"),
    [
        (200, "/health", None),
        (401, "/health", None),
        (404, "", None),
        (404, "/health", "the status 404 for /health"),
        (502, "", "the status 502 for /"),
    ],
)
def test_an_answer_counts_unless_it_says_that_there_is_no_such_server(status, path, problem):
    with stand_ins.server(stand_ins.answer(status)) as address:
        assert problem_of(f"http://{address}/api", path) == problem


def test_what_has_no_server_is_not_asked():
    assert problem_of("sqlite:////tmp/registry.db") is None
    assert problem_of("databricks") is None


@pytest.mark.parametrize("uri", ["http://host:port/", "http://no-such-host.invalid/"])
def test_an_address_of_nothing_is_a_problem(uri):
    assert problem_of(uri)
