"""The words for measures on the page of a pair."""

from __future__ import annotations

from dataclasses import fields

from warpline.registration.inverse_consistency import LEAST_JACOBIAN
from warpline.registration.judgement import LIMITS
from warpline.registration.quality import Quality
from warpline.report.measures import QUALITY


def test_limits_are_those_of_the_judgement():
    for name in QUALITY.keys() & LIMITS.keys():
        assert QUALITY[name].allowed.removeprefix("at most ") == f"{LIMITS[name].limit:g}"
    assert f"{LEAST_JACOBIAN:g} or more" in QUALITY["least_jacobian"].allowed
    assert QUALITY.keys() == {field.name for field in fields(Quality)} - {"units"}
