"""How many rows a run could not use, and whether that is too many."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from transforms.contract.declaration.split import SPLITS
from transforms.contract.errors import BraidError
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
            received=f"an empty table in {len(manifests)} partition(s)",
            action="Put rows into the table, or correct source.path.",
        )
    rejects = total_rejects(manifests)
    rejected = sum(reject.rows for reject in rejects)
    if rejected > max_reject_fraction * rows:
        worst = rejects[0]
        raise BraidError(
            f"column '{worst.column}'",
            expected=f"at most {max_reject_fraction:.1%} of the rows to be unusable "
            "(transform.max_reject_fraction)",
            received=f"{rejected:,} of {rows:,} rows ({rejected / rows:.1%}), most of them "
            f"({worst.rows:,}) by '{worst.reason}' in column '{worst.column}', such as key "
            f"{worst.example_key} in {worst.example_file}",
            action="Mend the table, choose another policy for the column (missing, invalid), or "
            "allow more with transform.max_reject_fraction. The rejects folder of the workspace "
            "has every such row with its value.",
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
