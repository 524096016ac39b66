"""A run's page: whole, harmless, small, and silent about what is sensitive."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flows.records.record import GateRecord, RunRecord, StepRecord
from flows.report.page import sections
from flows.report.page.charts import Axes, Series, chart
from flows.report.page.columns import FROZEN, distributions
from flows.report.page.page import MOST_BYTES, page, write_page
from tests.support.records import run_record
from tests.support.runs import run_of
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.evaluation import (
    LEVELS,
    CalibrationBin,
    ConfusionFigure,
    EvaluationResult,
    Importance,
    MeasuredRows,
    MeasuredSlice,
    PicturesFigure,
    Resampled,
    RocFigure,
    RowShown,
    ScatterFigure,
)
from transforms.contract.steps.results import EpochRecord, TrainingHistory, TrainResult
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import RejectCount
from transforms.contract.workspace.partition import Partition
from transforms.reading.batches import Reject
from transforms.reading.sensitive import shown_rejects
from transforms.shards.writer import write_rejects
from transforms.source.scan import scan

HOSTILE = '<script>alert(1)</script><img src=x onerror=y>"\x1b[2J'
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
ONLY_SOLD = {"sold": {"kind": "binary"}}


def declared(folder: Path, **changes) -> PipelineSpec:
    """Returns the declaration of a table of 60 rows in two files."""
    folder.mkdir(exist_ok=True)
    for number in range(2):
        lines = ["id,city,area,secret,sold"]
        for row in range(number * 30, number * 30 + 30):
            city = ("Bonn", "Ulm", "")[row % 3]
            lines.append(f"{row},{city},{row + number * 100},hush{row},{row % 2}")
        (folder / f"{number}.csv").write_text("\n".join(lines) + "\n")
    document = {
        "name": "flats",
        "source": {
            "path": str(folder),
            "format": "csv",
            "key": "id",
            "partition_by": {"file": True},
        },
        "features": {
            "city": {"kind": "categorical"},
            "area": {"kind": "numeric"},
            "secret": {"kind": "categorical", "sensitive": True},
        },
        "targets": ONLY_SOLD,
        "evaluation": {"slices": ["city"]},
    }
    return parse(document | changes)


def record_of(text: str = "photo") -> RunRecord:
    return run_record(
        status="promoted",
        rows={"train": 40, "validation": 10, "test": 10},
        source_rows=61,
        rejects=[
            RejectCount(column=text, reason="x", rows=1, example_key="L7", example_file="/d/a.csv")
        ],
        steps=[StepRecord(name="train", seconds=2.0, rows=40, note=text)],
        training=TrainResult(best_epoch=2),
        metrics={"test_sold_auc": 0.91, "validation_sold_auc": 0.93},
        gate=GateRecord(passed=True, reasons=("test_sold_auc 0.91 is at least 0.7.",)),
        warnings=[text],
    )


def evaluated(text: str = "Bonn", pictures: str = PIXEL, **changes) -> EvaluationResult:
    """Returns an evaluation with something of everything that is shown."""
    bins = (CalibrationBin(promised=0.2, kept=0.3, rows=5),)
    around = Resampled(quantiles=tuple(0.8 + level / 5 for level in LEVELS))
    measured = {"metrics": {"test_sold_auc": 0.91}, "resampled": {"test_sold_auc": around}}
    values = {
        "metrics": {"test_sold_auc": 0.91},
        "rows": 20,
        "test": MeasuredRows(rows=10, **measured),
        "slices": (MeasuredSlice(feature="city", label=f"is {text}", rows=5, **measured),),
        "importance": (Importance(column=text, loss=0.3, error=0.1),),
        "worst": (
            RowShown(
                loss=2.5,
                values={"city": text},
                series={"signal": (1.0, 3.0, 2.0)},
                pictures={"photo": pictures},
                answers={"sold": ("yes", "no (0.1)")},
            ),
        )
        * 3,
        "figures": {
            "sold": RocFigure(
                false_positive_rate=(0, 1),
                true_positive_rate=(0, 1),
                precision=(1, 0.5),
                recall=(0, 1),
                calibration=bins,
            ),
            "group": ConfusionFigure(labels=(text, "b"), rows=((3, 1), (0, 4))),
            "cost": ScatterFigure(
                true=(1.0, 2.0), predicted=(1.5, 2.5), horizon=(0.1, 0.2), series=(((1,), (2,)),)
            ),
            "mask": PicturesFigure(columns=("truth",), rows=((PIXEL,),)),
        },
    }
    return EvaluationResult(**(values | changes))


def drawn(folder: Path, pipeline: PipelineSpec, text: str, evaluation: EvaluationResult) -> str:
    run = folder / "run"
    run.mkdir(exist_ok=True)
    rounds = tuple(
        EpochRecord(
            epoch=number, loss=1.0, losses={"a": 1.0, "b": 2.0}, validation_loss=0.9,
            seconds=1.0, rows_per_second=9.0, input_wait_share=0.1,
        )
        for number in range(2)
    )  # fmt: skip
    history = TrainingHistory(result=TrainResult(), epochs=rounds)
    (run / "history.json").write_text(history.model_dump_json())
    (run / "evaluation.json").write_text(evaluation.model_dump_json())
    columns = distributions(pipeline, scan(pipeline.source).partitions, ("0.csv",))
    return page(run, record_of(text), pipeline, columns, {(text, "x"): text})


class _Reader(HTMLParser):
    """Collects what a browser would load or run, and checks that every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loads += [v for name, v in attrs if name in ("src", "href", "srcset", "action")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in ("meta", "img", "path", "rect", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in ("path", "rect", "circle")
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def whole(tmp_path):
    return drawn(tmp_path, declared(tmp_path / "data"), HOSTILE, evaluated(HOSTILE))


def test_a_page_has_every_section_and_loads_nothing(whole):
    reader = _Reader()
    reader.feed(whole)
    assert not reader.open
    assert all(place.startswith(("data:image/png;base64,", "#")) for place in reader.loads)
    assert "script" not in reader.tags
    assert "default-src 'none'" in whole
    names = set(re.findall(r"<h2 id=\"([a-z-]+)\"", whole))
    assert names == {place[1:] for place in reader.loads if place.startswith("#")}
    assert names == {
        "metrics", "targets", "slices", "importance", "worst-rows", "training", "columns", "rows",
        "steps", "declaration",
    }  # fmt: skip


def test_text_of_the_table_is_escaped_wherever_it_stands(whole):
    assert "<script>alert" not in whole
    assert "\x1b" not in whole
    # Reject, note, step, value of a reject, slice, importance, worst rows, label.
    assert whole.count("&lt;script&gt;alert(1)") >= 10


def test_metrics_stand_with_their_interval(whole):
    assert "0.8050 to 0.9950" in whole
    assert "95% interval" in whole


def test_nothing_is_shown_of_a_sensitive_column(tmp_path):
    shown = drawn(tmp_path, declared(tmp_path / "data"), "photo", evaluated())
    assert "secret" in shown
    assert "hush" not in shown


def test_a_page_that_is_too_large_leaves_out_worst_rows(tmp_path):
    large = "A" * (MOST_BYTES // 2)
    shown = drawn(tmp_path, declared(tmp_path / "data"), "photo", evaluated(pictures=large))
    assert len(shown.encode()) <= MOST_BYTES
    assert large in shown


def test_columns_are_counted_by_split_and_beside_the_frozen_partitions(tmp_path):
    pipeline = declared(tmp_path / "data")
    shown, rows = distributions(pipeline, scan(pipeline.source).partitions, ("0.csv",))
    assert rows == 60
    columns = {each.column: each for each in shown}
    assert set(columns) == {"city", "area", "sold"}
    assert set(columns["city"].shares) == {"train", "validation", "test", FROZEN}
    assert sorted(columns["city"].values) == ["Bonn", "Ulm"]
    assert sum(columns["city"].shares["train"]) == pytest.approx(1)
    assert columns["city"].missing["train"] > 0
    edges, shares = columns["area"].edges, columns["area"].shares
    beyond = [share for share, edge in zip(shares[FROZEN], edges, strict=False) if edge > 40]
    assert sum(beyond) == 0, "the frozen rows are those of the first file"
    assert sum(shares[FROZEN]) == pytest.approx(1)


def _rows_of_page(tmp_path, pipeline):
    """Writes the page of a run with three rejects, two of them of one key, and returns its rows."""
    partition = Partition(name="all", value=None, fingerprint="p", files=())
    work = run_of(pipeline, Workspace(tmp_path / "workspace"), [partition]).work
    rejects = [
        Reject(f"L{column}", "a.csv", column, reason, value)
        for column, reason, value in (
            ("area", "missing", b"None"),
            ("area", "not_a_number", b"12 m2"),
            ("city", "too_long", b"Llan"),
        )
    ]
    write_rejects(work.workspace.rejects("t", *partition.id) / "00000.parquet", rejects)
    counts = [
        RejectCount(
            column=each.column, reason=each.reason, rows=1, example_key=each.key, example_file="a"
        )
        for each in shown_rejects(pipeline, rejects)
    ]
    record = record_of().model_copy(update={"rejects": counts, "left_out": 9})
    write_page(work, record)
    text = (work.folder / "report.html").read_text()
    return text[text.index('id="rows"') : text.index('id="steps"')]


def test_every_reject_stands_with_the_value_of_its_example(tmp_path):
    shown = _rows_of_page(tmp_path, declared(tmp_path / "data"))
    assert shown.count("Larea") == 2
    assert "12 m2" in shown
    assert "Llan" in shown
    assert "None" not in shown


def test_rows_that_are_left_out_are_in_the_table(tmp_path):
    shown = _rows_of_page(tmp_path, declared(tmp_path / "data"))
    assert re.findall(r"<th[^>]*>(.*?)</th>", shown)[:6] == [
        "in the table", "train", "validation", "test", "rejected", "left out",
    ]  # fmt: skip
    assert re.findall(r"<td[^>]*>(.*?)</td>", shown)[:6] == ["70", "40", "10", "10", "3", "9"]


def test_no_key_and_no_value_is_shown_that_is_declared_sensitive_since(tmp_path):
    pipeline = declared(
        tmp_path / "data",
        source={
            "path": str(tmp_path / "data"),
            "format": "csv",
            "key": "id",
            "sensitive_key": True,
        },
        features={"area": {"kind": "numeric", "sensitive": True}, "city": {"kind": "categorical"}},
    )
    shown = _rows_of_page(tmp_path, pipeline)
    assert "Llan" in shown, "its column is not sensitive"
    assert "Larea" not in shown
    assert "12 m2" not in shown


def test_rejects_that_cannot_be_read_cost_the_page_no_more_than_their_values(tmp_path):
    partition = Partition(name="all", value=None, fingerprint="p", files=())
    run = run_of(declared(tmp_path / "data"), Workspace(tmp_path / "workspace"), [partition])
    folder = run.work.workspace.rejects("t", *partition.id)
    folder.mkdir(parents=True)
    (folder / "00000.parquet").write_bytes(b"no table")
    write_page(run.work, record_of())
    assert "L7" in (run.work.folder / "report.html").read_text()


@pytest.mark.parametrize("value", ["1e20", "-3e38"])
def test_a_column_of_one_number_is_drawn_however_large_it_is(tmp_path, value):
    pipeline = declared(tmp_path / "data", features={"area": {"kind": "numeric"}}, evaluation={})
    for file in (tmp_path / "data").glob("*.csv"):
        lines = [line.split(",") for line in file.read_text().splitlines()]
        rows = [",".join([*line[:2], value, *line[3:]]) for line in lines[1:]]
        file.write_text("\n".join([",".join(lines[0]), *rows]))
    shown = distributions(pipeline, scan(pipeline.source).partitions, ("0.csv", "1.csv"))
    (area,) = (each for each in shown[0] if each.column == "area")
    assert all(sum(shares) == pytest.approx(1) for shares in area.shares.values())
    assert "<svg" in sections.columns(pipeline, *shown, record_of())


def test_a_run_that_came_to_no_model_still_has_a_page(tmp_path):
    record = record_of().model_copy(update={"metrics": {}, "gate": None, "status": "failed"})
    shown = page(tmp_path, record, declared(tmp_path / "data"), ([], 0), {})
    assert "Steps" in shown
    assert 'id="metrics"' not in shown


def test_a_chart_of_one_point_and_one_of_none_are_drawn():
    assert "<circle" in chart([Series("", [(1.0, 1.0)], style="points")], Axes())
    assert chart([Series("", [])], Axes()) == ""


@pytest.mark.parametrize("last", [1e20, 1e20 * (1 + 2**-52), 5e-324, math.inf, math.nan])
def test_points_that_are_huge_or_next_to_each_other_or_no_numbers_are_drawn(last):
    shown = chart([Series("", [(1.0, 1e20 if last > 1 else 0.0), (2.0, last)])], Axes())
    assert "<path" in shown
    assert "nan" not in shown
    assert "inf" not in shown


def test_the_worst_slice_comes_first():
    low = MeasuredSlice(feature="city", label="is Ulm", rows=40, metrics={"test_sold_auc": 0.6})
    high = MeasuredSlice(feature="city", label="is Bonn", rows=40, metrics={"test_sold_auc": 0.9})
    pipeline = parse(
        {
            "name": "flats",
            "source": {"path": "data", "key": "id"},
            "features": {"city": {"kind": "categorical"}},
            "targets": ONLY_SOLD,
        }
    )
    shown = sections.slices(evaluated(slices=(high, low)), pipeline)
    assert shown.index("city is Ulm") < shown.index("city is Bonn")
