"""Maps within a budget: every limit holds in both directions, measured apart from the engine."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import ellipsoid, fading_field
from warpline.backends import select
from warpline.evaluation import bending_energy, folding
from warpline.images import Image
from warpline.recipe import Budget
from warpline.registration.budget.enforcement import ENOUGH, Keeper, Surroundings
from warpline.registration.inverse_consistency import enforce_inverse_consistency
from warpline.registration.quality import VOXELS
from warpline.space import Displacement, fields
from warpline.space.grid import Grid

SHAPE, SMALL = (24, 22, 20), (11, 10, 9)
OBLIQUE = np.array([[0, -1.0, 0, 3], [1.2, 0, 0, -4], [0, 0, 1.5, 5], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def fast():
    return select("numba", 1)


def made_pair(backend, shape=SHAPE, largest=3.0, mask=None):
    """A rough map and its inverse, consistent as they come from SyN, and the mask on the backend."""
    inside = backend.upload((ellipsoid(shape) if mask is None else mask).astype(np.uint8))
    halves = [backend.upload(fading_field(shape, seed, largest, sigma=2.5)) for seed in (1, 2)]
    return enforce_inverse_consistency(*halves, inside, backend), inside


def kept(backend, budget, shape=SHAPE, affine=OBLIQUE, largest=3.0):
    """The pair before and after, what it uses, and its displacements in mm with the mask, on the host."""
    pair, inside = made_pair(backend, shape, largest)
    grid = Grid(shape, affine)
    ones = backend.zeros(shape) + np.float32(1)
    keeper = Keeper(budget, Surroundings(grid, inside, ones, VOXELS), backend)
    found, spending = keeper.keep(pair, keeper.usages(pair))
    return pair, found, spending, [in_mm(field, grid, backend) for field in (found.forward, found.inverse)]


def in_mm(field, grid, backend):
    return Displacement(np.array(backend.download(fields.to_world(field, grid))), grid)


def strain(warp, inside):
    """Largest logarithmic strain by central differences and a singular value decomposition in double precision."""
    along = [
        np.gradient(np.float64(warp.field), axis=a + 1) if n > 1 else 0 * warp.field
        for a, n in enumerate(warp.grid.shape)
    ]
    slopes = np.einsum("ac...,ab->...cb", np.stack(along), warp.grid.inverse_affine[:3, :3])
    return np.abs(np.log(np.linalg.svd(slopes + np.eye(3), compute_uv=False)))[inside].max()


def assert_kept(warps, budget, inside):
    mask = Image(inside.astype(np.uint8), warps[0].grid)
    for inverse, warp in enumerate(warps):
        if budget.max_bending is not None:
            assert bending_energy(warp, mask) <= budget.max_bending
        if budget.jacobian is not None:
            low, high = budget.jacobian if not inverse else (1 / budget.jacobian[1], 1 / budget.jacobian[0])
            assert folding(warp, mask, differences="any", backend="numpy").minimum >= low
            assert folding(warp, mask, backend="numpy").maximum <= high
        if budget.max_strain is not None:
            assert strain(warp, inside) <= budget.max_strain


@pytest.mark.parametrize(
    "limits",
    [
        {"max_bending": 0.01},
        {"jacobian": (0.6, 1.7)},
        {"max_strain": 0.3},
        {"max_bending": 0.02, "jacobian": (0.5, 2.5), "max_strain": 0.6},
    ],
    ids=lambda limits: "+".join(limits),
)
def test_limits_hold_both_ways(fast, limits):
    budget = Budget(**limits)
    pair, found, spending, warps = kept(fast, budget)
    assert found is not pair
    assert spending.is_kept and 0.5 < spending.used <= 1 and spending.scale == 1
    assert found.quality.is_within_limits
    assert_kept(warps, budget, ellipsoid(SHAPE))


def test_limits_hold_on_every_backend(backend):
    budget = Budget(max_bending=0.05, jacobian=(0.6, 1.7), max_strain=0.5)
    _, _, spending, warps = kept(backend, budget, SMALL, largest=1.5)
    assert spending.is_kept and spending.rounds > 0
    assert_kept(warps, budget, ellipsoid(SMALL))


def test_a_loose_budget_changes_nothing(backend):
    budget = Budget(max_bending=1e3, jacobian=(1e-3, 1e3), max_strain=10)
    pair, found, spending, _ = kept(backend, budget, SMALL)
    assert found is pair
    assert spending.is_kept and spending.smoothing == spending.rounds == 0


def test_bending_comes_close_to_its_limit(fast):
    _, _, free, _ = kept(fast, Budget(max_bending=1e3))
    for share in (0.8, 0.3):
        _, _, spending, _ = kept(fast, Budget(max_bending=share * free.used * 1e3))
        assert ENOUGH - 0.01 < spending.used <= 1


@pytest.mark.parametrize("shape", [(40, 1, 36), (28, 26, 4)], ids=["slice", "slab"])
def test_limits_hold_in_few_slices(fast, shape):
    budget = Budget(max_bending=0.02, jacobian=(0.6, 1.7), max_strain=0.5)
    _, _, spending, warps = kept(fast, budget, shape, np.diag([1.0, 4.0, 1.0, 1.0]))
    assert spending.is_kept
    assert_kept(warps, budget, ellipsoid(shape))
    if shape[1] == 1:
        assert not any(warp.field[1].any() for warp in warps)


def test_what_smoothing_cannot_keep_is_scaled_down(fast, monkeypatch):
    monkeypatch.setattr("warpline.registration.budget.enforcement.MOST_ROUNDS", 1)
    budget = Budget(jacobian=(0.99, 1.01))
    _, _, spending, warps = kept(fast, budget)
    assert spending.is_kept and spending.scale < 1
    assert_kept(warps, budget, ellipsoid(SHAPE))


def test_an_empty_foreground_sets_no_limit(fast):
    pair, inside = made_pair(fast)
    inside[...] = 0
    ones = np.ones(SHAPE, np.float32)
    keeper = Keeper(Budget(max_strain=0.1), Surroundings(Grid(SHAPE, OBLIQUE), inside, ones, VOXELS), fast)
    found, spending = keeper.keep(pair, keeper.usages(pair))
    assert found is pair and spending.used == 0
