from __future__ import annotations

from pathlib import Path

import pytest

from transforms.contract.declaration import load, parse
from transforms.contract.decoders import UpsamplingDecoder
from transforms.contract.encoders import CnnEncoder, LstmEncoder, ResnetEncoder
from transforms.contract.errors import DeclarationError
from transforms.contract.features import Image
from transforms.contract.fusions import ConcatenateFusion
from transforms.contract.model import GateSpec
from transforms.contract.pipeline import PipelineSpec, is_better
from transforms.contract.source import HashSplit

MINIMAL = """
name: reviews
source: {path: data, key: id}
features:
  country: {kind: categorical}
  photo: {kind: image, height: 96, width: 96}
targets:
  sold: {kind: binary}
"""


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(MINIMAL)
    return path


def error_of(path: Path, *overrides: str) -> str:
    with pytest.raises(DeclarationError) as caught:
        load(path, overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_only_columns_and_kinds_need_to_be_declared(declaration: Path) -> None:
    pipeline = load(declaration)
    assert pipeline.split == HashSplit(train=80, validation=10, test=10)
    assert pipeline.features["photo"] == Image(kind="image", height=96, width=96)
    assert pipeline.gates() == (GateSpec(metric="test_sold_auc"),)


def test_relative_source_is_taken_from_the_declarations_folder(declaration: Path) -> None:
    assert load(declaration).source.path == str(declaration.parent / "data")


def test_bucket_source_stays_as_it_is(declaration: Path) -> None:
    assert load(declaration, ["source.path=gs://bucket/rows"]).source.path == "gs://bucket/rows"


def test_weights_are_taken_from_the_declarations_folder(declaration: Path) -> None:
    pipeline = load(declaration, ["model.encoders.photo={kind: resnet, weights: a.weights.h5}"])
    assert pipeline.encoder_of("photo") == ResnetEncoder(
        weights=str(declaration.parent / "a.weights.h5")
    )


def test_a_small_picture_is_refused_for_a_deep_network(declaration: Path) -> None:
    message = error_of(
        declaration, "features.photo.height=31", "model.encoders.photo={kind: mobilenet}"
    )
    assert "features.photo: expected at least 32x32 pixels for the encoder mobilenet" in message
    assert "received 31x96" in message


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
    found = error_of(declaration, OTHER, SHARED, *overrides)
    assert "model.encoders." in found
    assert message in found


MASK = "targets.mask={kind: image, content: binary_mask, height: 96, width: 96}"


def test_a_picture_is_a_target_by_its_content(declaration: Path) -> None:
    depth = "targets.depth={kind: image, content: continuous, height: 9, width: 8, channels: 3}"
    pipeline = load(declaration, [MASK, depth])
    assert pipeline.targets["mask"].layout() == ("uint8", (96, 96, 1))
    assert pipeline.targets["depth"].layout() == ("uint8", (9, 8, 3))
    assert {"test_mask_iou", "test_depth_psnr"} <= set(pipeline.metric_names())
    assert pipeline.pictures_like(pipeline.targets["mask"]) == ["photo"]
    assert pipeline.decoder_of("mask") == UpsamplingDecoder()
    assert PipelineSpec.model_validate_json(pipeline.model_dump_json()) == pipeline


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["targets.mask.content=heat"],
            "targets.mask: expected content to be one of 'binary_mask'",
        ),
        (["targets.mask={kind: image, height: 9, width: 9}"], "targets.mask: expected a 'content'"),
        (["targets.mask.los=dice"], "(did you mean 'loss'?), received the unknown key 'los'"),
        (["targets.mask.loss=mse"], "targets.mask.loss: expected 'binary_crossentropy', 'dice'"),
        (["targets.mask.metrics=[psnr]"], "targets.mask.metrics.0: expected 'iou', 'dice' or"),
        (["targets.mask.content=class_mask"], "targets.mask.classes: expected a value, as this"),
        (
            [
                "targets.mask={kind: image, content: continuous, height: 9, width: 9, "
                "channels: 3, source_channel: alpha}"
            ],
            "targets.mask: expected 1 channel, as alpha has no more, received 3",
        ),
        (["model.decoders.sold={skips: false}"], "model.decoders.sold: expected the name of an im"),
        (
            ["model.decoders.mask={filters: [4, 2]}"],
            "model.decoders.mask.filters: expected 3 entries, as many as the encoders have, "
            "received 2",
        ),
        (
            ["model.decoders.mask={}", "model.builder='own:f'"],
            "either a builder or encoders and decoders",
        ),
        (
            ["model.augment.mask={zoom: 0.1}"],
            "model.augment.mask: expected an image feature, received 'mask'",
        ),
        (
            ["targets.mask.height=95", "model.augment.all={columns: [photo, mask], zoom: 0.1}"],
            "model.augment.all.columns: expected pictures of one size, received [(95, 96), (9",
        ),
        (
            ["model.targets=[sold]", "model.augment.all={columns: [photo, mask], zoom: 0.1}"],
            "model.augment.all.columns: expected image features and targets",
        ),
        (["model.targets=[sold]", "model.decoders.mask={}"], "the name of an image target"),
    ],
)
def test_a_picture_that_cannot_be_a_target_is_refused(
    declaration: Path, overrides: list[str], message: str
) -> None:
    assert message in error_of(declaration, MASK, *overrides)


