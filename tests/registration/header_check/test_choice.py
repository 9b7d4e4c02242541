"""Which reading is taken: the header's own unless another one is clearly better."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from warpline.registration.header_check.choice import CLEARLY, choose
from warpline.registration.header_check.search import Hypothesis
from warpline.registration.judgement import Agreement

MIRROR, HALF_TURN = np.diag([-1.0, 1, 1]), np.diag([-1.0, -1, 1])


def reading(correlation, orientation=None, similarity=1.0, voxels=1000):
    agreement = Agreement(correlation, voxels, overlap=1.0, coverage=1.0)
    to_header = np.diag([correlation, 1, 1, 1])  # by which the comparison below knows it
    return Hypothesis(
        np.eye(3) if orientation is None else orientation, (1.0, 1.0, 1.0), to_header, similarity, agreement
    )


def comparison(error=0.01, chance=0.1):
    return SimpleNamespace(
        gain=lambda first, second: (first[0, 0] - second[0, 0], error),
        before_and_chance=lambda matrix, least: (0.0, chance),
    )


def test_a_clearly_better_reading_is_taken():
    chosen = choose([reading(0.4), reading(0.5, MIRROR)], comparison())
    assert (chosen.best.orientation == MIRROR).all() and chosen.rivals == () and chosen.is_sure


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (reading(0.5, HALF_TURN), 0.1 / CLEARLY * 1.01),
        (reading(0.5, HALF_TURN, similarity=0.9), 0.01),
        (reading(0.5, HALF_TURN, voxels=200), 0.01),
    ],
    ids=["noise", "less similar", "few voxels"],
)
def test_else_the_header_is(other, error):
    chosen = choose([reading(0.4), other], comparison(error))
    assert chosen.best is chosen.own


def test_hands_are_not_told_where_little_agrees():
    pair = [reading(0.2), reading(0.25, MIRROR)]
    chosen = choose(pair, comparison(chance=0.05))
    assert chosen.best is chosen.own and len(chosen.rivals) == 1 and chosen.is_sure
    turned = [pair[0], replace(pair[1], orientation=HALF_TURN)]
    assert (choose(turned, comparison(chance=0.05)).best.orientation == HALF_TURN).all()


def test_what_agrees_by_chance_is_not_proposed():
    chosen = choose([reading(0.1), reading(0.15, HALF_TURN)], comparison(chance=0.12))
    assert chosen.best is chosen.own and not chosen.is_sure and chosen.measures()["above_chance"] < 1


def test_of_readings_alike_the_simplest_is_taken():
    turned = reading(0.51, HALF_TURN)
    chosen = choose([reading(0.1), turned, reading(0.5, MIRROR)], comparison())
    assert (chosen.best.orientation == MIRROR).all() and chosen.rivals == (turned,)
