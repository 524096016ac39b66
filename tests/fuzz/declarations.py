"""Any YAML against the declaration: a pipeline, or one error that names the place."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

import flows.templates
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError

_TEMPLATES = sorted(Path(flows.templates.__file__).parent.glob("*/pipeline.yaml"))
_DOCUMENTS = [yaml.safe_load(path.read_text()) for path in _TEMPLATES]
_WORDS = [
    *sorted(PipelineSpec.model_json_schema()["$defs"]),
    *("auto", "kind", "by", "column", "columns", "my.kind", "own:f", "shared", "with", "from"),
    *("../x", "gs://b", "a b", "", "\n", "é", "__", "x__missing", "error", "null", "{", "train"),
    *("categorical", "numeric", "text", "image", "sequence", "noise", "datetime", "multiclass"),
    *("binary", "multilabel", "binary_mask", "class_mask", "continuous", "custom", "one_hot"),
    *("where", "expression", "x > 1", "length(a) == 2 and not b", "é ** 2", "key", "format"),
    *("lstm", "cnn", "log", "quantile", "bucketize", "hash", "identity", "time", "adversarial"),
]
_SCALARS = st.one_of(
    st.sampled_from(_WORDS),
    st.sampled_from([0, 1, -1, 2, 10**9, 10**18, 10**30, 0.5, -0.0, 1e308, float("nan")]),
    st.booleans(),
    st.none(),
    st.dates(),
    st.text(max_size=4),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_SCALARS, inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Returns the path of every value in a document."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [path, *(place for key, inner in items for place in _places(inner, (*path, key)))]


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Draws a template's declaration in which some values were changed, moved or taken away."""
    document = copy.deepcopy(draw(st.sampled_from(_DOCUMENTS)))
    for _ in range(draw(st.integers(1, 4))):
        places = [place for place in _places(document) if place]
        if not places:
            break
        path = draw(st.sampled_from(places))
        parent, key = _at(document, path[:-1]), path[-1]
        change = draw(st.sampled_from(["replace", "remove", "add", "move"]))
        if change == "remove":
            del parent[key]
        elif change == "add" and isinstance(parent, dict):
            parent[draw(_SCALARS)] = draw(_VALUES)
        elif change == "move":
            parent[key] = copy.deepcopy(_at(document, draw(st.sampled_from(places))))
        else:
            parent[key] = draw(_VALUES)
    text = yaml.dump(document, allow_unicode=True, sort_keys=False)
    if draw(st.booleans()):
        return text
    start = draw(st.integers(0, len(text)))
    piece = draw(
        st.one_of(st.text(max_size=3), st.sampled_from(["&a ", "*a", "<<: ", "!!int ", "- "]))
    )
    return text[:start] + piece + text[start + draw(st.integers(0, 3)) :]


def check(text: str, folder: Path) -> None:
    """Loads a declaration and asks it all that the commands ask before a row is read.

    Raises:
        Exception: Anything but an error that a user can act on.
    """
    path = folder / "pipeline.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        pipeline = load(path)
        pipeline.check_user_functions()
        pipeline.data_fingerprint()
        pipeline.training_fingerprint()
        pipeline.modelled().raw_features()
        pipeline.raw_targets()
        pipeline.gates()
    except BraidError as error:
        told = str(error)
        if not told.strip() or "Traceback" in told:
            raise ValueError(f"an error that says nothing: {told!r}") from error
