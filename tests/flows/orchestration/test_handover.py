"""A flow's inputs: read by itself, or handed over by a command."""

from __future__ import annotations

import pytest

from flows.orchestration.handover import Opened, handing_over, name_at_first, open_for_flow
from tests.support.runs import flats
from transforms.contract.errors import DeclarationError
from transforms.contract.workspace.partition import Partition

NOWHERE = "/nowhere/pipeline.yaml"
PIPELINE = flats()


def test_a_flow_reads_nothing_again_that_its_command_has_read():
    partitions = (Partition(name="all", value=None, fingerprint="f", files=()),)
    with handing_over(Opened(PIPELINE, partitions)):
        opened = open_for_flow(NOWHERE, ())
        assert opened.pipeline is PIPELINE
        assert opened.partitions is partitions
        assert name_at_first(None) == "flats"
    with pytest.raises(DeclarationError, match=NOWHERE):
        open_for_flow(NOWHERE, ())


def test_the_flow_of_a_deployment_reads_its_declaration_with_what_is_overridden(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE.model_dump_json(exclude_defaults=True))
    opened = open_for_flow(str(path), ("training.epochs=3",))
    assert opened.pipeline.training.epochs == 3
    assert opened.partitions is None


def test_until_its_partitions_are_known_a_flow_run_has_the_name_of_its_deployment():
    assert name_at_first("flats") == "flats"
