"""A tiny table, a hand-made transform graph and its shards, as the contract describes them."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from trainer.recipe import Recipe
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.fingerprint import checksum
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import (
    RAW_TARGET_PREFIX,
    Shard,
    ShardManifest,
    StoredFeature,
    TargetStatistics,
    TransformManifest,
)
from transforms.contract.workspace.partition import PartitionId

COLORS = ("red", "green", "blue")
WORDS = ("good", "bad", "fine")
GROUPS = ("b", "a", "c")
MEAN, SCALE = 50.0, 10.0

DECLARATION: dict[str, Any] = {
    "name": "tiny",
    "source": {"path": "data", "key": "id"},
    "features": {
        "color": {"kind": "categorical"},
        "price": {"kind": "numeric", "missing": "missing_indicator", "column": "unit price"},
        "sizes": {"kind": "numeric", "length": 2},
        "band": {"kind": "numeric", "scale": "bucketize", "buckets": 3},
        "review": {"kind": "text", "length": 4, "ngrams": 1, "weights": None},
        "photo": {"kind": "image", "height": 8, "width": 8},
    },
    "targets": {
        "sold": {"kind": "binary"},
        "group": {"kind": "multiclass", "missing": "mask"},
        "cost": {"kind": "numeric", "loss_weight": 0.5},
    },
    "model": {
        "encoders": {
            "review": {"kind": "embedding"},
            "photo": {"kind": "cnn", "filters": [4], "units": 8},
        },
        "fusion": {"kind": "concatenate", "hidden": [16]},
    },
    "training": {
        "epochs": 3,
        "batch_size": 16,
        "learning_rate": 0.01,
        "ema": 0,
        "members": 1,
        "refit": None,
    },
}

STORED = (
    StoredFeature(name="color", role="feature", kind="categorical", dtype="int64", shape=(),
                  cardinality=5, first_term=1),
    StoredFeature(name="price", role="feature", kind="numeric", dtype="float32", shape=()),
    StoredFeature(name="price__missing", role="indicator", kind="numeric", dtype="float32",
                  shape=()),
    StoredFeature(name="sizes", role="feature", kind="numeric", dtype="float32", shape=(2,)),
    StoredFeature(name="band", role="feature", kind="numeric", dtype="int64", shape=(),
                  cardinality=3),
    StoredFeature(name="review", role="feature", kind="text", dtype="int64", shape=(4,),
                  cardinality=5),
    StoredFeature(name="photo", role="feature", kind="image", dtype="uint8", shape=(8, 8, 3),
                  storage="raw"),
    StoredFeature(name="sold", role="target", kind="binary", dtype="float32", shape=()),
    StoredFeature(name="group", role="target", kind="multiclass", dtype="int64", shape=(),
                  cardinality=3),
    StoredFeature(name="group__weight", role="weight", kind="multiclass", dtype="float32",
                  shape=()),
    StoredFeature(name="cost", role="target", kind="numeric", dtype="float32", shape=()),
)  # fmt: skip

_RAW_DTYPES = {"string": tf.string, "bytes": tf.string, "float32": tf.float32}


def pipeline_of(**changes: Any) -> PipelineSpec:
    """Returns the tiny pipeline with some top-level keys replaced."""
    return parse(DECLARATION | changes)


def training_with(**changes: Any) -> dict[str, Any]:
    return DECLARATION["training"] | changes


def recipe_with(**changes: Any) -> Recipe:
    """Returns a recipe of one network and of the last weights, with some fields replaced."""
    values = {"rows": 86, "batch_size": 16, "epochs": 3, "seed": 17, "shuffle_bytes": 1_000_000}
    return Recipe(**values | changes)


def manifest_of(pipeline: PipelineSpec, fingerprint: str = "f00d") -> TransformManifest:
    return TransformManifest(
        declaration="",
        fingerprint=fingerprint,
        raw_features=pipeline.raw_features(),
        raw_targets=pipeline.raw_targets(),
        stored=STORED,
        targets={
            "sold": TargetStatistics(labels=("0", "1"), counts=(60, 20)),
            "group": TargetStatistics(labels=GROUPS, counts=(40, 20, 20)),
            "cost": TargetStatistics(mean=(MEAN,), scale=(SCALE,)),
        },
        rows=80,
        partitions={"all": "p0"},
    )


def picture(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (value, value, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def raw_rows(numbers: Iterable[int]) -> dict[str, Any]:
    """Returns raw columns and labels; what is to be learnt is in them."""
    n = np.asarray(list(numbers))
    color = n % 4  # the fourth color is missing
    return {
        "color": np.array([[*COLORS, ""][c].encode() for c in color], object),
        "unit price": np.where(n % 11 == 0, np.nan, n).astype(np.float32),
        "sizes": np.stack([n % 3, n % 5], 1).astype(np.float32),
        "band": (n % 10).astype(np.float32),
        "review": np.array([f"{WORDS[i % 3]} word{i}".encode() if i % 6 else b"" for i in n]),
        "photo": np.array([picture(int(i * 37 % 256)) for i in n], object),
        "sold": (color == 0).astype(np.float32),
        "group": (n % 3).astype(np.int64),
        "group__weight": (n % 5 != 0).astype(np.float32),
        "cost": ((n % 5 - 2) / 1.5).astype(np.float32),
    }


class Graph(tf.Module):
    """The export of the transform step, small."""

    def __init__(self, folder: Path, colors: tuple[str, ...]) -> None:
        super().__init__()
        vocabulary = folder / "color.txt"
        vocabulary.write_text("\n".join(colors) + "\n")
        self.colors = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(
                str(vocabulary),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            num_oov_buckets=1,
        )
        self.words = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(list(WORDS), np.arange(2, 5, dtype=np.int64)), 1
        )
        raws = pipeline_of().raw_features().values()
        self.transform_features = tf.function(
            self._transform,
            input_signature=[
                {r.name: tf.TensorSpec([None, *r.shape], _RAW_DTYPES[r.dtype]) for r in raws}
            ],
        )

    def _transform(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        price = raw["unit price"]
        missing = tf.math.is_nan(price)
        words = tf.strings.split(tf.strings.lower(raw["review"])).to_tensor("", shape=[None, 4])
        ids = self.words.lookup(words)
        return {
            "color": tf.where(raw["color"] == "", tf.zeros_like(self.colors.lookup(raw["color"])),
                              self.colors.lookup(raw["color"]) + 1),
            "price": tf.where(missing, 0.0, (price - 60.0) / 30.0),
            "price__missing": tf.cast(missing, tf.float32),
            "sizes": tf.where(tf.math.is_nan(raw["sizes"]), 0.0, raw["sizes"]) / 2.0,
            "band": tf.cast(raw["band"] > 3, tf.int64) + tf.cast(raw["band"] > 6, tf.int64),
            "review": tf.where(words == "", tf.zeros_like(ids), ids),
            "photo": tf.map_fn(_decode, raw["photo"],
                               fn_output_signature=tf.TensorSpec((8, 8, 3), tf.uint8)),
        }  # fmt: skip


def _decode(contents: tf.Tensor) -> tf.Tensor:
    decoded = tf.cond(
        contents == "",
        lambda: tf.zeros((8, 8, 3), tf.uint8),
        lambda: tf.io.decode_png(contents, channels=3),
    )
    return tf.ensure_shape(decoded, (8, 8, 3))


def example(values: dict[str, Any]) -> bytes:
    features = {}
    for name, value in values.items():
        array = np.asarray(value)
        if isinstance(value, bytes):
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        elif array.dtype.kind == "f":
            feature = tf.train.Feature(float_list=tf.train.FloatList(value=array.ravel()))
        else:
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=array.ravel()))
        features[name] = feature
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write_shard(folder: Path, name: str, split: str, content: str, records: list[bytes]) -> Shard:
    path = folder / name
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return Shard(file=name, split=split, content=content, rows=len(records),
                 bytes=path.stat().st_size, checksum=checksum(path))  # fmt: skip


@dataclass(frozen=True)
class World:
    """A workspace with a transform and two partitions of 60 rows."""

    root: Path
    graph: Any
    transform: str = "f00d"

    def job(self, run: str, pipeline: PipelineSpec | None = None, **changes: Any) -> TrainJob:
        folder = self.root / "runs" / run
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            "pipeline": pipeline or pipeline_of(),
            "workspace": str(self.root),
            "transform": self.transform,
            "partitions": (
                PartitionId(name="day=1", fingerprint="p1"),
                PartitionId(name="day=2", fingerprint="p2"),
            ),
            "run_folder": str(folder),
        }
        return TrainJob(**(values | changes))


def make_world(root: Path) -> World:
    return add_transform(root, "f00d", COLORS)


def add_transform(root: Path, fingerprint: str, colors: tuple[str, ...]) -> World:
    """Transforms the rows with a vocabulary of colors; gives the world with that transform."""
    workspace = Workspace(root)
    graph_folder = workspace.transform(fingerprint) / "graph"
    graph_folder.parent.mkdir(parents=True)
    graph = Graph(graph_folder.parent, colors)
    tf.saved_model.save(graph, str(graph_folder))
    (graph_folder.parent / "color.txt").unlink()  # what is needed of it is in the SavedModel
    manifest = manifest_of(pipeline_of(), fingerprint)
    color = STORED[0].model_copy(update={"cardinality": len(colors) + 2})
    manifest = manifest.model_copy(update={"stored": (color, *STORED[1:])})
    (graph_folder.parent / "transform.json").write_text(manifest.model_dump_json())
    loaded = tf.saved_model.load(str(graph_folder))
    for name, partition, rows in (("day=1", "p1", range(60)), ("day=2", "p2", range(60, 120))):
        write_partition(workspace, loaded, name, partition, rows, fingerprint)
    return World(root, loaded, fingerprint)


def with_stored(world: World, root: Path, *stored: StoredFeature) -> World:
    """Returns a copy of a world whose manifest lists more, such as noise."""
    shutil.copytree(world.root, root, ignore=shutil.ignore_patterns("runs"))
    path = Workspace(root).transform("f00d") / "transform.json"
    manifest = TransformManifest.model_validate_json(path.read_text())
    changed = manifest.model_copy(update={"stored": (*manifest.stored, *stored)})
    path.write_text(changed.model_dump_json())
    return World(root, world.graph)


def split_of(number: int) -> str:
    return {3: "validation", 5: "test"}.get(number % 7, "train")


def write_partition(
    workspace: Workspace,
    graph: Any,
    name: str,
    fingerprint: str,
    numbers: range,
    transform: str = "f00d",
) -> None:
    folder = workspace.shards(transform, name, fingerprint)
    folder.mkdir(parents=True)
    shards = []
    for split in ("train", "validation", "test"):
        own = [number for number in numbers if split_of(number) == split]
        lanes = [own[0::2], own[1::2]] if split == "train" else [own]
        for lane, chosen in enumerate(lanes):
            stored, raw = records_of(graph, chosen)
            file = f"{split}-00000-{lane:02d}.tfrecord"
            shards.append(write_shard(folder, file, split, "stored", stored))
            if split == "test":
                shards.append(write_shard(folder, f"raw-{file}", split, "raw", raw))
    manifest = ShardManifest(transform=transform, partition=name, partition_fingerprint=fingerprint,
                             shards=tuple(shards), rows=len(numbers))  # fmt: skip
    (folder / "manifest.json").write_text(manifest.model_dump_json())


def records_of(graph: Any, numbers: list[int]) -> tuple[list[bytes], list[bytes]]:
    """Returns the stored and the raw records of some rows."""
    rows = raw_rows(numbers)
    labels = ("sold", "group", "group__weight", "cost")
    columns = {name: values for name, values in rows.items() if name not in labels}
    features = graph.transform_features({n: tf.constant(v) for n, v in columns.items()})
    stored, raw = [], []
    for index in range(len(numbers)):
        values = {name: tensor[index].numpy() for name, tensor in features.items()}
        values["photo"] = values["photo"].tobytes()
        own = {name: rows[name][index] for name in labels}
        stored.append(example(values | own))
        raw.append(
            example(
                {n: v[index] for n, v in columns.items()}
                | {RAW_TARGET_PREFIX + n: v for n, v in own.items()}
            )
        )
    return stored, raw
