"""The reasons why a picture is refused, and how a failed graph tells which one it was.

Nothing here imports TensorFlow: `braid predict` says the same words as the rejects of a transform.
"""

from __future__ import annotations

TOO_LARGE = "image_too_large"  # the header claims more than `max_pixels`
TOO_COSTLY = "image_too_costly"  # decoding takes far more than its size does: see `decoding.py`
UNDECODABLE = "undecodable_image"


def is_refusal(error: Exception) -> bool:
    """Returns whether TensorFlow failed on what it was given, whatever a decoder raised for it.

    An operation's message that quotes a picture's bytes is no UTF-8, and arrives as an error of
    the text instead.
    """
    # By its name: this module imports no TensorFlow.
    names = {kind.__name__ for kind in type(error).__mro__}
    return "OpError" in names or isinstance(error, UnicodeDecodeError)


def refusal_of(error: Exception) -> str:
    """Returns why a picture was refused: what the graph gave as its reason, or that no decoder can.

    Args:
        error: What a graph raised that was given one picture.
    """
    message = str(error)
    return next((reason for reason in (TOO_LARGE, TOO_COSTLY) if reason in message), UNDECODABLE)
