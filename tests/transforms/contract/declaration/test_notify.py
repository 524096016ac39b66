from __future__ import annotations

import pytest

from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import DeclarationError

DOCUMENT = {
    "name": "flats",
    "source": {"path": "/data", "key": "id"},
    "features": {"area": {"kind": "numeric"}},
    "targets": {"sold": {"kind": "binary"}},
}


def test_the_webhooks_variable_is_not_asked_for_where_nobody_deploys(monkeypatch):
    monkeypatch.delenv("BRAID_TEST_HOOK", raising=False)
    pipeline = parse(DOCUMENT | {"notify": {"webhook": "${BRAID_TEST_HOOK}"}})
    assert pipeline.notify.webhook == "${BRAID_TEST_HOOK}"


def test_an_address_that_is_written_out_is_refused_and_not_shown():
    with pytest.raises(DeclarationError, match=r"notify\.webhook: expected \$\{NAME\}") as told:
        parse(DOCUMENT | {"notify": {"webhook": "https://hooks.example/T0/B0/x7"}})
    assert "x7" not in str(told.value)


def test_who_is_told_makes_no_other_document_of_a_pipeline_that_tells_nobody():
    assert "notify" not in parse(DOCUMENT).model_dump()
