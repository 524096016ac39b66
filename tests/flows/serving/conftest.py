from __future__ import annotations

import pytest

from tests.flows.conftest import Project
from tests.flows.serving.server import serving


@pytest.fixture(scope="session")
def server(project: Project, tmp_path_factory: pytest.TempPathFactory):
    """A server of the first version, for tests that leave it as it is."""
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(project.declaration, log, "--version", "1", "--max-megabytes", "1") as running:
        yield running
