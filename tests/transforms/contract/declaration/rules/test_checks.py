from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.network.encoders import CnnEncoder

OTHER = "features.other={kind: image, height: 96, width: 96}"


SHARED = "model.encoders.other={kind: shared, with: photo}"


def test_an_encoder_is_shared_and_read_back_as_it_was_declared(declaration: Path) -> None:
    pipeline = load(declaration, [OTHER, SHARED, "model.encoders.photo={kind: cnn, units: 8}"])
    assert pipeline.model.encoders["other"].with_ == "photo"
    assert pipeline.encoder_of("other") == CnnEncoder(units=8)
    assert PipelineSpec.model_validate_json(pipeline.model_dump_json()) == pipeline
    assert load(declaration, [OTHER, SHARED]).encoder_of("photo") == CnnEncoder()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["features.other.width=95"],
            "a feature of uint8 [96, 95, 3] as this one, received uint8 [96, 96,",
        ),
        (["features.other.channels=1"], "a feature of uint8 [96, 96, 1] as this one"),
        (["model.encoders.other.with=third"], "the name of another feature, received 'third'"),
        (["model.encoders.other.with=other"], "the name of another feature, received 'other'"),
        (["model.encoders.other.with=country"], "another image feature, received the kind categ"),
        (["model.encoders.photo={kind: shared, with: other}"], "an encoder of its own, received"),
    ],
)
def test_an_encoder_that_cannot_be_shared_is_refused(
    declaration: Path, overrides: list[str], message: str
) -> None:
    error = error_of(declaration, OTHER, SHARED, *overrides)
    assert "model.encoders." in error
    assert message in error


def test_vocabularies_are_not_shared(declaration: Path) -> None:
    error = error_of(
        declaration,
        "features.city={kind: categorical}",
        "model.encoders.city={kind: shared, with: country}",
    )
    assert "model.encoders.city.with: expected features without a vocabulary" in error


@pytest.mark.parametrize("encoding", ["hash", "identity"])
def test_ids_that_mean_the_same_are_shared(declaration: Path, encoding: str) -> None:
    ids = f"{{kind: categorical, encoding: {encoding}, buckets: 9}}"
    home, away = f"features.home={ids}", f"features.away={ids}"
    both = "model.encoders.away={kind: shared, with: home}"
    assert load(declaration, [home, away, both]).model.encoders["away"].with_ == "home"
    error = error_of(declaration, home, away, both, "features.home.encoding=vocabulary",
                     "features.home.buckets=null")  # fmt: skip
    assert "model.encoders.away.with: expected features without a vocabulary" in error


def test_weights_of_terms_are_for_what_can_use_them(declaration: Path) -> None:
    weighted = "features.review={kind: text, weights: tf_idf}"
    message = error_of(declaration, weighted, "model.encoders.review={kind: lstm}")
    assert "model.encoders.review.kind: expected bag_of_words or custom" in message
    assert load(declaration, [weighted]).encoder_of("review").kind == "bag_of_words"
    bag = "model.encoders.review={kind: bag_of_words}"
    assert load(declaration, [weighted, bag]).features["review"].weights == "tf_idf"
    custom = "model.encoders.review={kind: custom, builder: 'own:encode'}"
    assert load(declaration, [weighted, custom]).model.has_user_code
    assert load(declaration, [weighted, "model={builder: 'own:build'}"]).model.has_user_code


def test_no_column_is_named_like_an_input_beside_another_one(declaration: Path) -> None:
    message = error_of(
        declaration,
        "features.area={kind: numeric, column: country}",
        "features.other={kind: categorical, column: 'country:float32'}",
    )
    assert "@" not in message
    assert (
        "features: expected one source for the model's input 'country:float32', "
        "received the columns country and country:float32" in message
    )


def test_a_time_has_a_threshold_if_its_trend_is_stored(declaration: Path) -> None:
    threshold = "transform.drift.features.at=0.5"
    load(declaration, ["features.at={kind: datetime}", threshold])
    message = error_of(declaration, "features.at={kind: datetime, parts: [time_of_day]}", threshold)
    assert "received 'at', which has no statistics" in message


