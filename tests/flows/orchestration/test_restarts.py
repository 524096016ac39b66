"""A flow run that a server starts again after every crash comes to an end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flows.orchestration import restarts
from flows.orchestration.restarts import MOST_STARTS, refuse_endless_restarts
from transforms.contract.errors import BraidError


def test_a_flow_run_that_crashes_again_and_again_comes_to_an_end(monkeypatch):
    for start in range(1, MOST_STARTS + 1):
        monkeypatch.setattr(restarts, "flow_run", SimpleNamespace(run_count=start, name="flats"))
        refuse_endless_restarts()
    one_more = SimpleNamespace(run_count=MOST_STARTS + 1, name="flats")
    monkeypatch.setattr(restarts, "flow_run", one_more)
    with pytest.raises(BraidError, match="to end within 5 starts, received start 6"):
        refuse_endless_restarts()
