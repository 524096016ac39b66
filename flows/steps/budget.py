"""The budget of rows that a run may reject, and the rows that it did."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from flows.console.wording import counted
from transforms.contract.declaration.split import SPLITS
from transforms.contract.errors import BraidError
from transforms.contract.steps.budget import too_many_rejects
from transforms.contract.workspace.manifest import ShardManifest, total_rejects


def rows_per_split(manifests: Sequence[ShardManifest]) -> dict[str, int]:
    """Returns the usable rows of every split."""
    return {split: sum(m.rows_in(split) for m in manifests) for split in SPLITS}


def check_budget(
    manifests: Sequence[ShardManifest],
    max_reject_fraction: float,
    splits: Collection[str] = ("train",),
) -> None:
    """Refuses a run that lost too many rows, or has none to learn from or to be judged by.

    Args:
        manifests: Every partition's manifest.
        max_reject_fraction: What `transform.max_reject_fraction` allows.
        splits: Those that have to have rows.

    Raises:
        BraidError: With the reason that cost the most rows, and an example of it.
    """
    rows = sum(manifest.rows for manifest in manifests)
    if rows == 0:
        raise BraidError(
            "source",
            expected="a table with rows",
            received=f"an empty table in {counted(len(manifests), 'partition')}",
            action="Put rows into the table, or correct source.path.",
        )
    rejects = total_rejects(manifests)
    rejected = sum(reject.rows for reject in rejects)
    if rejected > max_reject_fraction * rows:
        raise too_many_rejects(
            rejects[0],
            rejected=rejected,
            rows=rows,
            fraction=max_reject_fraction,
            then="The rejects folder of the workspace has every such row with its value.",
        )
    usable = rows_per_split(manifests)
    for split in splits:
        if usable[split] == 0:
            raise BraidError(
                "split",
                expected=f"{split} rows: a model learns from the train rows, and the gate reads "
                "its metrics from the split that they name",
                received=f"none among {rows:,} rows, {rejected:,} of them rejected",
                action="Give that split a share of the rows, or the table more rows.",
            )
