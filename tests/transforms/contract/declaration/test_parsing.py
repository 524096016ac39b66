from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import DeclarationError
from transforms.contract.network.encoders import ResnetEncoder


def test_relative_source_is_taken_from_the_declarations_folder(declaration: Path) -> None:
    assert load(declaration).source.path == str(declaration.parent / "data")


def test_bucket_source_stays_as_it_is(declaration: Path) -> None:
    assert load(declaration, ["source.path=gs://bucket/rows"]).source.path == "gs://bucket/rows"


def test_what_is_allowed_is_taken_from_the_declarations_folder(declaration: Path) -> None:
    allow = load(declaration, ['source.allow=["../photos", "gs://bucket/a", /data]']).source.allow
    assert allow == (str(declaration.parent / "../photos"), "gs://bucket/a", "/data")


@pytest.mark.parametrize("value", ["photos", '[""]', "[1]"])
def test_what_is_allowed_is_a_list_of_places(declaration: Path, value: str) -> None:
    assert "source.allow" in error_of(declaration, f"source.allow={value}")


def test_weights_are_taken_from_the_declarations_folder(declaration: Path) -> None:
    pipeline = load(declaration, ["model.encoders.photo={kind: resnet, weights: a.weights.h5}"])
    assert pipeline.encoder_of("photo") == ResnetEncoder(
        weights=str(declaration.parent / "a.weights.h5")
    )


def test_a_declaration_that_was_written_out_is_read_again(declaration: Path) -> None:
    spec = load(declaration, ["features.country={kind: categorical, encoding: hash, buckets: 9}"])
    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec


def test_override_replaces_one_value(declaration: Path) -> None:
    pipeline = load(declaration, ["training.epochs=3", "model.encoders.country={kind: one_hot}"])
    assert pipeline.training.epochs == 3
    assert pipeline.encoder_of("country").kind == "one_hot"


def test_every_wrong_place_is_named_at_once(declaration: Path) -> None:
    message = error_of(declaration, "training.epochs=0", "source.pth=x")
    assert "2 wrong places" in message
    assert "training.epochs" in message
    assert "source.pth" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "expected a YAML document"),
        ("- a", "expected a mapping"),
        ("", "NoneType"),
        ("name: a\nname: b", "the key 'name' stands twice"),
        ("2026-01-01: a", "expected keys that are text"),
        ("a: &a {b: *a}", "a value that holds itself"),
    ],
)
def test_file_that_is_no_declaration_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    assert expected in error_of(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in error_of(tmp_path / "no.yaml")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epoch=3", "training.epoch: expected one of the keys"),
        ("training.epoch=3", "(did you mean 'epochs'?), received the unknown key 'epoch'"),
        ("features.photo.heigth=9", "(did you mean 'height'?)"),
        ("features.photo.height=ninety", "features.photo.height: expected a valid integer"),
        ("features.photo.height=ninety", "received 'ninety'"),
        ("features.country.kind=categorial", "features.country: expected kind to be one of"),
        ("features.photo={kind: image}", "features.photo.height: expected a value"),
        ("source.windows={time: t, length: 3}", "source.windows.values: expected a value"),
        ("split={by: time}", "split.validation_from: expected a value"),
        ("training.schedule={kind: cosin}", "training.schedule: expected kind to be one of"),
        ("model.fusion.hidden=[a]", "model.fusion.hidden.0: expected a valid integer"),
        ("gate=[]", "gate: expected"),
        ("training.epochs=true", "training.epochs: expected a valid integer"),
        ("name", "expected a path in the declaration and a value"),
        ("name.first=3", "expected a path through mappings"),
        ("training.epochs=[", "expected a value in YAML"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    declaration: Path, override: str, expected: str
) -> None:
    assert expected in error_of(declaration, override)


@pytest.mark.parametrize(
    ("store", "path"),
    [
        ("stored", "DIR/stored"),
        ("gs://bucket/braid", "gs://bucket/braid"),
        ({"path": "s3://bucket/braid", "cache_bytes": 1_000}, "s3://bucket/braid"),
    ],
)
def test_a_store_is_a_folder_beside_the_declaration_or_a_bucket(declaration, store, path):
    folder = declaration.parent
    spec = load(declaration, [f"store={json.dumps(store)}"]).declared_store()
    assert spec is not None
    assert spec.path == path.replace("DIR", str(folder.resolve()))


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("ftp://host/braid", r"store: expected a folder, gs://BUCKET/FOLDER or s3://.*ftp://host"),
        ("gs://", r"store: expected a folder, gs://BUCKET/FOLDER"),
        ({"path": "b", "bytes": 1}, r"store.*bytes"),
        ("data/store", r"store: expected a place outside of the source.*/data.*beside the source"),
    ],
)
def test_a_store_that_cannot_be_is_refused(declaration, store, said):
    with pytest.raises(DeclarationError, match=said):
        load(declaration, [f"store={json.dumps(store)}", "source.path=data"])


def test_a_store_in_the_sources_bucket_lies_beside_its_rows(declaration):
    source = "source.path=gs://anonymous@bucket/rows/*.parquet?scheme=http"
    assert load(declaration, [source, "store=gs://bucket/braid"]).store is not None
    with pytest.raises(DeclarationError, match="outside of the source"):
        load(declaration, [source, "store=gs://bucket/rows/braid"])
