from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from flows.commands import doctor as command
from flows.commands.cli import cli
from flows.commands.options import open_project

DECLARATION = {
    "name": "flats",
    "source": {"path": "data", "key": "id"},
    "features": {"area": {"kind": "numeric"}},
    "targets": {"sold": {"kind": "binary"}},
}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    Path("data").mkdir()
    pq.write_table(
        pa.table({"id": ["a", "b"], "area": [1.0, 2.0], "sold": [0, 1]}), "data/a.parquet"
    )


def test_the_runner_of_this_machine_is_examined_by_one_command():
    done = CliRunner().invoke(cli, ["doctor", "pipeline.yaml", "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert (told["exit_code"], told["result"]["whole"]) == (0, True)
    links = {link["name"]: link["note"] for link in told["result"]["links"]}
    assert list(links) == ["worker", "installation", "workspace", "source"]
    assert "2 rows read there" in links["source"]
    assert list(Path("workspace/beam").iterdir()) == []


def test_what_does_not_end_is_told_after_a_bound(capsys):
    project = open_project(Path("pipeline.yaml"), None)
    assert command.doctor(project, seconds=0.3) == 1
    told = capsys.readouterr()  # by the other of the two, if a command before this had --json
    assert re.search(
        r"""^The worker is what is broken: expected a unit that goes through\.
  nothing after 0 s, while .+
  Look into the log, and into those of the runner and of its workers\.
  What it and its libraries said: .+doctor-\w+\.log$""",
        told.out + told.err,
        re.MULTILINE,
    )


def test_what_former_examinations_left_is_removed():
    left = Path("workspace/beam")
    (left / "doctor-a").mkdir(parents=True)
    for name in (
        "doctor-a/token",
        "doctor-b.json",
        "doctor-b.log",
        "of-a-run.job",
        "doctor-c.json",
    ):
        (left / name).touch()
    for path in left.iterdir():
        if path.name != "doctor-c.json":
            os.utime(path, (0, 0))
    command.doctor(open_project(Path("pipeline.yaml"), None), seconds=0)
    names = {path.name for path in left.iterdir() if path.suffix != ".log"}
    assert names == {"of-a-run.job", "doctor-c.json"}, "another examination is just being made"
    assert not (left / "doctor-b.log").exists()
