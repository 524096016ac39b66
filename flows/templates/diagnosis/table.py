"""Writes a made-up table of patients: a heartbeat signal, a blood pressure, a diagnosis, a risk.

The shape of the signal decides the diagnosis, and nothing else does:

- `normal`: even beats;
- `arrhythmia`: the same beats, unevenly spaced;
- `ischemia`: even beats, the wave after each of them turned over.

The risk follows from the diagnosis and the blood pressure together, which are independent: with
either alone it can be told far less well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DIAGNOSES = ("normal", "arrhythmia", "ischemia")
_STEPS = 256
_BEAT = 40.0  # steps from one beat to the next
_UNEVEN = 11.0  # steps by which an uneven beat is early or late
_NOISE = 0.08
_RISK = {"normal": -4.0, "arrhythmia": 0.0, "ischemia": 4.0}  # log odds
_PRESSURE_MEAN, _PRESSURE_DEVIATION = 135.0, 18.0
_PRESSURE_RISK = 4.0  # log odds for each standard deviation
_ROWS_IN_GROUP = 500


def write_table(folder: Path, *, rows: int = 2_000, seed: int = 11) -> None:
    """Writes the table, one Parquet file.

    Args:
        folder: Where to.
        rows: Patients.
        seed: The same seed gives the same table.
    """
    random = np.random.default_rng(seed)
    diagnoses = random.choice(DIAGNOSES, rows)
    pressure = random.normal(_PRESSURE_MEAN, _PRESSURE_DEVIATION, rows).round()
    odds = np.array([_RISK[name] for name in diagnoses])
    odds += _PRESSURE_RISK * (pressure - _PRESSURE_MEAN) / _PRESSURE_DEVIATION
    table = pa.table(
        {
            "patient": [f"P{index:05d}" for index in range(rows)],
            "ecg": pa.array(
                [_signal(str(name), random) for name in diagnoses], pa.list_(pa.float32())
            ),
            "pressure": pressure,
            "diagnosis": diagnoses,
            "risk": (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "patients.parquet", row_group_size=_ROWS_IN_GROUP)


def _signal(diagnosis: str, random: np.random.Generator) -> np.ndarray:
    """Returns a signal, float32 [256]: a sharp peak a beat and a flat wave after it."""
    spacing = _BEAT * random.uniform(0.9, 1.1)
    beats = np.arange(-1, _STEPS / spacing + 1) * spacing + random.uniform(0, spacing)
    if diagnosis == "arrhythmia":
        beats += random.choice([-1.0, 1.0], len(beats)) * _UNEVEN
    wave = -1.0 if diagnosis == "ischemia" else 1.0
    step = np.arange(_STEPS)[:, None]
    peaks = np.exp(-(((step - beats) / 1.5) ** 2)).sum(axis=1)
    waves = wave * 0.3 * np.exp(-(((step - beats - 10) / 4.0) ** 2)).sum(axis=1)
    noise = random.normal(0.0, _NOISE, _STEPS)
    return np.asarray(random.uniform(0.8, 1.2) * (peaks + waves) + noise, np.float32)
