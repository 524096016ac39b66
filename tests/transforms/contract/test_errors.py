from __future__ import annotations

import copy
import errno
import importlib
import pickle
import re
from pathlib import Path

import pytest

import flows
from transforms.beam import error_in, marked_errors
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError, storage_error


def _kinds() -> list[type[BraidError]]:
    """Returns every class of errors, those of modules that nothing has imported yet too."""
    root = Path(flows.__file__).parent.parent
    for package in ("flows", "transforms", "trainer"):
        for path in (root / package).rglob("*.py"):
            if re.search(r"^class .*Error\):|^class .*\(Step", path.read_text(), re.MULTILINE):
                importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
    kinds = [BraidError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return kinds


def _made(kind: type[BraidError]) -> BraidError:
    error = kind.__new__(kind)
    received = 'nothing, "}BRAID_ERROR"\n\ud800\x00'
    BraidError.__init__(error, "a.csv", expected="a file", received=received, action="Mend it.")
    return error


@pytest.mark.parametrize("kind", _kinds())
def test_an_error_of_any_class_crosses_every_border_whole(kind: type[BraidError]) -> None:
    error = _made(kind)
    error.folder = "/w/backfills/x"  # as the error of a backfill has
    error.__cause__ = OSError("below")
    for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is kind
        assert ErrorReport.of(again) == ErrorReport.of(error)
        assert str(again) == str(error)
        assert again.folder == "/w/backfills/x"
    told = ErrorReport.model_validate_json(ErrorReport.of(error).model_dump_json()).error()
    assert ErrorReport.of(told) == ErrorReport.of(error)
    assert (type(told), str(told)) == (kind, str(error))
    with pytest.raises(RuntimeError) as raised, marked_errors("transform"):
        raise error
    crossed = error_in(f"{raised.value} [while running 'TransformUnits']")
    assert crossed is not None
    assert (type(crossed), ErrorReport.of(crossed)) == (kind, ErrorReport.of(error))


def test_an_error_of_a_class_that_is_not_loaded_keeps_its_fields() -> None:
    fields = {"place": "a", "expected": "b", "received": "c", "action": "d"}
    error = ErrorReport(type="OfAnotherVersion", **fields).error()
    assert type(error) is BraidError
    assert ErrorReport.of(error) == ErrorReport(type="BraidError", **fields)


def test_an_error_that_is_not_for_the_user_leaves_out_what_it_has_not() -> None:
    report = ErrorReport(type="ZeroDivisionError", received="division by zero")
    assert report.model_dump() == {"type": "ZeroDivisionError", "received": "division by zero"}
    assert report.headline() == "ZeroDivisionError: division by zero"


def test_full_disk_says_what_to_do() -> None:
    error = storage_error(OSError(errno.ENOSPC, "No space left on device", "/w/run.json"), "x")
    assert str(error).startswith("/w/run.json: expected a file system that can be read and written")
    assert "Free some space" in error.action
