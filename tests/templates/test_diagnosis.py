"""A signal and a number: the signal gives the diagnosis, and only both together the risk."""

from __future__ import annotations

import numpy as np
import pytest

from flows.templates.diagnosis.table import DIAGNOSES
from tests.templates.project import Project, as_printed, best_threshold

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return as_printed("diagnosis", tmp_path_factory.mktemp("diagnosis"))


def test_the_diagnosis_is_read_from_the_signal(project):
    diagnoses = project.rows("test")["diagnosis"].to_pylist()
    majority = max(diagnoses.count(name) for name in DIAGNOSES) / len(diagnoses)
    assert majority < 0.45
    # The pressure says nothing of it: without the signal's branch no model is above the majority,
    # and one that cannot tell even from uneven beats stays at two in three.
    assert project.record()["metrics"]["test_diagnosis_accuracy"] >= majority + 0.4


def test_the_risk_is_read_from_signal_and_pressure_together(project):
    rows = project.rows("test")
    ranks = [DIAGNOSES.index(name) for name in rows["diagnosis"].to_pylist()]
    # The most that a model could do which sees the pressure alone, or knows the true diagnosis and
    # not the pressure: some 0.75. With both it is some 0.9, as the rest is chance.
    alone = max(best_threshold(values, rows["risk"]) for values in (rows["pressure"], ranks))
    assert alone < 0.8
    assert project.record()["metrics"]["test_risk_accuracy"] >= alone + 0.1


def test_the_signal_is_stored_as_256_steps_of_one_channel(project):
    (ecg,) = (stored for stored in project.transform().stored if stored.name == "ecg")
    assert (ecg.shape, ecg.padded) == ((256, 1), False)
    signals = np.array(project.rows("train")["ecg"].to_pylist())
    assert signals.shape == (project.record()["rows"]["train"], 256)
