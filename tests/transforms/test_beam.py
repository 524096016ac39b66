from __future__ import annotations

import errno
import os
from pathlib import Path

import apache_beam as beam
import pytest

from transforms.beam import marked_errors, run_pipeline, workers
from transforms.contract.declaration.transform import BeamSpec
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.layout import Workspace


def fail_with(error: Exception, workspace: Path) -> None:
    def fail(_: int) -> None:
        with marked_errors("transform"):
            raise error

    run_pipeline(
        BeamSpec(), Workspace(workspace), lambda p, _: p | beam.Create([1]) | beam.Map(fail)
    )


def test_users_error_crosses_beam_whole(tmp_path) -> None:
    error = BraidError("a.parquet", expected="a {file}", received='"none"', action="Mend it.")
    with pytest.raises(BraidError) as caught:
        fail_with(error, tmp_path)
    assert ErrorReport.of(caught.value) == ErrorReport.of(error)


def test_full_disk_becomes_an_error_that_says_what_to_do(tmp_path) -> None:
    with pytest.raises(BraidError, match="No space left on device"):
        fail_with(OSError(errno.ENOSPC, "No space left on device", "/w/train.tfrecord"), tmp_path)


def test_bug_keeps_its_traceback(tmp_path) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run_pipeline(
            BeamSpec(),
            Workspace(tmp_path),
            lambda p, _: p | beam.Create([0]) | beam.Map(lambda x: 1 / x),
        )


@pytest.mark.parametrize(
    ("runner", "options", "units_at_once"),
    [
        ("DirectRunner", {}, os.cpu_count()),
        ("DirectRunner", {"direct_num_workers": 3}, 3),
        ("PrismRunner", {}, os.cpu_count()),
        ("PrismRunner", {"job_endpoint": "cluster:8073"}, 8),
        ("PortableRunner", {"job_endpoint": "cluster:8099", "parallelism": 40}, 40),
        ("FlinkRunner", {"flink_master": "cluster:8081", "parallelism": -1}, 8),
        ("DataflowRunner", {"max_num_workers": 100, "num_workers": 5}, 100),
    ],
)
def test_units_are_cut_by_the_parallelism_of_what_works_on_them(
    runner, options, units_at_once
) -> None:
    assert workers(BeamSpec(runner=runner, options=options)) == units_at_once


@pytest.mark.parametrize(
    ("runner", "option"),
    [("PortableRunner", "parallelism"), ("DirectRunner", "direct_num_workers")],
)
@pytest.mark.parametrize("value", ["auto", [2]])
def test_a_parallelism_that_is_no_number_is_refused(runner, option, value) -> None:
    with pytest.raises(DeclarationError) as caught:
        workers(BeamSpec(runner=runner, options={option: value}))
    told = (caught.value.place, caught.value.expected, caught.value.received)
    assert told == (f"beam.options.{option}", "a number", str(value))
