"""A name tells by its words, however they are joined."""

from __future__ import annotations

import pytest

from transforms.proposal.classes.classifier import CLASSES, shipped
from transforms.proposal.classes.names import name_buckets, name_words


@pytest.mark.parametrize("name", ["customerID_2", "customer id", "Customer-Id", "CUSTOMER_ID"])
def test_words_are_the_same_in_every_spelling(name):
    assert name_words(name) == ["customer", "id"]
    assert name_buckets(name) == name_buckets("customer_id")


@pytest.mark.parametrize(
    ("name", "label"),
    [("start_date", "datetime"), ("homepageURL", "url"), ("description", "sentence")],
)
def test_a_name_alone_can_tell_the_class(name, label):
    odds = dict(zip(CLASSES, shipped().names.log_odds(name), strict=True))
    assert max(odds, key=odds.__getitem__) == label


def test_a_name_without_letters_says_as_little_as_none():
    assert shipped().names.log_odds("12") == shipped().names.log_odds("")
