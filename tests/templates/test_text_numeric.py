"""A text and a number to a label, of which each has half of the signal."""

from __future__ import annotations

import pytest

from tests.templates.project import Project, as_printed, best_threshold, majority

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return as_printed("text-numeric", tmp_path_factory.mktemp("text_numeric"))


def test_message_and_hours_are_both_used(project):
    rows = project.rows("test")
    # The most that a model could do which reads the message alone or the hours alone: some 0.77.
    alone = max(best_threshold(rows[name], rows["escalated"]) for name in ("anger", "hours"))
    assert alone < 0.82
    assert majority(rows["escalated"]) < 0.6
    assert project.record()["metrics"]["test_escalated_accuracy"] >= alone + 0.1


def test_a_message_is_20_of_at_most_100_words(project):
    (message,) = (s for s in project.transform().stored if s.name == "message")
    assert message.shape == (20,)
    assert message.cardinality == 100 + 2  # padding and unknown words
