"""Big photographs: 3000x2000 JPEGs to 224x224, at libjpeg's scale against a full decode.

python -m tests.benchmarks.photographs
"""

from __future__ import annotations

import io
from statistics import median

import numpy as np
import tensorflow as tf
from PIL import Image as Picture

from tests.benchmarks.measuring import cpu_seconds
from tests.benchmarks.report import Report
from transforms.contract.columns.features import Image
from transforms.kinds.features.image import encode
from transforms.kinds.requests import Fitted

REPEATS = 5
_COUNT = 4
_SIZE = 224
_GRAIN = 3  # of 255, so that a file is as large as a camera's, some 1.5 MB


def _photograph(rng: np.random.Generator) -> bytes:
    """Returns a picture with the edges and gradients of a photograph at several scales."""
    pixels = np.zeros((2_000, 3_000, 3), np.float32)
    for cells in (4, 16, 64, 256):
        small = Picture.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        pixels += np.asarray(small.resize((3_000, 2_000), Picture.Resampling.BICUBIC)) / cells
    grain = rng.normal(0, _GRAIN, pixels.shape[:2])[..., np.newaxis]
    scaled = 255 * pixels / pixels.max() + grain
    buffer = io.BytesIO()
    Picture.fromarray(scaled.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _full(contents: tf.Tensor) -> tf.Tensor:
    def one(picture: tf.Tensor) -> tf.Tensor:
        image = tf.image.resize(tf.io.decode_jpeg(picture, channels=3), [_SIZE, _SIZE])
        return tf.saturate_cast(tf.round(image), tf.uint8)

    signature = tf.TensorSpec([_SIZE, _SIZE, 3], tf.uint8)
    return tf.map_fn(one, contents, fn_output_signature=signature)


def main() -> None:
    """Alternates the two, and prints the ratio of their CPU times and of their pixels."""
    rng = np.random.default_rng(0)
    contents = tf.constant([_photograph(rng) for _ in range(_COUNT)])
    spec = Image(kind="image", height=_SIZE, width=_SIZE)
    scaled = tf.function(lambda raw: encode("photo", spec, raw, Fitted({}, {}, {})))
    full = tf.function(_full)
    ours, theirs = scaled(contents), full(contents)
    seconds: dict[str, list[float]] = {"at libjpeg's scale": [], "at full size": []}
    for _ in range(REPEATS):
        for name, decode in zip(seconds, (scaled, full), strict=True):
            before = cpu_seconds()
            decode(contents)
            seconds[name].append((cpu_seconds() - before) / _COUNT)
    ratio = median(slow / fast for fast, slow in zip(*seconds.values(), strict=True))
    difference = float(np.abs(ours.numpy().astype(float) - theirs.numpy()).mean())
    Report(
        title=f"Photographs: 3000x2000 JPEG to {_SIZE}x{_SIZE}",
        command="python -m tests.benchmarks.photographs",
        columns=("decoded", "CPU ms each"),
        lines=[(name, f"{median(times) * 1e3:.1f}") for name, times in seconds.items()],
        sentences=[f"{ratio:.1f} times as fast; mean absolute difference {difference:.2f} of 255."],
        details={"cpu_seconds": seconds, "mean_absolute_difference": difference},
    ).keep("photographs")


if __name__ == "__main__":
    main()
