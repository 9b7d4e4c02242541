"""What is judged of a registration, and when."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from warpline.images import Image
from warpline.registration.judgement import Agreement, JudgedAffine, Judgement
from warpline.registration.judging import Judging
from warpline.registration.linear import LinearResult
from warpline.registration.spread import Spread
from warpline.space import Affine


@pytest.fixture
def linear():
    return LinearResult(Affine.identity(), (), ("a warning",))


@pytest.fixture
def judged(linear):
    agreement = Agreement(0.4, 12000, overlap=0.95, coverage=1.0)
    return JudgedAffine(linear, agreement, {"above_chance": 5.0}, Affine.identity())


def spread_of(median):
    return Spread(
        Image.from_array(np.zeros((2, 2, 2), np.float32)), 4, median, median, median, noise=(0.01, 0.01), start=1.0
    )


def test_nothing_is_judged_that_needs_no_judgement(linear):
    judging = Judging.of(linear, None, None, SimpleNamespace(judges_affine=False), None)
    assert judging.linear is linear
    assert judging.of_affine(None) == judging.of_map(None, None, None) == Judgement()


def test_where_maps_are_not_judged_the_affine_is(linear, judged):
    judging = Judging(linear, None, judged)
    assert judging.of_map(None, spread_of(50.0), None) == judging.of_affine(None) == judged.judgement


def test_a_wide_spread_is_doubted(linear, judged):
    judging = Judging(linear, SimpleNamespace(radius=100.0), judged)
    assert judging.of_affine(spread_of(0.5)).outcome == "fine"
    assert judging.of_affine(spread_of(20.0)).outcome == "doubtful"
