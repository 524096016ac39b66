"""The statistics that a transform freezes, as files beside its graph."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter

from transforms.contract.workspace.documents import read_value
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import (
    COUNTS_SUFFIX,
    EDGES_FILE,
    MOMENTS_FILE,
    QUANTILES_FILE,
    SCALES_FILE,
)
from transforms.contract.workspace.manifest import TargetStatistics
from transforms.contract.workspace.vocabulary import terms_of
from transforms.kinds.requests import (
    Learnt,
    MomentsRequest,
    QuantilesRequest,
    Request,
    ScaleRequest,
    VocabularyRequest,
)
from transforms.statistics.accumulators import Accumulated
from transforms.statistics.pieces import edges_of_columns
from transforms.statistics.scales import divisors, target_scale

NO_TERM = b"\x00"  # the only line of an empty vocabulary, as a lookup table needs one
_LINE_BREAK = "[\n\r]"  # a vocabulary file has one term a line, so that such a term is unknown
_SCALES = TypeAdapter(dict[str, TargetStatistics])
_MOMENTS = TypeAdapter(dict[str, dict[str, list[float]]])
_COLUMNS = TypeAdapter(dict[str, list[list[float]]])
_COUNTS = TypeAdapter(tuple[int, ...])
_NO_ROWS = 6  # sums of a column, all zero


def statistics_folder(transform: Path) -> Path:
    """Returns where a transform's frozen statistics lie."""
    return transform / "statistics"


def freeze(
    requests: Iterable[Request], total: Accumulated, folder: Path, *, base: Path | None = None
) -> None:
    """Writes the answer to every request: vocabularies, moments, quantiles and scales.

    Args:
        requests: What the kinds ask for; their tensors are not looked at.
        total: What all training rows add up to.
        folder: Where the files go.
        base: Where the statistics lie whose terms keep their ids, if there are some.
    """
    moments: dict[str, Any] = {}
    quantiles: dict[str, Any] = {}
    edges: dict[str, Any] = {}
    scales: dict[str, TargetStatistics] = {}
    for request in requests:
        match request:
            case VocabularyRequest():
                kept = () if base is None else read_vocabulary(base, request.name)
                _write_vocabulary(total.counts(request.name), request, folder, kept)
            case MomentsRequest():
                width = _width(request)
                for name in request.names:
                    moments[name] = _finished(total.moments.get(name), width)
                    edges[name] = edges_of_columns(total.sample.columns.get(name), width)
                if isinstance(request, ScaleRequest):
                    name = request.name
                    sample = total.sample.columns.get(name, np.zeros((0, width), np.float32))
                    scales[name] = target_scale(request.declared, moments[name], sample)
            case QuantilesRequest():
                for name in request.names:
                    boundaries = total.quantiles(name, request.parts, _width(request))
                    quantiles[name] = boundaries.tolist()
    write_atomic(_moments_path(folder), json.dumps(moments))
    write_atomic(_quantiles_path(folder), json.dumps(quantiles))
    write_atomic(_edges_path(folder), json.dumps(edges))
    write_atomic(_scales_path(folder), _SCALES.dump_json(scales).decode())


def vocabulary_path(folder: Path, name: str) -> Path:
    """Returns where a vocabulary lies: one term a line, most frequent first.

    One that keeps the ids of another has its terms first, in their order.
    """
    return folder / "vocabularies" / f"{name}.txt"


def read_vocabulary(folder: Path, name: str) -> tuple[bytes, ...]:
    """Returns a vocabulary's terms in the order of their ids; none if nothing was counted."""
    return terms_of(vocabulary_path(folder, name)) or ()


def read_counts(folder: Path, name: str) -> tuple[int, ...]:
    """Returns how often the training rows have each of these terms."""
    path = _counts_path(folder, name)
    return read_value(path, _COUNTS) if path.exists() else ()


