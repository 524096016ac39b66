from __future__ import annotations

import pytest

from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import DeclarationError


def _flats(**changes):
    return parse(
        {
            "name": "flats",
            "source": {"path": "/data", "key": "id"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
        }
        | changes
    )


@pytest.mark.parametrize(
    "cron",
    [
        "0 3 * * *",
        "*/15 0-6,22 1-31/2 jan-mar MON",
        "59 23 31 12 7",
        "0  3 * * sun,sat",
        "0/5 * * * *",
        "0 3 29 2 *",
        "0 3 31 feb mon",
        "0 3 25/3 2,12 *",
    ],
)
def test_a_crontab_line_is_a_schedule(cron):
    schedule = _flats(schedule={"cron": cron}).schedule
    assert (schedule.cron, schedule.timezone) == (cron, "UTC")


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 3 * *", "five fields: minute, hour, day of the month, month, day of the week"),
        ("@daily", "five fields"),
        ("0 3 31 2 *", "a day that a month has"),
        ("0 3 31 feb,4-6/2 *", "a day that a month has"),
        ("", "five fields"),
        ("60 3 * * *", "the minute to be"),
        ("0 24 * * *", "the hour to be"),
        ("0 3 0 * *", "the day of the month to be"),
        ("0 3 * 13 *", "the month to be"),
        ("0 3 * * 8", "the day of the week to be"),
        ("0 3 * * 5-2", "the day of the week to be"),
        ("*/0 3 * * *", "the minute to be"),
        ("0 3, * * *", "the hour to be"),
        ("0 3 * * monday", "the day of the week to be"),
        ("² 3 * * *", "the minute to be"),
    ],
)
def test_what_is_no_crontab_line_is_refused_with_the_wrong_field(cron, expected):
    with pytest.raises(DeclarationError) as caught:
        _flats(schedule={"cron": cron})
    assert caught.value.place.endswith("schedule.cron")
    assert expected in caught.value.expected


def test_an_unknown_time_zone_is_refused():
    assert _flats(schedule={"cron": "0 3 * * *", "timezone": "Europe/Berlin"}).schedule
    with pytest.raises(DeclarationError, match=r"schedule\.timezone.* received 'Berlin'"):
        _flats(schedule={"cron": "0 3 * * *", "timezone": "Berlin"})


def test_when_and_where_a_model_is_trained_makes_no_other_model():
    plain = _flats()
    moved = _flats(schedule={"cron": "0 3 * * *"}, training={"dispatch": "deployment"})
    assert moved.training_fingerprint() == plain.training_fingerprint()
    assert moved.data_fingerprint() == plain.data_fingerprint()
