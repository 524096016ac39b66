"""The first frame of a GIF, cut out before anything is decoded.

TensorFlow decodes every frame of a file to return the first one, and sizes the picture by the
frame, whatever the screen's header says: a file of 400 KB has time and memory for thousands of
frames, or one of 65,535 x 65,535. Blocks are those of the GIF89a specification (CompuServe 1990).
"""

from __future__ import annotations

import tensorflow as tf

from transforms.kinds.pictures.refusals import TOO_LARGE, UNDECODABLE

_HEADER_BYTES = 13  # signature and screen
_DESCRIPTOR_BYTES = 10  # of a frame, its separator included
_EXTENSION, _FRAME = 0x21, 0x2C
_TRAILER = b";"
_MOST_EXTENSIONS = 64  # before the first frame: control, comments, and what programs add
_EXTENSION_BYTES = 1 << 20  # that these take at most, color profiles among them
_PIXEL_BYTES = 4  # a code of LZW has 12 bits and a pixel: twice that, and the blocks' lengths


def first_frame(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Returns a GIF of the first frame alone, string [].

    Args:
        contents: A GIF, string [].
        max_pixels: A frame with more is refused.

    Raises:
        tf.errors.InvalidArgumentError: When run: the frame is too large, or is not all there.
    """
    most_bytes = min(_EXTENSION_BYTES + _PIXEL_BYTES * max_pixels, tf.int32.max)
    window = tf.io.decode_raw(tf.strings.substr(contents, 0, most_bytes), tf.uint8)
    octets = tf.concat([tf.cast(window, tf.int32), [0]], 0)  # the last one is beyond the end
    beyond = tf.size(window)
    ends = _chain_ends(octets, beyond)

    def octet(place: tf.Tensor) -> tf.Tensor:
        return octets[tf.minimum(place, beyond)]

    def end_of_blocks(place: tf.Tensor) -> tf.Tensor:
        return ends[tf.minimum(place, beyond)]

    frame = tf.while_loop(
        lambda place: octet(place) == _EXTENSION,
        lambda place: [end_of_blocks(place + 2) + 1],
        [_HEADER_BYTES + _palette_bytes(octet(10))],
        maximum_iterations=_MOST_EXTENSIONS,
    )[0]
    width = octet(frame + 5) + 256 * octet(frame + 6)
    height = octet(frame + 7) + 256 * octet(frame + 8)
    palette = _palette_bytes(octet(frame + 9))
    end = end_of_blocks(frame + _DESCRIPTOR_BYTES + palette + 1)
    area = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
    is_frame = octet(frame) == _FRAME
    # Refused like any picture: by the conversion of the reason to a number.
    whole = is_frame & (end < beyond)
    length = tf.where(whole, tf.strings.as_string(end + 1), UNDECODABLE)
    length = tf.where(is_frame & (area > max_pixels), TOO_LARGE, length)
    return tf.strings.substr(contents, 0, tf.strings.to_number(length, tf.int32)) + _TRAILER


def _palette_bytes(flags: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of the palette that a screen's or a frame's flags announce."""
    colors = tf.bitwise.left_shift(2, tf.bitwise.bitwise_and(flags, 7))
    return tf.where(flags >= 128, 3 * colors, 0)


def _chain_ends(octets: tf.Tensor, beyond: tf.Tensor) -> tf.Tensor:
    """Returns where a chain of blocks that begins at a place has its empty block, int32 [octets].

    A block is its length, in a byte, and so many bytes; an empty one ends the chain. A file can
    have a block every two bytes: so all chains are followed at once, twice as far in every step
    (pointer jumping, Wyllie 1979), rather than one a block at a time.
    """
    places = tf.range(beyond + 1)
    following = tf.minimum(places + 1 + octets, beyond)
    first = tf.where(octets == 0, places, following)
    _, ends = tf.while_loop(
        lambda near, far: tf.reduce_any(near != far),
        lambda _, far: [far, tf.gather(far, far)],
        [places, first],
    )
    return ends
