"""The same table by the book: one `AnalyzeAndTransformDataset`, then `WriteToTFRecord`.

python -m tests.benchmarks.textbook_tft TABLE.parquet OUTPUT_FOLDER
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from tests.benchmarks.measuring import tell_cost

FEATURES = {
    "country": tf.io.FixedLenFeature([], tf.string),
    "city": tf.io.FixedLenFeature([], tf.string),
    "price": tf.io.FixedLenFeature([], tf.float32),
    "area": tf.io.FixedLenFeature([], tf.float32),
    "review": tf.io.FixedLenFeature([], tf.string),
    "photo": tf.io.FixedLenFeature([], tf.string),
    "sold": tf.io.FixedLenFeature([], tf.int64),
}
METADATA = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(FEATURES))


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """The usual analyzers, one a column."""
    words = tf.strings.split(
        tf.strings.regex_replace(tf.strings.lower(inputs["review"]), r"\pP+", " ")
    )
    ids = tft.compute_and_apply_vocabulary(words, top_k=5_000, num_oov_buckets=1)

    def decode(contents: tf.Tensor) -> tf.Tensor:
        pixels = tf.image.resize(tf.io.decode_jpeg(contents, channels=3), [96, 96])
        return tf.io.serialize_tensor(tf.cast(pixels, tf.uint8))

    return {
        "country": tft.compute_and_apply_vocabulary(
            inputs["country"], top_k=250, num_oov_buckets=1
        ),
        "city": tft.compute_and_apply_vocabulary(inputs["city"], top_k=1_000, num_oov_buckets=1),
        "price": tft.scale_to_z_score(inputs["price"]),
        "area": tft.scale_to_z_score(inputs["area"]),
        "review": ids.to_tensor(0, shape=[None, 20]),
        "photo": tf.map_fn(decode, inputs["photo"], fn_output_signature=tf.string),
        "sold": inputs["sold"],
    }


def main(table: str, output: str) -> None:
    """Runs the textbook pipeline."""
    with (
        tft_beam.Context(temp_dir=tempfile.mkdtemp()),
        beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as p,
    ):
        rows = p | beam.io.ReadFromParquet(table, columns=list(FEATURES))
        (data, metadata), _ = (rows, METADATA) | tft_beam.AnalyzeAndTransformDataset(
            preprocessing_fn
        )
        coder = tft.coders.ExampleProtoCoder(metadata.schema)
        _ = data | beam.Map(coder.encode) | beam.io.WriteToTFRecord(f"{output}/train", num_shards=4)


if __name__ == "__main__":
    tell_cost(lambda: main(*sys.argv[1:]))
