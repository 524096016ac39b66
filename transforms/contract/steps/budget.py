"""The error of a run that loses more rows than `transform.max_reject_fraction` allows."""

from __future__ import annotations

from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import RejectCount


def too_many_rejects(
    worst: RejectCount, *, rejected: int, rows: int, fraction: float, then: str
) -> BraidError:
    """Returns the error, which names the reason that cost the most rows.

    Args:
        worst: That reason, with an example.
        rejected: Rows that cannot be used, as far as they are counted.
        rows: All rows.
        fraction: What `transform.max_reject_fraction` allows.
        then: A sentence about where more is said of these rows.
    """
    return BraidError(
        f"column '{worst.column}'",
        expected=f"at most {fraction:.1%} of the rows to be unusable "
        "(transform.max_reject_fraction)",
        received=f"{rejected:,} of {rows:,} rows ({rejected / rows:.1%}), most of them "
        f"({worst.rows:,}) by '{worst.reason}' in column '{worst.column}', such as key "
        f"{worst.example_key} in {worst.example_file}",
        action="Mend the table, choose another policy for the column (missing, invalid), or "
        f"allow more with transform.max_reject_fraction. {then}",
    )