def test_a_target_moves_with_its_picture(declaration: Path) -> None:
    both = "model.augment.all={columns: [photo, mask], zoom: 0.1}"
    assert load(declaration, [MASK, both]).model.augment["all"].columns == ("photo", "mask")


def test_how_a_picture_is_learnt_does_not_change_its_shards(declaration: Path) -> None:
    depth = "targets.depth={kind: image, content: continuous, height: 9, width: 8}"
    plain = load(declaration, [depth]).data_fingerprint()
    for change in ("activation=relu", "loss=mae", "metrics=[psnr]", "loss_weight=2"):
        assert load(declaration, [depth, f"targets.depth.{change}"]).data_fingerprint() == plain
    assert load(declaration, [depth, "targets.depth.height=8"]).data_fingerprint() != plain


@pytest.mark.parametrize(
    ("metric", "lower"),
    [("iou", False), ("dice", False), ("mean_iou", False), ("psnr", False), ("mse", True)],
)
def test_every_metric_of_a_picture_has_a_direction(metric: str, lower: bool) -> None:
    assert is_better(f"test_mask_{metric}", 0.1, 0.2) == lower


def test_vocabularies_are_not_shared(declaration: Path) -> None:
    found = error_of(
        declaration,
        "features.city={kind: categorical}",
        "model.encoders.city={kind: shared, with: country}",
    )
    assert "model.encoders.city.with: expected features without a vocabulary" in found


@pytest.mark.parametrize("encoding", ["hash", "identity"])
def test_ids_that_mean_the_same_are_shared(declaration: Path, encoding: str) -> None:
    ids = f"{{kind: categorical, encoding: {encoding}, buckets: 9}}"
    home, away = f"features.home={ids}", f"features.away={ids}"
    both = "model.encoders.away={kind: shared, with: home}"
    assert load(declaration, [home, away, both]).model.encoders["away"].with_ == "home"
    found = error_of(declaration, home, away, both, "features.home.encoding=vocabulary",
                     "features.home.buckets=null")  # fmt: skip
    assert "model.encoders.away.with: expected features without a vocabulary" in found


def test_aligned_pictures_have_one_size_and_one_geometry(declaration: Path) -> None:
    depth = "features.depth={kind: image, height: 96, width: 96, channels: 1}"
    both = "model.augment.geometry={columns: [photo, depth], zoom: 0.1}"
    assert load(declaration, [depth, both]).model.augment["geometry"].zoom == 0.1
    own = "model.augment.photo={brightness: 0.1}"
    assert load(declaration, [depth, both, own]).model.augment["photo"]
    message = error_of(declaration, depth, both, "model.augment.photo={flip: horizontal}")
    assert "one geometry for each picture" in message
    message = error_of(declaration, depth, both, "features.depth.width=95")
    assert "model.augment.geometry.columns: expected pictures of one size" in message


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


