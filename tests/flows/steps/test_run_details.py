from __future__ import annotations

import subprocess
from datetime import UTC, datetime

from flows.steps.model_description import describe, inputs_of, outputs_of
from flows.steps.run_details import details_of, end_of, parameters_of
from tests.support.runs import run_of
from transforms.contract.declaration.parsing import parse
from transforms.contract.fingerprint import fingerprint
from transforms.contract.steps.results import EpochRecord, TrainingHistory, TrainResult
from transforms.contract.workspace.layout import Workspace
from transforms.source.scan import scan

DECLARATION = {
    "name": "flats",
    "source": {"path": "data.csv", "format": "csv", "key": "id"},
    "features": {
        "area": {"kind": "numeric", "scale": "log"},
        "owner": {"kind": "text", "sensitive": True},
        "tags": {"kind": "categorical", "length": 3, "missing": "reject"},
    },
    "targets": {"sold": {"kind": "binary"}, "kind": {"kind": "multiclass"}},
    "training": {"epochs": 3},
    "gate": {"metric": "test_sold_auc"},
}


def _run(tmp_path):
    source = {**DECLARATION["source"], "path": str(tmp_path / "data.csv")}
    return run_of(parse({**DECLARATION, "source": source}), Workspace(tmp_path / "workspace"))


def test_the_page_has_a_title_curves_by_epoch_and_the_rows(tmp_path):
    run = _run(tmp_path)
    run.log.record.started = datetime(2026, 11, 29, 3, 38, tzinfo=UTC)
    run.log.record.metrics = {"test_sold_auc": 0.91}
    run.log.record.rows = {"train": 70, "test": 10}
    run.work.folder.mkdir(parents=True, exist_ok=True)
    pace = {"seconds": 1.0, "rows_per_second": 70.0, "input_wait_share": 0.0}
    first, second = {"sold": 1.5, "kind": 0.5}, {"sold": 0.8, "kind": 0.2}
    history = TrainingHistory(
        result=TrainResult(rows=70),
        epochs=(
            EpochRecord(epoch=0, loss=2.0, losses=first, validation_loss=3.0, **pace),
            EpochRecord(epoch=1, loss=1.0, losses=second, validation_loss=None, **pace),
        ),
    )
    (run.work.folder / "history.json").write_text(history.model_dump_json())
    shown = details_of(run.work, run.log.record)
    assert shown.title == "flats 2026-11-29 03:38, test_sold_auc 0.91"
    assert shown.curves == {
        "epoch.train_loss": [(1, 2.0), (2, 1.0)],
        "epoch.validation_loss": [(1, 3.0)],
        "epoch.train_loss.sold": [(1, 1.5), (2, 0.8)],
        "epoch.train_loss.kind": [(1, 0.5), (2, 0.2)],
    }
    assert shown.data_set.name == "data.csv"
    assert shown.data_set.digest == fingerprint([["all", "f"]])
    assert shown.data_set.profile["train_rows"] == 70


def test_parameters_are_scalars_by_their_place(tmp_path):
    run = _run(tmp_path)
    run.work.folder.mkdir(parents=True, exist_ok=True)
    (run.work.folder / "recipe.json").write_text('{"batch_size": 64}')
    parameters = parameters_of(run.work.pipeline, run.work.folder)
    assert parameters["training.epochs"] == 3
    assert parameters["features.area.scale"] == "log"
    assert parameters["targets.sold.kind"] == "binary"
    assert parameters["recipe.batch_size"] == 64
    assert not any(isinstance(value, dict | list) for value in parameters.values())


def test_a_run_that_was_stopped_says_so_with_its_report_and_its_commit(tmp_path):
    run = _run(tmp_path)
    with run.log.recording() as record:
        record.status = "stopped"
    (run.work.folder / "report.png").write_bytes(b"png")
    end = end_of(run.work.folder, run.log.record, tmp_path / "pipeline.yaml")
    assert (end.status, end.tags["braid.status"]) == ("KILLED", "stopped")
    assert "mlflow.source.git.commit" not in end.tags
    assert [file.name for _, file in end.files] == ["report.png", "run.json"]

    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (tmp_path / "pipeline.yaml").write_text("name: flats\n")
    subprocess.run([*git, "add", "pipeline.yaml"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "first"], check=True)
    clean = end_of(run.work.folder, run.log.record, tmp_path / "pipeline.yaml").tags
    (tmp_path / "pipeline.yaml").write_text("name: other\n")
    changed = end_of(run.work.folder, run.log.record, tmp_path / "pipeline.yaml").tags
    assert len(clean["mlflow.source.git.commit"]) == 40
    assert clean["mlflow.source.git.dirty"] == "False"
    assert changed["mlflow.source.git.dirty"] == "True"


def test_a_model_is_described_by_its_columns_and_a_row_without_sensitive_values(tmp_path):
    (tmp_path / "data.csv").write_text("id,area,owner,tags,sold,kind\na,,Ann,,1,x\nb,3,Bea,,0,y\n")
    run = _run(tmp_path)
    pipeline = run.work.pipeline.model_copy(
        update={"features": {n: f for n, f in run.work.pipeline.features.items() if n != "tags"}}
    )
    described = describe(pipeline, scan(pipeline.source).partitions)
    assert described.example == {"area": None, "owner": None}
    assert [(c.name, c.type, c.required) for c in inputs_of(pipeline)] == [
        ("area", "any", False),
        ("owner", "string", False),
    ]
    assert [(c.name, c.type, c.dimensions) for c in outputs_of(pipeline)] == [
        ("sold", "double", 0),
        ("kind", "string", 0),
        ("kind__probabilities", "double", 1),
        ("error", "string", 0),
    ]


def test_a_target_with_a_threshold_has_a_decision_among_the_columns():
    sold = {"kind": "binary", "threshold": 0.3, "spread": True}
    pipeline = parse({**DECLARATION, "targets": {"sold": sold}, "training": {}})
    assert [column.name for column in outputs_of(pipeline)] == [
        "sold",
        "sold__decision",
        "sold__spread",
        "error",
    ]


def test_a_model_whose_table_is_gone_has_no_example(tmp_path):
    run = _run(tmp_path)
    assert describe(run.work.pipeline, run.work.partitions).example is None
