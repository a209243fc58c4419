import pytest

from wsreid.data.needs import Needs
from wsreid.study.run_facts import needs_in_words


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Needs(), ""),
        (Needs(views=2, ema=True), "2 views, ema"),
        (Needs(whole_bags=True, member_table=True, epoch_pass=True), "whole bags, member table, epoch pass"),
        (Needs(truth=True, identity_batches=True), "identity batches"),
    ],
)
def test_needs_in_words(needs, words):
    assert needs_in_words(needs) == words
