from __future__ import annotations

import pytest
import tensorflow as tf

from transforms.kinds.pictures.refusals import is_refusal, refusal_of


@pytest.mark.parametrize(
    "error", [tf.errors.InvalidArgumentError, tf.errors.InternalError, tf.errors.UnimplementedError]
)
def test_whatever_an_operation_raises_is_a_refusal(error: type[tf.errors.OpError]) -> None:
    assert is_refusal(error(None, None, "DecodePng"))


def test_a_message_that_is_no_text_is_a_refusal() -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        b"\x89PNG".decode()
    assert is_refusal(caught.value)


@pytest.mark.parametrize("error", [MemoryError(), KeyError("photo"), ValueError("no")])
def test_an_error_of_the_program_is_none(error: Exception) -> None:
    assert not is_refusal(error)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("could not correctly convert string: image_too_large", "image_too_large"),
        ("could not correctly convert string: image_too_costly", "image_too_costly"),
        ("Invalid PNG data, size 60 [[{{node map/DecodePng}}]]", "undecodable_image"),
        ("Invalid JPEG data, size 3 [[{{node map/ExtractJpegShape}}]]", "undecodable_image"),
        ("indices[0] = 7 is not in [0, 3)", "undecodable_image"),
    ],
)
def test_the_reason_is_in_the_message(message: str, reason: str) -> None:
    assert refusal_of(ValueError(message)) == reason
