"""Defaults of a text that follow from the encoder that reads it."""

from __future__ import annotations

from typing import Any

# For an encoder that counts terms: pairs of words tell apart what words alone do not, rare terms
# tell more than frequent ones, and a text is not cut before some 500 words.
COUNTED = {"ngrams": 2, "weights": "tf_idf", "length": 1024}
_COUNTING = "bag_of_words"  # the default encoder, too


def with_text_defaults(document: Any) -> Any:
    """Returns a declaration whose texts have the keys that their encoder asks for.

    A text that is read in order keeps the defaults of its kind; keys that are declared hold.

    Args:
        document: A whole declaration, valid or not: what is no declaration is returned as it is.
    """
    if not isinstance(document, dict) or not isinstance(document.get("features"), dict):
        return document
    model = _mapping(document.get("model"))
    if model.get("builder") is not None:  # a network of the user's, which may read them in order
        return document
    encoders = _mapping(model.get("encoders"))
    features = {
        name: COUNTED | spec
        if _mapping(spec).get("kind") == "text" and _is_counted(name, encoders)
        else spec
        for name, spec in document["features"].items()
    }
    return {**document, "features": features}


def _is_counted(name: str, encoders: dict[str, Any]) -> bool:
    default = {"kind": _COUNTING}
    encoder = _mapping(encoders.get(name, default))
    if encoder.get("kind") == "shared":
        encoder = _mapping(encoders.get(str(encoder.get("with")), default))
    return bool(encoder.get("kind") == _COUNTING)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
