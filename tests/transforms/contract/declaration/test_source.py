from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.pipeline import PipelineSpec


@pytest.mark.parametrize("by", ["day", "{path_date: '%Y/%m/%d'}", "{file: true}"])
@pytest.mark.parametrize("choice", ["all", "{last: 30}", "{from: 2026-01-01, to: 2026-03-31}"])
def test_partitions_and_their_choice_are_read_and_written(
    declaration: Path, by: str, choice: str
) -> None:
    pipeline = load(declaration, [f"source.partition_by={by}", f"training.partitions={choice}"])
    assert PipelineSpec.model_validate_json(pipeline.model_dump_json()) == pipeline


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["source.partition_by={path_date: '%m/%d'}"],
            "source.partition_by: expected path_date to have %Y, then as many of %m",
        ),
        (["source.partition_by={path_date: '%Y/%Y'}"], "received '%Y/%Y'"),
        (["source.partition_by={path_date: '%Y/%m%'}"], "received '%Y/%m%'"),
        (["source.partition_by={path_date: '%Y', file: true}"], "expected either path_date or"),
        (["source.partition_by={}"], "expected either path_date or file: true, received neither"),
        (
            ["source.partition_by={path: '%Y'}"],
            "source.partition_by.path: expected one of the keys file, path_date",
        ),
        (["source.partition_by=[day]"], "source.partition_by: expected"),
        (
            ["source.partition_by=day", "training.partitions={last: 0}"],
            "training.partitions.last: expected greater than",
        ),
        (
            ["source.partition_by=day", "training.partitions={last: 3, to: 5}"],
            "training.partitions: expected either last, or from and to",
        ),
        (
            ["source.partition_by=day", "training.partitions={lats: 3}"],
            "training.partitions.lats: expected one of the keys from, last, to (did you mean 'last",
        ),
        (["source.partition_by=day", "training.partitions=some"], "expected 'all'"),
        (
            ["training.partitions={last: 3}"],
            "training.partitions: expected all where source.partition_by is not declared, "
            "received the last 3",
        ),
    ],
)
def test_partitions_that_cannot_be_are_refused(
    declaration: Path, overrides: list[str], message: str
) -> None:
    assert message in error_of(declaration, *overrides)


FOLD = "by: column, column: fold"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("split.train=90", "split: expected percentages that add up to 100, received a total"),
        ("split={column: 3}", "split.column: expected a valid string, received 3"),
        ("split={by: hash, colum: who}", "split.colum: expected one of the keys by, column, test"),
        ("split={by: column}", "split.column: expected a value, as this key is required"),
        (f"split={{{FOLD}, tset: [b]}}", "split.tset: expected one of the keys by, column, test"),
        (f"split={{{FOLD}, train: 3}}", "split.train: expected a valid array, received 3"),
        (f"split={{{FOLD}, train: {{from: train, percent: 9}}}}", "split.train: expected a valid"),
        (f"split={{{FOLD}, validation: dev}}", "split.validation: expected a valid array"),
        (
            f"split={{{FOLD}, validation: [a], test: [b, a]}}",
            "split: expected values that belong to one split each, received 'a' twice",
        ),
        (
            f"split={{{FOLD}, validation: {{from: test, percent: 15}}}}",
            "split.validation.from: expected 'train', received 'test'",
        ),
        (
            f"split={{{FOLD}, validation: {{percent: 15}}}}",
            "split.validation.from: expected a value, as this key is required",
        ),
        (
            f"split={{{FOLD}, test: {{from: train, percent: 0}}}}",
            "split.test.percent: expected greater than or equal to 1, received 0",
        ),
        (
            f"split={{{FOLD}, test: {{from: train, percent: 51}}}}",
            "split.test.percent: expected less than or equal to 50, received 51",
        ),
        (
            f"split={{{FOLD}, test: {{from: train, percnt: 15}}}}",
            "split.test.percnt: expected one of the keys from, percent (did you mean 'percent'?)",
        ),
        (
            f"split={{{FOLD}, validation: {{from: train, percent: 50}}, "
            "test: {from: train, percent: 50}}",
            "split: expected a share of the training rows that stays, received 100 percent taken",
        ),
    ],
)
def test_a_split_that_cannot_be_is_refused(declaration: Path, override: str, expected: str) -> None:
    assert expected in error_of(declaration, override)


@pytest.mark.parametrize(
    "split",
    [
        "{column: customer}",
        "{by: hash, column: customer, train: 60, validation: 20, test: 20}",
        f"{{{FOLD}, train: [a, b], validation: {{from: train, percent: 15}}, test: [c]}}",
        f"{{{FOLD}, validation: {{from: train, percent: 1}}, test: {{from: train, percent: 50}}}}",
    ],
)
def test_groups_and_shares_are_read_and_written_and_shape_the_shards(
    declaration: Path, split: str
) -> None:
    pipeline = load(declaration, [f"split={split}"])
    assert PipelineSpec.model_validate_json(pipeline.model_dump_json()) == pipeline
    plain = load(declaration, ["split={by: column, column: fold}"] if "fold" in split else [])
    assert pipeline.data_fingerprint() != plain.data_fingerprint()
