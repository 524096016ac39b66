from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.user_kinds.angle.declaration import Declaration
from transforms.contract.columns.kinds import user_code
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import DeclarationError

ANGLE = "tests.user_kinds.angle"


@pytest.fixture
def copied_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a kind `copied_kinds.angle`, whose code a test may change."""
    folder = tmp_path / "copied_kinds" / "angle"
    shutil.copytree(Path("tests/user_kinds/angle"), folder)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("copied_kinds")]:
        del sys.modules[name]


def declared(**feature: Any) -> PipelineSpec:
    return parse(
        {
            "name": "p",
            "source": {"path": "data", "key": "id"},
            "features": {"wind": feature},
            "targets": {"y": {"kind": "binary"}},
        }
    )


def test_a_users_kind_is_declared_by_its_import_path_with_settings_of_its_own() -> None:
    pipeline = declared(kind=ANGLE, unit="radians", column="direction")
    assert pipeline.features["wind"] == Declaration(kind=ANGLE, unit="radians", column="direction")
    assert pipeline.raw_features()["wind"].name == "direction"
    assert pipeline.has_user_code()


def test_a_users_kind_crosses_processes_and_shapes_the_data() -> None:
    pipeline = declared(kind=ANGLE, unit="radians")
    assert PipelineSpec.model_validate_json(pipeline.model_dump_json()) == pipeline
    assert pipeline.data_fingerprint() != declared(kind=ANGLE).data_fingerprint()


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ({"kind": ANGLE, "unit": "turns"}, "features.wind.unit: expected 'degrees' or 'radians'"),
        (
            {"kind": ANGLE, "unt": "turns"},
            r"sensitive, unit \(did you mean 'unit'\?\), received",
        ),
        ({"kind": "nowhere.angle"}, "kind nowhere.angle: expected an importable module"),
        ({"kind": "tests.user_kinds"}, "No module named 'tests.user_kinds.declaration'"),
        ({"kind": "angel"}, "features.wind: expected kind to be one of 'categorical', .*'angel'"),
    ],
)
def test_a_wrong_kind_is_refused_by_its_place(feature: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        declared(**feature)


@pytest.mark.parametrize(
    ("module", "data_changes", "training_changes"),
    [("declaration", True, False), ("transform", True, False), ("encoder", False, True)],
)
def test_changed_code_of_a_users_kind_makes_shards_or_the_model_anew(
    copied_kind: Path, module: str, data_changes: bool, training_changes: bool
) -> None:
    pipeline = declared(kind="copied_kinds.angle")
    before = pipeline.data_fingerprint(), pipeline.training_fingerprint()
    assert (pipeline.data_fingerprint(), pipeline.training_fingerprint()) == before
    with (copied_kind / f"{module}.py").open("a") as file:
        file.write("# changed\n")
    assert (pipeline.data_fingerprint() != before[0]) == data_changes
    assert (pipeline.training_fingerprint() != before[1]) == training_changes


def test_code_is_told_by_its_text_where_it_cannot_be_imported(copied_kind: Path) -> None:
    for module in ("transform", "encoder"):
        (copied_kind / f"{module}.py").write_text("raise ImportError('not on this machine')\n")
    pipeline = declared(kind="copied_kinds.angle")
    assert pipeline.data_fingerprint() != declared(kind=ANGLE).data_fingerprint()
    assert pipeline.training_fingerprint() != declared(kind=ANGLE).training_fingerprint()


def test_a_kind_that_lacks_a_module_is_told_by_its_place(copied_kind: Path) -> None:
    (copied_kind / "transform.py").unlink()
    with pytest.raises(DeclarationError, match="expected an importable module"):
        declared(kind="copied_kinds.angle").data_fingerprint()


def test_the_code_of_braids_own_kinds_is_told_by_their_version() -> None:
    assert user_code(declared(kind="numeric").features, "transform") == {}
