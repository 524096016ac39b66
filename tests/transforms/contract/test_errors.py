from __future__ import annotations

import copy
import errno
import importlib
import json
import pickle
import re
from pathlib import Path

import pytest

import flows
from transforms.beam import error_in, marked_errors
from transforms.contract.errors import BraidError, error_from_dict, storage_error


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
        assert again.to_dict() == error.to_dict()
        assert str(again) == str(error)
        assert again.folder == "/w/backfills/x"
    told = error_from_dict(json.loads(json.dumps(error.to_dict())))
    assert (type(told), told.to_dict(), str(told)) == (kind, error.to_dict(), str(error))
    with pytest.raises(RuntimeError) as raised, marked_errors("transform"):
        raise error
    crossed = error_in(f"{raised.value} [while running 'TransformUnits']")
    assert crossed is not None
    assert (type(crossed), crossed.to_dict()) == (kind, error.to_dict())


def test_an_error_of_a_class_that_is_not_loaded_keeps_its_fields() -> None:
    fields = {"place": "a", "expected": "b", "received": "c", "action": "d"}
    error = error_from_dict({"type": "OfAnotherVersion", **fields})
    assert type(error) is BraidError
    assert error.to_dict() == {"type": "BraidError", **fields}


def test_full_disk_says_what_to_do() -> None:
    error = storage_error(OSError(errno.ENOSPC, "No space left on device", "/w/run.json"), "x")
    assert str(error).startswith("/w/run.json: expected a file system that can be read and written")
    assert "Free some space" in error.action
