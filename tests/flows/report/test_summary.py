from __future__ import annotations

import base64
import io
import re
from datetime import timedelta

import pytest
from PIL import Image
from rich.console import Console

from flows.records.record import GateRecord, ModelVersion, RunRecord, StepRecord
from flows.report.summary import markdown, metric_table, show, write_report
from tests.support.records import STARTED, run_record
from transforms.contract.declaration.transform import DriftSpec
from transforms.contract.steps.baselines import Baselines
from transforms.contract.steps.evaluation import EvaluationResult, PicturesFigure
from transforms.contract.steps.results import EpochRecord, TrainingHistory, TrainResult
from transforms.contract.steps.tuning import Trial, Tuning
from transforms.contract.workspace.drift import Distance, JudgedDrift, MeasuredDrift, judge
from transforms.contract.workspace.manifest import RejectCount


@pytest.fixture
def record() -> RunRecord:
    return run_record(
        status="promoted",
        ended=STARTED + timedelta(minutes=1),
        rows={"train": 80, "validation": 10, "test": 9},
        source_rows=100,
        rejects=[
            RejectCount(
                column="photo",
                reason="truncated [jpeg]",
                rows=1,
                example_key="L7",
                example_file="/data/day=1/a.parquet",
            )
        ],
        steps=[
            StepRecord(name="transform", seconds=2.0, rows=100, rows_per_second=50.0, note="x|y")
        ],
        training=TrainResult(best_epoch=2),
        metrics={
            "test_loss": 0.5,
            "validation_loss": 0.4,
            "test_sold_auc": 0.91,
            "validation_sold_auc": 0.93,
            "test_price_mae": 1234.5,
        },
        gate=GateRecord(passed=True, reasons=("test_sold_auc 0.91 is at least 0.7.",)),
        model=ModelVersion(name="flats", version="3"),
    )


def _drifted() -> JudgedDrift:
    measured = MeasuredDrift(
        transform="t0",
        partitions={"day=2": "f"},
        rows=1200,
        features={
            "area": Distance(distance=0.3125, measured=0.34, chance=0.13),
            "city": Distance(distance=0.02, measured=0.15, chance=0.15),
            "price": Distance(distance=0.0, measured=0.1, chance=0.12),
        },
    )
    return judge(measured, DriftSpec(threshold=0.1, features={"city": 0.2}))


def _shown(record: RunRecord) -> str:
    output = io.StringIO()
    show(Console(file=output, width=120), record)
    return output.getvalue()


def test_the_terminal_shows_outcome_rows_rejects_metrics_gate_and_version(record):
    text = _shown(record)
    for part in (
        "the new model became the champion",
        "truncated [jpeg]",
        "day=1/a.parquet",
        "L7",
        "0.9100",
        "1,234.5",
        "Gate passed: test_sold_auc 0.91 is at least 0.7.",
        "flats version 3, alias champion",
    ):
        assert part in text


def test_rows_that_a_filter_leaves_out_are_a_part_of_the_table(record):
    record.left_out = 25
    assert "left out" in _shown(record)
    assert re.search(r" 125 +80 +10 +9 +1 +25 ", _shown(record))


def test_metrics_stand_beside_the_champions(record):
    assert metric_table(record)[0] == ("metric", "validation", "test")
    record.champion_metrics = {"test_sold_auc": 0.9}
    head, rows = metric_table(record)
    assert head == ("metric", "validation", "test", "champion, test")
    assert ("sold_auc", "0.9300", "0.9100", "0.9000") in rows


def test_metrics_stand_beside_the_baselines(record):
    record.champion_metrics = {"test_sold_auc": 0.9}
    record.baselines = Baselines(
        constant={"test_sold_auc": 0.5, "validation_sold_auc": 0.5}, linear={"test_sold_auc": 0.85}
    )
    head, rows = metric_table(record)
    assert head[3:] == ("constant, test", "linear, test", "champion, test")
    assert ("sold_auc", "0.9300", "0.9100", "0.5000", "0.8500", "0.9000") in rows
    assert ("price_mae", "-", "1,234.5", "-", "-", "-") in rows


def test_the_picture_marks_the_baselines_beside_the_model(record, tmp_path):
    drawn = []
    for baselines in (Baselines(), Baselines(constant={"test_sold_auc": 0.3})):
        record.baselines = baselines
        write_report(tmp_path, record)
        drawn.append(Image.open(tmp_path / "report.png").tobytes())
    assert drawn[0] != drawn[1]


