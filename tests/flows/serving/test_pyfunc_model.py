"""A registered model as MLflow's own tools open it."""

from __future__ import annotations

import base64
import json

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.models import Model
from mlflow.pyfunc.scoring_server import invocations

from flows.prediction.predict import score_table
from flows.steps.model_description import LOADER, inputs_of, outputs_of
from tests.flows.serving.server import close
from tests.trainer.world import pipeline_of, raw_rows
from trainer.export.serving import load
from trainer.registry.model_files import Description

COLUMNS = ("color", "unit price", "sizes", "band", "review", "photo")


@pytest.fixture(scope="module")
def described(project):
    """The first model of the project, registered as a run registers it; and how to find it."""
    registry, pipeline = project.registry, pipeline_of()
    export = registry.export_folder(registry.find("tiny", version="1"))
    example = _instances()[0]
    registry.register(
        "opened",
        export,
        run_id="first",
        metrics={},
        described=Description(LOADER, inputs_of(pipeline), outputs_of(pipeline), example),
    )
    registry.promote("opened", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        mlflow.set_tracking_uri(registry.uri)
        yield registry.export_folder(registry.champion("opened"))
        mlflow.set_tracking_uri(None)


def _rows():
    columns = {name: raw_rows(range(12))[name].tolist() for name in COLUMNS}
    for name in ("color", "review"):
        columns[name] = [value.decode() or None for value in columns[name]]
    columns["unit price"] = [None if np.isnan(v) else v for v in columns["unit price"]]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    rows[3]["sizes"] = [1.0]
    rows[5]["photo"] = None
    rows[7]["photo"] = b"no picture"
    return rows


def _instances():
    def as_json(value):
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value

    return [{name: as_json(value) for name, value in row.items()} for row in _rows()]


@pytest.fixture(scope="module")
def predicted(described, tmp_path_factory):
    """The rows as `braid predict` scores them."""
    folder = tmp_path_factory.mktemp("predicted")
    rows = [{"id": f"r{i}", **row} for i, row in enumerate(_rows())]
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    score_table(
        load(described), folder / "rows.parquet", folder / "scores.parquet", lambda _rows: None
    )
    rows = pq.read_table(folder / "scores.parquet").to_pylist()
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


def _plain(table):
    return json.loads(table.to_json(orient="records", double_precision=15))


def test_mlflow_loads_the_champion_which_answers_as_predict_does(described, predicted):
    model = mlflow.pyfunc.load_model("models:/opened@champion")
    table = pd.DataFrame(_rows(), index=[f"row {i}" for i in range(12)])
    whole = table.assign(band=table["band"].astype("int64"))  # MLflow refuses these for "double"
    answers = model.predict(whole)
    assert list(answers.index) == list(table.index)
    assert sum(row["error"] is not None for row in predicted) >= 2
    for answer, expected in zip(_plain(answers), predicted, strict=True):
        assert close(answer, expected)
    assert all(close(*pair) for pair in zip(_plain(model.predict(table)), predicted, strict=True))
    assert model.predict(table[["band"]]).shape == answers.shape


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records"])
def test_mlflow_s_server_answers_as_predict_does(described, predicted, form):
    """By the functions that `mlflow models serve` reads a request and writes an answer with."""
    model = mlflow.pyfunc.load_model(str(described))
    rows = _instances()
    data = rows
    if form == "dataframe_split":
        data = {"columns": list(COLUMNS), "data": [list(row.values()) for row in rows]}
    body = json.dumps({form: data})
    response = invocations(body, "application/json", model, model.metadata.get_input_schema())
    assert response.status == 200, response.response
    answers = json.loads(response.response)["predictions"]
    for answer, expected in zip(answers, predicted, strict=True):
        assert close(answer, expected)


def test_the_registered_example_is_one_that_the_model_answers(described, predicted):
    model = mlflow.pyfunc.load_model(str(described))
    (answer,) = _plain(model.predict(Model.load(described).load_input_example(str(described))))
    assert close(answer, predicted[0])