def test_noise_alone_makes_no_pipeline(declaration: Path) -> None:
    message = error_of(declaration, "features={z: {kind: noise, dimension: 4}}")
    assert "features.z: expected a feature with a column beside it, received noise alone" in message


def test_noise_has_a_name_of_its_own(declaration: Path) -> None:
    message = error_of(
        declaration,
        "features.z={kind: noise, dimension: 4}",
        "features.country={kind: categorical, column: z}",
    )
    assert "features.z: expected a name that no feature's column has, received 'z'" in message


def test_a_single_target_has_nothing_to_balance(declaration: Path) -> None:
    message = error_of(declaration, "training.loss_balance=uncertainty")
    assert "training.loss_balance: expected fixed for a single target" in message


def test_a_model_uses_what_is_declared(declaration: Path) -> None:
    for group in ("features", "targets"):
        message = error_of(declaration, f"model.{group}=[aera]")
        assert f"model.{group}: expected some of" in message
        assert "received 'aera'" in message


GENERATOR = """
name: drawings
source: {path: data, key: id}
features:
  shape: {kind: categorical}
  z: {kind: noise, dimension: 4}
targets:
  picture: {kind: image, content: continuous, height: 8, width: 8}
training: {objective: adversarial, early_stopping_patience: null}
"""


@pytest.mark.parametrize(
    ("override", "place", "received"),
    [
        ("features.z={kind: numeric}", "training.objective: expected a feature of kind noise",
         "shape, z"),
        ("targets.size={kind: numeric}", "training.objective: expected a single image target",
         "picture of kind image, size of kind numeric"),
        ("targets={size: {kind: numeric}}", "training.objective: expected a single image target",
         "size of kind numeric"),
        ("training.early_stopping_patience=3", "training.early_stopping_patience: expected null",
         "3"),
        ("model.features=[shape]", "training.objective: expected a feature of kind noise", "shape"),
        ("model.features=[z]", "features.z: expected a feature with a column", "noise alone"),
        ("training.objective=supervised", None, None),
        ("training={discriminator: {units: 3}}", "training.discriminator: expected objective: adv",
         "'supervised'"),
    ],
)  # fmt: skip
def test_adversarial_training_wants_one_picture_noise_and_every_epoch(
    declaration: Path, override: str, place: str | None, received: str | None
) -> None:
    declaration.write_text(GENERATOR)
    if place is None:
        assert load(declaration, [override]).training.objective == "supervised"
        return
    message = error_of(declaration, override)
    assert place in message
    assert f"received {received}" in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("targets.country={kind: binary}", "targets.country: expected a name that no feature has"),
        ("targets.error={kind: binary}", "targets.error: expected another name, as predictions"),
        ("features.a__missing={kind: text}", "features.a__missing: expected a name without '__'"),
        ("gate={metric: test_sold_mae}", "gate.metric: expected one of validation_loss"),
        ("split={train: 90, validation: 10, test: 0}", "split.test: expected rows to judge"),
        ("targets.sold.class_weights={yes: 2}", "targets.sold.class_weights: expected weights"),
        ("model.encoders.foto={kind: cnn}", "model.encoders.foto: expected the name of a feature"),
        (
            "model.encoders.photo={kind: lstm}",
            "model.encoders.photo.kind: expected one of cnn, resnet, mobilenet, custom for the "
            "image feature, received 'lstm'",
        ),
    ],
)
def test_places_that_do_not_fit_together_are_refused(
    declaration: Path, override: str, expected: str
) -> None:
    assert expected in error_of(declaration, override)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "training.start: expected all where source.partition_by is not declared"),
        (
            ["source.partition_by=day", "training.schedule={kind: cosine}"],
            "training.schedule.kind: expected constant where training.start is streaming",
        ),
        (
            ["source.partition_by=day", "training.refit=all"],
            "training.refit: expected auto or null where training.start is streaming",
        ),
    ],
)
def test_a_training_that_cannot_begin_early_is_refused(
    declaration: Path, overrides: list[str], message: str
) -> None:
    assert message in error_of(declaration, "training.start=streaming", *overrides)
    load(declaration, ["training.start=streaming", "source.partition_by=day"])
