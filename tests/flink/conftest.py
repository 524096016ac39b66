"""One cluster for all tests, as Java takes its time and its ports are fixed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.flink_cluster import Cluster, cluster, what_lacks
from tests.support.s3 import CREDENTIALS


@pytest.fixture(scope="session")
def flink(tmp_path_factory) -> Iterator[Cluster]:
    lacks = what_lacks()
    if lacks is not None:
        pytest.skip(lacks)
    own = tmp_path_factory.mktemp("flink")
    variables = CREDENTIALS | {"BRAID_CACHE": str(own / "cache")}
    with cluster(own, variables, hidden=tmp_path_factory.mktemp("hidden")) as parts:
        yield parts
