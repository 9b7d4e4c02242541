"""What was meant, and what is repeated of a value."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from warpline.recipe import Syn
from warpline.recipe.messages import did_you_mean, message_of, shortened

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


def test_long_values_are_cut():
    assert shortened(3) == "3"
    assert len(shortened("x" * 1000)) < 100


def test_a_section_alone_has_messages_too():
    with pytest.raises(ValidationError) as caught:
        Syn(iterations=(1, 2))
    assert message_of(caught.value, Syn).startswith("iterations has 2 entries for 3 levels")
