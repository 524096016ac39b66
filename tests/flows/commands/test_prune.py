from __future__ import annotations

import re

import pytest
import yaml

from flows.commands.cli import cli
from flows.records.record import ModelVersion, read_records, write_record
from tests.flows.retention.test_pruning import run
from trainer.registry.registry import ModelRegistry
from transforms.contract.workspace.layout import Workspace

DECLARATION = {
    "name": "flats",
    "source": {"path": "data", "key": "id"},
    "features": {"area": {"kind": "numeric"}},
    "targets": {"sold": {"kind": "binary"}},
}


@pytest.fixture
def workspace(tmp_path):
    """Four runs, each with a version of the model; the second is the champion."""
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    workspace = Workspace(tmp_path / "workspace")
    registry = ModelRegistry(workspace.root)
    for number in range(1, 5):
        model = ModelVersion(name="flats", version=str(number))
        _, record = run(number, model=model)
        folder = workspace.run("flats", record.run_id)
        (folder / "export").mkdir(parents=True)
        (folder / "export" / "saved_model.pb").write_bytes(bytes(1000))
        write_record(folder, record)
        registry.register("flats", folder / "export", run_id=f"flats/r{number}", metrics={})
    registry.promote("flats", "2")
    return workspace


def test_the_command_says_what_would_go_and_removes_it(workspace, capsys):
    declaration = str(workspace.root.parent / "pipeline.yaml")
    registry = ModelRegistry(workspace.root)
    lost = registry.export_folder(registry.find("flats", version="1"))

    def left():
        runs = [record.run_id for _, record in read_records(workspace, "flats")]
        return [v.version for v in registry.versions("flats")], runs

    cli(["prune", declaration, "--keep", "1", "--dry-run"], standalone_mode=False)
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0].strip() for line in told[:4]] == [
        "version 1 of flats", "version 3 of flats", "run r1", "run r3"
    ]  # fmt: skip
    assert re.search(r"r1, 1,\d\d\d bytes, promoted", told[2])
    assert told[4:6] == ["  stays: version 2, for an alias", "  stays: run r2, for version 2"]
    assert re.fullmatch(r"2 versions and 2 runs, \d\.\d MB, would go\.", told[6])
    assert left() == (["4", "3", "2", "1"], ["r1", "r2", "r3", "r4"])

    cli(["prune", declaration, "--keep", "1"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-1].endswith("are gone.")
    assert left() == (["4", "2"], ["r2", "r4"])
    assert not lost.exists()
    assert registry.export_folder(registry.champion("flats")).exists()
    cli(["prune", declaration, "--keep", "1"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-1].startswith("Nothing is to go")
