from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of
from transforms.contract.declaration import load
from transforms.contract.encoders import ResnetEncoder
from transforms.contract.pipeline import PipelineSpec


def test_relative_source_is_taken_from_the_declarations_folder(declaration: Path) -> None:
    assert load(declaration).source.path == str(declaration.parent / "data")


def test_bucket_source_stays_as_it_is(declaration: Path) -> None:
    assert load(declaration, ["source.path=gs://bucket/rows"]).source.path == "gs://bucket/rows"


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
        ("split={by: time}", "split.validation_from: expected a value"),
        ("split.train=90", "split: expected percentages that add up to 100, received a total"),
        ("training.schedule={kind: cosin}", "training.schedule: expected kind to be one of"),
        ("model.fusion.hidden=[a]", "model.fusion.hidden.0: expected a valid integer"),
        ("targets.country={kind: binary}", "targets.country: expected a name that no feature has"),
        ("targets.error={kind: binary}", "targets.error: expected another name, as predictions"),
        ("features.a__missing={kind: text}", "features.a__missing: expected a name without '__'"),
        ("gate={metric: test_sold_mae}", "gate.metric: expected one of validation_loss"),
        ("gate=[]", "gate: expected"),
        ("split={train: 90, validation: 10, test: 0}", "split.test: expected rows to judge"),
        ("targets.sold.class_weights={yes: 2}", "targets.sold.class_weights: expected weights"),
        ("features.x={kind: numeric, default: .nan}", "features.x.default: expected a finite"),
        ("model.encoders.foto={kind: cnn}", "model.encoders.foto: expected the name of a feature"),
        (
            "model.encoders.photo={kind: lstm}",
            "model.encoders.photo.kind: expected one of cnn, resnet, mobilenet, custom for the "
            "image feature, received 'lstm'",
        ),
        (
            "model.encoders.photo={kind: resnet, weights: imagenet}",
            "model.encoders.photo.weights: expected string should match pattern",
        ),
        (
            "model.encoders.photo={kind: custom, builder: own}",
            "model.encoders.photo.builder: expected string should match pattern",
        ),
        (
            "model.encoders.review={kind: transformer, dimension: 10, heads: 4}",
            "model.encoders.review: expected dimension to be a multiple of heads, "
            "received 10 for 4 heads",
        ),
        (
            "features.country={kind: categorical, encoding: hash}",
            "features.country: expected buckets, as encoding hash needs them, received none",
        ),
        (
            "features.country.buckets=9",
            "features.country: expected buckets only with encoding hash or identity, received "
            "buckets 9 with encoding vocabulary",
        ),
        (
            "features.country={kind: categorical, encoding: identity, buckets: 9, oov_buckets: 2}",
            "features.country: expected oov_buckets only with encoding vocabulary, received "
            "oov_buckets 2 with encoding identity",
        ),
        (
            "features.country={kind: categorical, encoding: identity, buckets: 9, default: '9'}",
            "features.country: expected a default that is a whole number from 0 to 8, received '9'",
        ),
        (
            "features.x={kind: numeric, scale: quantile, clip: 3}",
            "features.x: expected clip only with scale z_score or log, received clip 3.0 "
            "with scale quantile",
        ),
        ("features.x={kind: numeric, clip: 0}", "features.x.clip: expected greater than 0"),
        ("features.x={kind: text, weights: bm25}", "features.x.weights: expected 'tf_idf'"),
        ("model.fusion={kind: sum}", "model.fusion: expected kind to be one of 'concatenate'"),
        ("model.fusion={kind: gated, hiden: [3]}", "(did you mean 'hidden'?)"),
        (
            "model.fusion={kind: attention, width: 9, heads: 2}",
            "model.fusion: expected width to be a multiple of heads, received 9 for 2 heads",
        ),
        ("model.fusion.modality_dropout=1", "model.fusion.modality_dropout: expected less than 1"),
        (
            "model.augment={country: {zoom: 0.1}}",
            "model.augment.country: expected an image feature, received 'country'",
        ),
        ("model.augment={photo: {}}", "model.augment.photo: expected at least one change"),
        (
            "model.augment={all: {columns: [photo, photo], zoom: 0.1}}",
            "model.augment.all: expected one geometry for each picture",
        ),
        ("model.augment={all: {columns: [photo], zoom: 0.1}}", "model.augment.all.columns: exp"),
        ("model.augment={all: {columns: [photo, mask]}}", "model.augment.all: expected at least o"),
        ("model.augment={all: {columns: [photo, mask], zoom: 0.1}}", "expected image features"),
        ("model.augment={all: {columns: [photo, x], brightness: 1}}", "unknown key 'brightness'"),
        ("model.augment={photo: {flipp: horizontal}}", "(did you mean 'flip'?)"),
        (
            "features.photo={kind: image, height: 9, width: 9, channels: 4, background: [0, 0, 0]}",
            "features.photo: expected no background for 4 channels",
        ),
        ("features.photo.background=[0, 0, 256]", "features.photo.background.2: expected less"),
        ("features.photo.storage=webp", "features.photo.storage: expected 'raw', 'jpeg' or 'png'"),
        ("training.epochs=true", "training.epochs: expected a valid integer"),
        ("name", "expected a path in the declaration and a value"),
        ("name.first=3", "expected a path through mappings"),
        ("training.epochs=[", "expected a value in YAML"),
        ("transform.drift.threshold=0", "transform.drift.threshold: expected"),
        ("transform.drift.threshold=1.5", "transform.drift.threshold: expected"),
        ("transform.drift.features={country: 2}", "transform.drift.features.country: expected"),
        (
            "transform.drift.features={prize: 0.2}",
            "transform.drift.features.prize: expected a feature or target whose statistics a "
            "transform freezes (country, ",
        ),
        ("transform.drift.features={prize: 0.2}", "received 'prize', which is not declared"),
        (
            "transform.drift.features={photo: 0.2}",
            "received 'photo', which has no statistics",
        ),
    ],
)
def test_wrong_value_is_named_with_its_place(
    declaration: Path, override: str, expected: str
) -> None:
    assert expected in error_of(declaration, override)


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
        ("a: &a {b: *a}", "no value that holds itself"),
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