def test_markdown_escapes_what_would_break_a_table(record):
    text = markdown(record)
    assert "x\\|y" in text
    assert "![Report](report.png)" in text


def test_a_refused_model_is_the_challenger(record):
    record.status, record.gate = "refused", GateRecord(passed=False, reasons=("too low.",))
    assert "Gate refused: too low." in _shown(record)
    assert "alias challenger" in _shown(record)


@pytest.mark.parametrize("losses", [{}, {"generator_loss": 0.7, "discriminator_loss": 1.3}])
def test_report_files_are_written_from_what_the_steps_left(record, tmp_path, losses):
    rounds = tuple(
        EpochRecord(
            epoch=number,
            loss=1.0 - number / 2,
            losses=losses,
            validation_loss=validation,
            seconds=1.0,
            rows_per_second=9.0,
            input_wait_share=0.1,
        )
        for number, validation in enumerate((0.9, None))
    )
    history = TrainingHistory(result=TrainResult(), epochs=rounds)
    (tmp_path / "history.json").write_text(history.model_dump_json())
    write_report(tmp_path, record)
    assert Image.open(tmp_path / "report.png").size[0] > 1000
    assert (tmp_path / "summary.md").read_text().startswith("# flats: the new model")


def test_pictures_of_test_rows_are_drawn(record, tmp_path):
    def cell(color, side):
        buffer = io.BytesIO()
        Image.new("RGB", (side, side), color).save(buffer, "PNG")
        return base64.b64encode(buffer.getvalue()).decode()

    colors = [(250, 0, 0), (0, 240, 0), (0, 0, 230)]
    rows = tuple((cell(color, 30), cell(color, 20)) for color in colors)
    figure = PicturesFigure(columns=("truth", "prediction"), rows=rows)
    result = EvaluationResult(metrics={}, rows=0, figures={"mask": figure})
    (tmp_path / "evaluation.json").write_text(result.model_dump_json())
    write_report(tmp_path, record)
    pixels = set(Image.open(tmp_path / "report.png").convert("RGB").getdata())
    assert set(colors) <= pixels


def test_a_run_without_history_or_evaluation_still_has_a_report(record, tmp_path):
    write_report(tmp_path, record)
    assert (tmp_path / "report.png").exists()


def test_drift_is_told_with_its_thresholds_the_worst_first(record, tmp_path):
    without = tmp_path / "without"
    for folder in (without, tmp_path):
        folder.mkdir(exist_ok=True)
        write_report(folder, record)
        record.drift = _drifted()
    write_report(tmp_path, record)
    text = (tmp_path / "summary.md").read_text()
    assert "## Drift of 1,200 new training rows" in text
    assert "| area | 0.312 | 0.100 | 0.340 | 0.130 |" in text
    assert text.index("| area |") < text.index("| city | 0.020 | 0.200 |") < text.index("| price |")
    assert "Drift" not in (without / "summary.md").read_text()
    drawn, plain = (Image.open(folder / "report.png") for folder in (tmp_path, without))
    assert drawn.tobytes() != plain.tobytes()
    assert "0.312" in _shown(record)


def test_trials_are_told_the_best_first_and_drawn_by_number(record, tmp_path):
    losses = {0: ("complete", 0.42), 1: ("pruned", 0.9), 2: ("complete", 0.375)}
    trials = tuple(
        Trial(
            number=number,
            status=status,
            loss=loss,
            changes={"training.learning_rate": 0.002} if number else {},
            parameters={},
            seconds=1.5,
        )
        for number, (status, loss) in losses.items()
    )
    failed = Trial(number=3, status="diverged", loss=None, changes={}, parameters={}, seconds=1.0)
    write_report(tmp_path, record)
    without = Image.open(tmp_path / "report.png").tobytes()
    record.tuning = Tuning(
        trials=(*trials, failed), best=2, settings={}, seconds=5.5, transformed=0
    )
    write_report(tmp_path, record)
    assert Image.open(tmp_path / "report.png").tobytes() != without
    text = markdown(record)
    assert "## Trials: the best of 4, 1 of which stopped early" in text
    lines = [line for line in text.splitlines() if "1.5 |" in line]
    assert lines == [
        "| 2 | 0.3750 | 1.5 | training.learning_rate 0.002 |",
        "| 0 | 0.4200 | 1.5 | none: the declaration |",
    ]
    assert RunRecord.model_validate_json(record.model_dump_json()).tuning == record.tuning