def read_moments(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Returns the moments of every name: count, missing, mean, deviation, minimum, maximum."""
    return read_value(_moments_path(folder), _MOMENTS)


def read_quantiles(folder: Path) -> dict[str, list[list[float]]]:
    """Returns the boundaries of every name, [width, parts - 1]."""
    return read_value(_quantiles_path(folder), _COLUMNS)


def read_edges(folder: Path) -> dict[str, list[list[float]]]:
    """Returns the edges of the pieces of every name that has moments, by column."""
    return read_value(_edges_path(folder), _COLUMNS)


def read_scales(folder: Path) -> dict[str, TargetStatistics]:
    """Returns the scale of every target of numbers."""
    return read_value(_scales_path(folder), _SCALES)


def read_learnt(folder: Path, names: Iterable[str]) -> dict[str, Learnt]:
    """Returns what is known of each name; nothing of one that asked for nothing.

    Args:
        folder: Where the statistics lie.
        names: Features and targets.
    """
    moments, edges, scales = read_moments(folder), read_edges(folder), read_scales(folder)
    return {
        name: Learnt(
            terms=tuple(term.decode() for term in read_vocabulary(folder, name)),
            counts=read_counts(folder, name),
            **_numbers(moments[name], edges[name]) if name in moments else {},
            scale=scales.get(name, TargetStatistics()),
        )
        for name in names
    }


def _numbers(column: Mapping[str, list[float]], edges: list[list[float]]) -> dict[str, Any]:
    return {
        "rows": int(max(column["count"])),
        **{key: tuple(column[key]) for key in ("mean", "deviation", "minimum", "maximum")},
        "edges": tuple(tuple(values) for values in edges),
    }


def _counts_path(folder: Path, name: str) -> Path:
    return folder / "vocabularies" / f"{name}{COUNTS_SUFFIX}"


def _moments_path(folder: Path) -> Path:
    return folder / MOMENTS_FILE


def _quantiles_path(folder: Path) -> Path:
    return folder / QUANTILES_FILE


def _edges_path(folder: Path) -> Path:
    return folder / EDGES_FILE


def _scales_path(folder: Path) -> Path:
    return folder / SCALES_FILE


def _width(request: MomentsRequest | QuantilesRequest) -> int:
    return int(request.values.shape[-1]) // len(request.names)


def _write_vocabulary(
    counted: pa.Table, request: VocabularyRequest, folder: Path, kept: tuple[bytes, ...]
) -> None:
    """Writes the terms that keep their ids, then the most frequent ones.

    Equal counts are in the order of the bytes.
    """
    terms = counted["term"]
    usable = pc.and_(
        pc.greater(pc.binary_length(terms), 0),
        pc.invert(pc.match_substring_regex(terms, _LINE_BREAK)),
    )
    wanted = pc.and_(usable, pc.greater_equal(counted["count"], request.minimum_count))
    order = [("count", "descending"), ("term", "ascending")]
    frequent = counted.filter(wanted)
    # Not `sort_by`, which copies all of what there may be a hundred million of.
    chosen = frequent.take(pc.sort_indices(frequent, order)[: request.size])
    known = pa.array([term for term in kept if term != NO_TERM], pa.binary())
    added = chosen.filter(pc.invert(pc.is_in(chosen["term"], known)))
    counts = pc.fill_null(counted["count"].take(pc.index_in(known, terms)), 0)
    written = pa.chunked_array([known, *added["term"].chunks])
    write_atomic(vocabulary_path(folder, request.name), _lines(written) or NO_TERM + b"\n")
    numbers = [*counts.to_pylist(), *added["count"].to_pylist()] or [0]
    write_atomic(_counts_path(folder, request.name), json.dumps(numbers))


def _lines(terms: pa.ChunkedArray) -> bytes:
    """Returns one term a line; there may be millions, so none of them is a Python object."""
    whole = terms.cast(pa.large_binary()).combine_chunks()
    empty, line_break = pa.scalar(b"", whole.type), pa.scalar(b"\n", whole.type)
    lines = pc.binary_join_element_wise(whole, empty, line_break)
    return lines.buffers()[2].to_pybytes() if len(lines) else b""


def _finished(sums: np.ndarray | None, width: int) -> dict[str, list[float]]:
    count, mean, squares, low, high, missing = np.zeros((_NO_ROWS, width)) if sums is None else sums
    deviation = np.sqrt(np.divide(squares, count, out=np.zeros(width), where=count > 0))
    rows = {
        "count": count,
        "missing": missing,
        "mean": mean,
        "deviation": divisors(deviation),
        "minimum": np.where(count > 0, low, 0.0),
        "maximum": np.where(count > 0, high, 0.0),
    }
    return {name: values.tolist() for name, values in rows.items()}
