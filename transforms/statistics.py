"""The statistics that a transform freezes, as files beside its graph."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.accumulators import Accumulated
from transforms.contract.workspace import write_atomic
from transforms.requests import (
    Learnt,
    MomentsRequest,
    QuantilesRequest,
    Request,
    VocabularyRequest,
)

NO_TERM = b"\x00"  # the only line of an empty vocabulary, as a lookup table needs one
_LINE_BREAK = "[\n\r]"  # a vocabulary file has one term a line, so that such a term is unknown
_SMALLEST_DEVIATION = 1e-12  # below it a column is constant, and is divided by 1 instead
_NO_ROWS = 6  # sums of a column, all zero


def freeze(requests: Iterable[Request], total: Accumulated, folder: Path) -> None:
    """Writes the answer to every request: vocabularies, moments and quantiles.

    Args:
        requests: What the kinds ask for; their tensors are not looked at.
        total: What all training rows add up to.
        folder: Where the files go.
    """
    moments: dict[str, Any] = {}
    quantiles: dict[str, Any] = {}
    counts = total.counts()
    for request in requests:
        width = int(request.values.shape[-1] or 0) if request.values.shape.rank else 0
        match request:
            case VocabularyRequest():
                _write_vocabulary(counts, request, folder)
            case MomentsRequest():
                moments[request.name] = _finished(total.moments.get(request.name), width)
            case QuantilesRequest():
                found = total.quantiles(request.name, request.parts, width)
                quantiles[request.name] = found.tolist()
    write_atomic(_moments_path(folder), json.dumps(moments))
    write_atomic(_quantiles_path(folder), json.dumps(quantiles))


def vocabulary_path(folder: Path, name: str) -> Path:
    """Returns where a vocabulary lies: one term a line, most frequent first."""
    return folder / "vocabularies" / f"{name}.txt"


def read_moments(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Returns the moments of every name: count, missing, mean, deviation, minimum, maximum."""
    return dict(json.loads(_moments_path(folder).read_text()))


def read_quantiles(folder: Path) -> dict[str, list[list[float]]]:
    """Returns the boundaries of every name, [width, parts - 1]."""
    return dict(json.loads(_quantiles_path(folder).read_text()))


def read_learnt(folder: Path, name: str) -> Learnt:
    """Returns what is known of one name; nothing if it asked for nothing."""
    moments = read_moments(folder)
    terms: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    path = vocabulary_path(folder, name)
    if path.exists():
        # Lines end in "\n" alone: a label may have one of Unicode's other line breaks in it.
        terms = tuple(path.read_bytes().decode().split("\n")[:-1])
        counts = tuple(json.loads(_counts_path(folder, name).read_text()))
    if name not in moments:
        return Learnt(terms, counts)
    column = moments[name]
    return Learnt(
        terms,
        counts,
        rows=int(max(column["count"])),
        mean=tuple(column["mean"]),
        deviation=tuple(column["deviation"]),
    )


def _counts_path(folder: Path, name: str) -> Path:
    return folder / "vocabularies" / f"{name}.counts.json"


def _moments_path(folder: Path) -> Path:
    return folder / "moments.json"


def _quantiles_path(folder: Path) -> Path:
    return folder / "quantiles.json"


def _write_vocabulary(counts: pa.Table, request: VocabularyRequest, folder: Path) -> None:
    """Writes the most frequent terms; equal counts are in the order of the bytes."""
    wanted = pc.field("name") == request.name
    kept = counts.filter(wanted & (pc.field("count") >= request.minimum_count))
    usable = pc.and_(
        pc.greater(pc.binary_length(kept["term"]), 0),
        pc.invert(pc.match_substring_regex(kept["term"], _LINE_BREAK)),
    )
    order = [("count", "descending"), ("term", "ascending")]
    kept = kept.filter(usable).sort_by(order)[: request.size]
    terms = kept["term"].to_pylist() or [NO_TERM]
    write_atomic(vocabulary_path(folder, request.name), b"".join(term + b"\n" for term in terms))
    counted = json.dumps(kept["count"].to_pylist() or [0])
    write_atomic(_counts_path(folder, request.name), counted)


def _finished(sums: np.ndarray | None, width: int) -> dict[str, list[float]]:
    count, mean, squares, low, high, missing = np.zeros((_NO_ROWS, width)) if sums is None else sums
    deviation = np.sqrt(np.divide(squares, count, out=np.zeros(width), where=count > 0))
    deviation[deviation < _SMALLEST_DEVIATION] = 1.0
    rows = {
        "count": count,
        "missing": missing,
        "mean": mean,
        "deviation": deviation,
        "minimum": np.where(count > 0, low, 0.0),
        "maximum": np.where(count > 0, high, 0.0),
    }
    return {name: values.tolist() for name, values in rows.items()}
