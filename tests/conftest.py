"""The fixtures that the tests of the public command share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.console.output import OUTPUT, Output


@pytest.fixture(scope="session", autouse=True)
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Prefect database for all tests, so that its migrations run once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        yield


@pytest.fixture(autouse=True)
def output_of_the_process() -> Iterator[None]:
    """Lets no test's command choose the form of what the next one writes: it is the process's."""
    yield
    vars(OUTPUT).update(vars(Output()))
