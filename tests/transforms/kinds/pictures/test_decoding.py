from __future__ import annotations

import resource
import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms import pictures
from tests.transforms.pictures import REAL, compressed_texts, gif, jpeg_of_scans, png
from transforms.contract.declaration.parsing import parse
from transforms.kinds.features.image import encode
from transforms.kinds.requests import Fitted
from transforms.reading.batches import RawBatch
from transforms.shards.applying import GraphApplier

MAX_PIXELS = 250_000
PIPELINE = parse(
    {
        "name": "p",
        "source": {"path": "t.parquet", "key": "id"},
        "features": {
            "photo": {"kind": "image", "height": 8, "width": 8, "max_pixels": MAX_PIXELS},
            "gray": {
                "kind": "image",
                "height": 8,
                "width": 8,
                "channels": 1,
                "background": [9, 9, 9],
                "column": "photo",
                "max_pixels": MAX_PIXELS,
            },
        },
        "targets": {"price": {"kind": "numeric"}},
    }
)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def decode(raw: tf.Tensor) -> dict[str, tf.Tensor]:
    images: Any = PIPELINE.features
    return {name: encode(name, spec, raw, Fitted({}, {}, {})) for name, spec in images.items()}


def transform(columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    price = columns["price"]
    return decode(columns["photo"]) | {"price": price, "price__weight": tf.ones_like(price)}


def answers(*cells: bytes) -> list[str]:
    """Returns of every cell the reason of its reject, or "picture"."""
    rows = len(cells)
    batch = RawBatch(
        np.array([f"{row}".encode() for row in range(rows)], object),
        np.zeros(rows, np.int8),
        {"photo": np.array(cells, object), "price": np.ones(rows, np.float32)},
        rows,
        "t.parquet",
    )
    outputs = GraphApplier(PIPELINE, transform).apply(batch)
    assert len(outputs["photo"]) == len(batch.keys)
    reasons = {int(reject.key): reject.reason for reject in batch.rejects}
    assert len(reasons) + len(batch.keys) == rows
    return [reasons.get(row, "picture") for row in range(rows)]


# TensorFlow makes no gray of the colors of print.
READ = [name for name in REAL if name not in ("webp", "tiff", "cmyk jpeg")]


@pytest.mark.parametrize("name", READ)
def test_real_picture_is_a_picture_and_its_first_bytes_are_a_reject(name: str) -> None:
    beginnings = [REAL[name][:length] for length in (1, 2, 3, 4, 5, 8, 10, 13, 17, 20, 24, 29, 40)]
    assert answers(REAL[name]) == ["picture"]
    assert set(answers(*beginnings)) == {"undecodable_image"}


@pytest.mark.parametrize("name", ["webp", "tiff"])
def test_a_format_that_is_not_documented_is_a_reject_of_whatever_size(name: str) -> None:
    assert answers(REAL[name], REAL["png"]) == ["undecodable_image", "picture"]


@pytest.mark.parametrize(
    "magic", [b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff", b"RIFF"]
)
def test_magic_bytes_and_nothing_of_a_picture_are_a_reject(magic: bytes) -> None:
    fillers = [b"", b"\xfe", b"\0" * 7, b"\xff" * 30, b"\x80" * 500]
    large = {  # where a width and a height are read out of the filler
        b"GIF89a": {3, 4},
        b"BM": {4},
    }.get(magic, set())
    expected = ["image_too_large" if i in large else "undecodable_image" for i in range(5)]
    assert answers(*(magic + filler for filler in fillers)) == expected


SIDES = (2 * MAX_PIXELS, 1)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (png(*SIDES), "image_too_large"),
        (png(600, 600, depth=16, color=6), "image_too_large"),
        (png(600, 600, interlace=1), "image_too_large"),
        (png(2**31 - 1, 2**31 - 1), "image_too_large"),
        (png(600, 600, before=pictures.chunk(b"abCd", bytes(20))), "undecodable_image"),
        (compressed_texts(17), "image_too_costly"),
        (gif(size=(600, 600)), "image_too_large"),
        (gif(size=(600, 600), screen=(8, 8)), "image_too_large"),
        (gif(screen=(60_000, 60_000)), "image_too_large"),
        (gif(extensions=b"\x21\xfe\0" * 100), "undecodable_image"),
        (REAL["bmp"][:18] + struct.pack("<ii", 600, -600) + REAL["bmp"][26:], "image_too_large"),
        (REAL["bmp"][:18] + struct.pack("<ii", 2**31 - 1, -(2**31)) + REAL["bmp"][26:],
         "image_too_large"),
        (jpeg_of_scans(65), "image_too_costly"),
    ],
)  # fmt: skip
def test_what_costs_more_than_its_bytes_is_refused_by_its_header(
    picture: bytes, reason: str
) -> None:
    assert answers(REAL["jpeg"], picture) == ["picture", reason]


def test_what_is_large_within_the_bounds_is_a_picture() -> None:
    usual = [jpeg_of_scans(64), compressed_texts(16), gif(size=(500, 500)), png(500, 500)]
    assert answers(*usual) == ["picture"] * 4


def test_later_frames_of_an_animation_cost_nothing() -> None:
    # Decoded, 10,000 frames of a megapixel take a minute and 10 GB.
    animation = gif(10_000, (500, 500))
    started = time.monotonic()
    assert answers(animation) == ["picture"]
    assert time.monotonic() - started < 20


def crc_corrected(data: bytes) -> bytes:
    """Returns a PNG whose chunks have the checksums of what they hold now."""
    result, place = data[:8], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        if place + 12 + length > len(data):
            break
        content = data[place + 4 : place + 8 + length]
        result += data[place : place + 4] + content + struct.pack(">I", zlib.crc32(content))
        place += 12 + length
    return result + data[place:]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Real pictures with some bytes replaced, cut out, doubled, or of another picture."""
    data = bytearray(draw(st.sampled_from(list(REAL.values()))))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(data)) | st.integers(0, min(len(data), 40)))
        length = draw(st.integers(1, 8))
        match draw(st.sampled_from(["replace", "flip", "cut", "double", "splice", "truncate"])):
            case "replace":
                data[place : place + length] = draw(st.binary(min_size=length, max_size=length))
            case "flip" if place < len(data):
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[place : place + length]
            case "double":
                data[place:place] = data[place : place + length] * draw(st.integers(1, 200))
            case "splice":
                other = draw(st.sampled_from(list(REAL.values())))
                data[place:] = other[draw(st.integers(0, len(other))) :]
            case "truncate":
                del data[place:]
    corrected = data.startswith(b"\x89PNG") and draw(st.booleans())
    return crc_corrected(bytes(data)) if corrected else bytes(data)


@given(st.lists(mutations() | st.binary(max_size=60), min_size=1, max_size=4))
@settings(max_examples=150, deadline=20_000)
def test_any_bytes_are_a_picture_or_a_reject_in_bounded_memory(cells: list[bytes]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    known = {"picture", "undecodable_image", "image_too_large", "image_too_costly"}
    assert set(answers(*cells)) <= known
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # kB
    assert grown < 300_000


@given(mutations())
@settings(max_examples=50, deadline=20_000)
def test_a_bad_picture_costs_its_own_row_alone(cell: bytes) -> None:
    assert answers(REAL["png"], cell, REAL["gif"])[::2] == ["picture", "picture"]
