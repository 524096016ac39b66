"""Checks of all that a run makes of its source: transforms, shards, and the files beside them.

All of it is made again by a run that misses it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from flows.checks.check_bucket import check_bucket
from flows.checks.defects import REMADE, Defect, defect_of
from flows.checks.saved_models import (
    GRAPH_FILE,
    INDEX_FILE,
    missing_assets,
    refuse_cut_graph,
    refuse_cut_variables,
)
from flows.checks.tables import read_statistics, rows_of
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import checksum
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.documents import read_json, read_value, reading
from transforms.contract.workspace.drift import MeasuredDrift
from transforms.contract.workspace.files import TEMPORARY
from transforms.contract.workspace.layout import (
    COUNTS_SUFFIX,
    EDGES_FILE,
    MANIFEST_FILE,
    MOMENTS_FILE,
    QUANTILES_FILE,
    REFERENCE_FILE,
    SCALES_FILE,
    TRANSFORM_FILE,
    Workspace,
)
from transforms.contract.workspace.manifest import ShardManifest, StoredFeature, TransformManifest
from transforms.reading.cutting import read_windows
from transforms.reading.keys import read_hashes

_STATISTICS = (MOMENTS_FILE, QUANTILES_FILE, EDGES_FILE, SCALES_FILE, REFERENCE_FILE)
_COUNTS = TypeAdapter(tuple[int, ...])


def check_data(workspace: Workspace, looked_at: Counter[str]) -> Iterator[Defect]:
    """Yields what is wrong with all that runs made of their sources.

    Args:
        workspace: Where everything lies.
        looked_at: Takes what was looked at, in words.
    """
    store = workspace.stored
    if isinstance(store, BucketPath):
        yield from check_bucket(store, looked_at)
    else:
        yield from _transforms(workspace, store, looked_at)
        yield from _partitions(store, looked_at)
        yield from _files(store / "statistics", "arrow", read_statistics, looked_at)
    for kind, suffix, read in (("keys", "npy", read_hashes), ("drift", "json", _read_drift)):
        yield from _files(workspace.root / kind, suffix, read, looked_at)
    for folder in _folders(workspace.root / "windows"):
        looked_at["windows table"] += 1
        yield from defect_of(folder, read_windows, folder, removes=(folder,))


def _transforms(workspace: Workspace, store: Path, looked_at: Counter[str]) -> Iterator[Defect]:
    for folder in _folders(store / "transforms"):
        looked_at["transform"] += 1
        manifest, name = folder / TRANSFORM_FILE, folder.name
        beside = (store / "shards", store / "rejects", workspace.root / "drift")
        others = (parent / name for parent in beside)
        removes = (manifest, folder, *others)  # the manifest first: half a transform is none
        statistics, graph = folder / "statistics", folder / "graph"
        yield from defect_of(manifest, _read_transform, manifest, removes=removes)
        yield from defect_of(graph / GRAPH_FILE, refuse_cut_graph, graph, removes=removes)
        yield from defect_of(graph / INDEX_FILE, refuse_cut_variables, graph, removes=removes)
        for path in (statistics / name for name in _STATISTICS):
            yield from defect_of(path, _read_json, path, removes=removes)
        vocabularies = (statistics / "vocabularies").glob("*")
        for name in sorted({path.name.partition(".")[0] for path in vocabularies}):
            path = statistics / "vocabularies" / f"{name}.txt"
            defects = defect_of(path, _read_vocabulary, path, removes=removes)
            yield from defects
            asset = graph / "assets" / path.name
            if not defects and asset.exists() and asset.read_bytes() != path.read_bytes():
                yield Defect(asset, f"other terms than {path}", REMADE, removes)
        yield from missing_assets(graph, _stored(manifest), action=REMADE, removes=removes)


def _partitions(store: Path, looked_at: Counter[str]) -> Iterator[Defect]:
    for transform in _folders(store / "shards"):
        frozen = (store / "transforms" / transform.name).is_dir()
        for folder in _folders(transform):
            manifest = folder / MANIFEST_FILE
            if not manifest.exists():
                continue  # it is being written, or the next run sweeps it up
            looked_at["partition"] += 1
            rejects = store / "rejects" / transform.name / folder.name
            removes = (manifest, folder, rejects)
            if not frozen:
                yield Defect(folder, "shards of a transform that is gone", REMADE, removes)
                continue
            defects = defect_of(manifest, _read_manifest, folder, removes=removes)
            yield from defects or _files_of_partition(folder, rejects, looked_at, removes)


def _files_of_partition(
    folder: Path, rejects: Path, looked_at: Counter[str], removes: tuple[Path, ...]
) -> Iterator[Defect]:
    manifest = _read_manifest(folder)
    for shard in manifest.shards:
        looked_at["shard"] += 1
        path = folder / shard.file
        if not path.exists():
            yield Defect(path, "no such file, which the manifest names", REMADE, removes)
        elif path.stat().st_size != shard.bytes:
            what = f"{path.stat().st_size:,} bytes, of {shard.bytes:,} in the manifest"
            yield Defect(path, what, REMADE, removes)
        elif checksum(path) != shard.checksum:
            yield Defect(path, "another checksum than in the manifest", REMADE, removes)
    files = sorted(rejects.glob("*.parquet"))
    defects = [item for path in files for item in defect_of(path, rows_of, path, removes=removes)]
    yield from defects
    if not defects and sum(map(rows_of, files)) != manifest.rejected():
        what = f"not the {manifest.rejected():,} rejected rows of the manifest"
        yield Defect(rejects, what, REMADE, removes)


def _files(
    folder: Path, suffix: str, read: Callable[[Path], object], looked_at: Counter[str]
) -> Iterator[Defect]:
    for path in sorted(folder.glob(f"*/*.{suffix}")):
        if not path.name.startswith(TEMPORARY):
            looked_at[f"{folder.name} file"] += 1
            yield from defect_of(path, read, path, removes=(path,))


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    folders = (path for path in parent.iterdir() if path.is_dir())
    return sorted(path for path in folders if not path.name.startswith(TEMPORARY))


def _read_transform(path: Path) -> None:
    with reading(path):
        manifest = read_json(path, TransformManifest)
        _refuse_other(manifest.fingerprint, path.parent.name)


def _read_manifest(folder: Path) -> ShardManifest:
    path = folder / MANIFEST_FILE
    manifest = read_json(path, ShardManifest)
    with reading(path):
        _refuse_other(manifest.transform, folder.parent.name)
        _refuse_other(manifest.partition_fingerprint, folder.name.rpartition("@")[2])
    return manifest


def _read_drift(path: Path) -> None:
    measured = read_json(path, MeasuredDrift)
    with reading(path):
        _refuse_other(measured.transform, path.parent.name)


def _stored(manifest: Path) -> tuple[StoredFeature, ...]:
    with suppress(BraidError, OSError):  # which is told already
        return read_json(manifest, TransformManifest).stored
    return ()


def _read_vocabulary(path: Path) -> None:
    """Refuses a vocabulary that ends within a line, or has other terms than are counted."""
    with reading(path):
        counts = read_value(path.with_suffix(COUNTS_SUFFIX), _COUNTS)
        *terms, rest = path.read_bytes().split(b"\n")
        if rest or len(terms) != len(counts):
            raise ValueError(f"{len(terms):,} whole lines, of {len(counts):,}")


def _read_json(path: Path) -> None:
    with reading(path):
        json.loads(path.read_bytes())


def _refuse_other(name: str, folder: str) -> None:
    if name != folder:
        raise ValueError(f"what belongs into the folder {name}")
