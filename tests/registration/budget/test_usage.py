"""What maps use of a budget, and where they exceed it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from warpline.recipe import Budget
from warpline.registration.budget.usage import MARGIN, Meter, Usage, jacobian_range
from warpline.space.grid import Grid

SHAPE = (16, 15, 14)
GRID = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))


def box(first, last):
    inside = np.zeros(SHAPE, np.uint8)
    inside[(slice(first, last),) * 3] = 1
    return inside


def meter(backend, inside, **limits):
    return Meter(Budget(**limits), backend.upload(inside), GRID, backend)


def test_shares_are_of_the_tightest_limit():
    budget = Budget(max_bending=0.2, jacobian=(0.25, 9.0), max_strain=2.0)
    assert Usage(bending=0.05, jacobian_min=0.5, jacobian_max=2.0, strain=0.5).share_of(budget) == pytest.approx(0.5)
    assert Usage(bending=0.3, jacobian_min=0.9, jacobian_max=2.0, strain=0.5).share_of(budget) == pytest.approx(1.5)
    assert Usage(bending=0.0, jacobian_min=0.0, jacobian_max=2.0, strain=0.5).share_of(budget) == math.inf
    assert Usage(bending=math.nan, jacobian_min=1.0, jacobian_max=1.0, strain=0.5).share_of(budget) == math.inf
    inverse = Usage(bending=0.0, jacobian_min=1 / 9, jacobian_max=1.0, strain=0.0)
    assert inverse.share_of(budget, inverse=True) == pytest.approx(1)


def test_the_inverse_may_have_one_over_the_limits():
    assert jacobian_range((0.2, 4.0), inverse=True) == pytest.approx((0.25, 5.0))
    assert jacobian_range((0.25, 4.0), inverse=False, share=0.5) == pytest.approx((0.5, 2.0))


def test_only_the_foreground_and_what_is_next_to_it_counts(backend):
    field = np.zeros((3, *SHAPE), np.float32)
    field[0, 2] = 0.5
    far, near = (box(first, 12) for first in (2 + MARGIN + 2, 2 + MARGIN))
    limits = {"jacobian": (0.9, 1.1), "max_strain": 0.1}
    given = backend.upload(field)
    assert meter(backend, far, **limits).excess(given, 1.0, inverse=False) is None
    found = meter(backend, near, **limits).excess(given, 1.0, inverse=False)
    assert set(np.flatnonzero(backend.download(found).any(axis=(1, 2)))) <= {1, 2, 3}
    usage = meter(backend, near, **limits).usage(given)
    assert usage.bending is None
    assert usage.jacobian_max == pytest.approx(1.5, abs=1e-4)
    assert usage.jacobian_min == pytest.approx(0.5, abs=1e-4)


def test_nothing_is_measured_of_an_empty_foreground(backend):
    empty = meter(backend, np.zeros(SHAPE, np.uint8), max_bending=1.0, max_strain=1.0)
    given = backend.zeros((3, *SHAPE))
    assert empty.usage(given) == Usage() and empty.bending(given) == 0
    assert empty.excess(given, 1.0, inverse=False) is None
