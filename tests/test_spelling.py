"""What was meant by a name that does not exist."""

from __future__ import annotations

import pytest

from warpline.spelling import MISSPELT, did_you_mean, nearest

KNOWN = ("iterations", "radius", "local_cc")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("iteration", "did you mean 'iterations'? "),
        ("RADIUS", "did you mean 'radius'? "),
        ("cc", "did you mean 'local_cc'? "),
        ("a", ""),
        ("", ""),
        (3, ""),
        ("iterations" * 10_000, ""),
    ],
)
def test_one_name_may_have_been_meant(name, words):
    assert did_you_mean(name, KNOWN) == words


def test_resembling_is_less_than_being_misspelt():
    assert nearest("session_id", ["session"]) == "session"
    assert nearest("session_id", ["session"], MISSPELT) is None
    assert nearest("fixed_maks", ["fixed_mask"], MISSPELT) == "fixed_mask"
