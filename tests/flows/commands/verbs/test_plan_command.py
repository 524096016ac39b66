from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from flows.commands.cli import cli

DECLARATION = {
    "name": "flats",
    "source": {"path": "data", "key": "id", "partition_by": "day"},
    "features": {"area": {"kind": "numeric"}},
    "targets": {"sold": {"kind": "binary"}},
}


@pytest.fixture
def project(tmp_path):
    for day in (1, 2):
        path = tmp_path / "data" / f"day={day}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        rows = {"id": [f"{day}a", f"{day}b"], "area": [1.0, 2.0], "sold": [0, 1]}
        pq.write_table(pa.table(rows), path)
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    return tmp_path


def test_a_plan_says_every_step_with_its_rows_and_writes_nothing(project):
    done = CliRunner().invoke(cli, ["plan", str(project / "pipeline.yaml")])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("A run computes the first transform of these features")
    lines = [line.split() for line in done.output.splitlines()]
    (transform,) = [line for line in lines if line[:1] == ["transform"]]
    assert transform[1:3] == ["2", "4"], "partitions and rows"
    assert ["promote", "-", "-", "-", "-", "-", "-"] in lines
    assert "No earlier run tells how long that takes." in done.output
    assert not (project / "workspace").exists()