def test_a_declaration_that_was_written_out_is_read_again(declaration: Path) -> None:
    spec = load(declaration, ["features.country={kind: categorical, encoding: hash, buckets: 9}"])
    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_column_is_a_list_or_none(declaration: Path) -> None:
    tags = "features.tags={kind: categorical, column: country, length: 3}"
    message = error_of(declaration, tags)
    assert "received string and up to 3 x string by two declarations" in message


def test_a_fusion_that_does_not_say_concatenates(declaration: Path) -> None:
    assert load(declaration, ["model.fusion.hidden=[3]"]).model.fusion == ConcatenateFusion(
        hidden=(3,)
    )


def test_a_declaration_says_whether_it_needs_the_users_modules(declaration: Path) -> None:
    assert not load(declaration).model.has_user_code
    assert load(declaration, ["model={builder: 'own:build'}"]).model.has_user_code
    custom = "model.encoders.photo={kind: custom, builder: 'own:encode'}"
    assert load(declaration, [custom]).model.has_user_code


def test_a_builder_makes_its_own_encoders_and_takes_augmented_pictures(declaration: Path) -> None:
    both = "model={builder: 'own:f', encoders: {photo: {kind: cnn}}}"
    assert "either a builder or" in error_of(declaration, both)
    augmented = "model={builder: 'own:f', augment: {photo: {zoom: 0.1}}}"
    assert load(declaration, [augmented]).model.augment["photo"].zoom == 0.1


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


def test_png_storage_is_asked_of_pictures_with_alpha(declaration: Path) -> None:
    message = error_of(declaration, "features.photo.channels=4", "features.photo.storage=jpeg")
    assert "JPEG stores no alpha" in message


def test_one_column_has_one_type(declaration: Path) -> None:
    message = error_of(declaration, "features.area={kind: numeric, column: country}")
    assert "one type for column 'country'" in message


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


def spec(**changes: object) -> PipelineSpec:
    document: dict[str, object] = {
        "name": "p",
        "source": {"path": "/data", "key": "id"},
        "features": {"a": {"kind": "numeric"}},
        "targets": {"y": {"kind": "numeric"}},
    }
    return parse(document | changes)


def test_data_fingerprint_ignores_what_only_shapes_the_training() -> None:
    loss = spec(targets={"y": {"kind": "numeric", "loss": "mae", "loss_weight": 0.5}})
    assert loss.data_fingerprint() == spec().data_fingerprint()
    assert loss.training_fingerprint() != spec().training_fingerprint()
    assert spec(training={"epochs": 3}).data_fingerprint() == spec().data_fingerprint()


def test_data_fingerprint_follows_what_shapes_the_shards() -> None:
    scaled = spec(features={"a": {"kind": "numeric", "scale": "log"}})
    assert scaled.data_fingerprint() != spec().data_fingerprint()
    resplit = spec(split={"train": 70, "validation": 20, "test": 10})
    assert resplit.data_fingerprint() != spec().data_fingerprint()


def test_moving_the_table_keeps_the_data_fingerprint() -> None:
    moved = spec(source={"path": "/elsewhere", "key": "id"})
    assert moved.data_fingerprint() == spec().data_fingerprint()


def test_lstm_encoder_is_read_by_its_kind() -> None:
    pipeline = spec(
        features={"a": {"kind": "text"}}, model={"encoders": {"a": {"kind": "lstm", "units": 8}}}
    )
    assert pipeline.encoder_of("a") == LstmEncoder(units=8)


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


def test_noise_is_part_of_what_shapes_the_shards(declaration: Path) -> None:
    narrow, wide = (
        load(declaration, [f"features.z={{kind: noise, dimension: {n}}}"]) for n in (4, 5)
    )
    assert narrow.data_fingerprint() != wide.data_fingerprint()


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


def test_which_partitions_train_is_a_matter_of_training() -> None:
    by_day = {"source": {"path": "/data", "key": "id", "partition_by": "day"}}
    chosen = spec(**by_day, training={"partitions": {"last": 3}})
    assert chosen.data_fingerprint() == spec(**by_day).data_fingerprint()
    assert chosen.training_fingerprint() != spec(**by_day).training_fingerprint()
