from __future__ import annotations

from typing import Any

import pytest

from tests.user_kinds.angle.declaration import Declaration
from transforms.contract.declaration import parse
from transforms.contract.errors import DeclarationError
from transforms.contract.pipeline import PipelineSpec

ANGLE = "tests.user_kinds.angle"


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
        ({"kind": ANGLE, "unt": "turns"}, "a key that the kind declares, received the unknown key"),
        ({"kind": "nowhere.angle"}, "kind nowhere.angle: expected an importable module"),
        ({"kind": "tests.user_kinds"}, "No module named 'tests.user_kinds.declaration'"),
        ({"kind": "angel"}, "features.wind: expected kind to be one of 'categorical', .*'angel'"),
    ],
)
def test_a_wrong_kind_is_refused_by_its_place(feature: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        declared(**feature)
