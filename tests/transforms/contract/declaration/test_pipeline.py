from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import yaml

from tests.transforms.contract.minimal import MINIMAL, error_of
from transforms.contract.columns.features import Image
from transforms.contract.declaration.judgement.gate import GateSpec
from transforms.contract.declaration.judgement.metrics import is_better
from transforms.contract.declaration.parsing import load, parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.split import HashSplit
from transforms.contract.errors import DeclarationError
from transforms.contract.network.encoders import LstmEncoder


def test_only_columns_and_kinds_need_to_be_declared(declaration: Path) -> None:
    pipeline = load(declaration)
    assert pipeline.split == HashSplit(train=80, validation=10, test=10)
    assert pipeline.features["photo"] == Image(kind="image", height=96, width=96)
    assert pipeline.gates() == (GateSpec(metric="test_sold_auc"),)


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


def test_what_paths_may_name_shapes_the_shards_and_may_move_with_the_table() -> None:
    def allowing(folder: str, *allow: str) -> str:
        source = {"path": f"{folder}/data", "key": "id", "allow": allow}
        return spec(source=source).data_fingerprint()

    assert allowing("/a") == spec().data_fingerprint()
    assert allowing("/a", "/a/photos") != spec().data_fingerprint()
    assert allowing("/a", "/a/photos", "gs://b") == allowing("/b", "gs://b", "/b/photos")
    assert allowing("/a", "/a/photos") != allowing("/b", "/a/photos")
    assert allowing("gs://a", "/photos") == allowing("gs://b", "/photos")


def test_lstm_encoder_is_read_by_its_kind() -> None:
    pipeline = spec(
        features={"a": {"kind": "text"}}, model={"encoders": {"a": {"kind": "lstm", "units": 8}}}
    )
    assert pipeline.encoder_of("a") == LstmEncoder(units=8)


def test_noise_is_part_of_what_shapes_the_shards(declaration: Path) -> None:
    narrow, wide = (
        load(declaration, [f"features.z={{kind: noise, dimension: {n}}}"]) for n in (4, 5)
    )
    assert narrow.data_fingerprint() != wide.data_fingerprint()


def test_which_partitions_train_is_a_matter_of_training() -> None:
    by_day = {"source": {"path": "/data", "key": "id", "partition_by": "day"}}
    chosen = spec(**by_day, training={"partitions": {"last": 3}})
    assert chosen.data_fingerprint() == spec(**by_day).data_fingerprint()
    assert chosen.training_fingerprint() != spec(**by_day).training_fingerprint()


def test_when_a_training_begins_shapes_the_model_and_not_the_shards() -> None:
    by_day = {"source": {"path": "/data", "key": "id", "partition_by": "day"}}
    early = spec(**by_day, training={"start": "streaming"})
    assert early.data_fingerprint() == spec(**by_day).data_fingerprint()
    assert early.training_fingerprint() != spec(**by_day).training_fingerprint()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("source={path: data, key: day, partition_by: day}", "source.key: expected a column that"),
        ("source={path: '', key: id}", "source.path"),
        ("source.key=''", "source.key"),
        ("features.country.column=''", "features.country.column"),
        ("training.epochs=1000000001", "training.epochs"),
        ("training.seed=4294967296", "training.seed"),
        ("training={epochs: 1, steps: 1}", "either epochs or steps"),
        ("training={warm_start: champion, refit: all}", "either warm_start or refit: all"),
        ("model.fusion.hidden=[1000000]", "model.fusion.hidden"),
        ("features.photo.width=1000000", "features.photo.width"),
        ("targets.sold.loss_weight=.inf", "not finite"),
        ("gate.at_least=.nan", "not finite"),
        ("gate={at_least: 0.9, at_most: 0.1}", "at_least up to at_most"),
        ("registry.name=../../other", "registry.name"),
        ("registry.name='a:b'", "registry.name"),
        ("split.train=1000000000000000000000", "more than 63 bits"),
    ],
)
def test_what_no_run_could_do_is_refused(declaration: Path, change: str, said: str) -> None:
    assert said in error_of(declaration, change)


def test_numbers_that_are_not_finite_are_refused_in_a_mapping_too() -> None:
    document = yaml.safe_load(MINIMAL) | {"gate": {"at_least": math.nan}}
    with pytest.raises(DeclarationError, match="finite numbers"):
        parse(document)


SENSITIVE = {
    "name": "p",
    "source": {"path": "/data", "key": "id"},
    "features": {
        "a": {"kind": "numeric"},
        "b": {"kind": "numeric", "column": "house"},
        "waves": {"kind": "sequence", "columns": ["left", "right"], "length": 2},
    },
    "targets": {"y": {"kind": "binary", "column": "ill"}},
}


def _marked(*places: str) -> PipelineSpec:
    document = copy.deepcopy(SENSITIVE)
    for place in places:
        section, _, name = place.partition(".")
        part = document[section][name] if name else document[section]
        part["sensitive" if name else "sensitive_key"] = True
    return parse(document)


@pytest.mark.parametrize(
    ("place", "columns"),
    [
        ("features.b", {"house"}),
        ("features.waves", {"left", "right"}),
        ("targets.y", {"ill"}),
        ("source", {"id"}),
    ],
)
def test_what_is_marked_sensitive_is_known_by_its_column(place, columns):
    assert _marked().sensitive_columns() == set()
    assert _marked(place).sensitive_columns() == columns
    # What was kept with the values is not taken for what is kept without them.
    assert _marked(place).data_fingerprint() != _marked().data_fingerprint()


def test_not_marking_anything_changes_no_fingerprint():
    assert "sensitive" not in _marked().model_dump_json()
