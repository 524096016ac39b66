from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from tests.transforms.pictures import REAL, gif
from transforms.kinds.pictures.gif import first_frame

COMMENT = b"\x21\xfe\x05hello\x03, a\0"


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def cut(contents: tf.Tensor) -> tf.Tensor:
    return first_frame(contents, max_pixels=1000)


def frames(contents: bytes) -> int:
    return int(tf.io.decode_gif(contents).shape[0])


@pytest.mark.parametrize("name", ["gif", "animated gif", "interlaced gif"])
def test_what_is_left_is_the_first_frame_to_the_pixel(name: str) -> None:
    (first,) = tf.io.decode_gif(cut(REAL[name]).numpy()).numpy()
    assert np.array_equal(first, tf.io.decode_gif(REAL[name]).numpy()[0])


def test_a_frame_with_a_palette_and_a_delay_of_its_own_is_kept_whole() -> None:
    pictures = [Picture.effect_noise((20, 20), 90).convert("P", palette=1) for _ in range(3)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=40, loop=0)
    first = cut(buffer.getvalue()).numpy()
    assert frames(first) == 1 < frames(buffer.getvalue())
    assert np.array_equal(tf.io.decode_gif(first)[0], tf.io.decode_gif(buffer.getvalue())[0])


def test_comments_before_the_frame_are_passed_over() -> None:
    contents = gif(2, extensions=COMMENT * 3)
    assert cut(contents).numpy() == gif(1, extensions=COMMENT * 3)


@given(st.integers(0, len(gif(2)) - 1))
@settings(max_examples=60, deadline=None)
def test_a_file_that_ends_early_has_its_first_frame_or_is_refused(length: int) -> None:
    if length >= len(gif(1)) - 1:
        assert cut(gif(2)[:length]).numpy() == gif(1)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="undecodable_image"):
            cut(gif(2)[:length])


def test_a_frame_larger_than_its_screen_is_refused_by_its_own_size() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="image_too_large"):
        cut(gif(size=(32, 32), screen=(4, 4)))


def test_blocks_of_one_byte_are_followed_in_no_time() -> None:
    contents = gif(extensions=b"\x21\xfe" + b"\x01a" * 300_000 + b"\0")
    assert frames(cut(contents).numpy()) == 1
