"""Writes a made-up table of subscribers and whether they left.

Four independent draws make a subscriber, one a column. Each pushes towards leaving with an effect
of mean 0 and variance 1; who is pushed above 0 in all leaves. So each column has a quarter of the
signal, and no three of them are enough.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

CONTRACTS = {"monthly": 1.22, "yearly": 0.0, "two years": -1.22}
PAYMENTS = {"voucher": 1.34, "invoice": 0.45, "card": -0.45, "direct debit": -1.34}
_LONGEST = 72  # months
_BILL, _BILL_SPREAD = 60.0, 18.0  # mean and standard deviation


def write_table(folder: Path, rows: int = 3000, seed: int = 7) -> None:
    """Writes `subscribers.csv`; the same bytes for the same seed.

    Args:
        folder: Where the file goes.
        rows: Rows in all.
        seed: Of everything that is random.
    """
    random = np.random.default_rng(seed)
    contract = random.choice(list(CONTRACTS), size=rows)
    payment = random.choice(list(PAYMENTS), size=rows)
    months = random.integers(1, _LONGEST + 1, size=rows)
    bill = np.round(random.normal(_BILL, _BILL_SPREAD, size=rows), 2)
    push = np.sum(list(effects(contract, payment, months, bill).values()), axis=0)
    table = {
        "subscriber": [f"S{index:06d}" for index in range(rows)],
        "contract": contract,
        "payment": payment,
        "months": months,
        "bill": bill,
        "left": (push > 0).astype(np.int64),
    }
    folder.mkdir(parents=True, exist_ok=True)
    pacsv.write_csv(pa.table(table), folder / "subscribers.csv")


def effects(
    contract: np.ndarray, payment: np.ndarray, months: np.ndarray, bill: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns how much each column pushes a subscriber towards leaving, [rows] each."""
    return {
        "contract": np.array([CONTRACTS[name] for name in contract]),
        "payment": np.array([PAYMENTS[name] for name in payment]),
        "months": (_LONGEST / 2 - months) / (_LONGEST / np.sqrt(12)),
        "bill": (bill - _BILL) / _BILL_SPREAD,
    }
