"""The affine map that fits a displacement best."""

from __future__ import annotations

import numpy as np

from made_transforms import made_affine, made_grid
from warpline.space import Displacement, displacement_on
from warpline.space.fit import fit_affine
from warpline.space.grid import Grid

GRID = made_grid("oblique")


def test_an_affine_on_a_grid_is_found_again():
    affine = made_affine()
    found = fit_affine(Displacement(displacement_on(affine, GRID), GRID))
    np.testing.assert_allclose(found.matrix, affine.matrix, atol=1e-4)


def test_noise_of_mean_zero_leaves_the_affine():
    affine, rng = made_affine(), np.random.default_rng(0)
    field = displacement_on(affine, GRID) + rng.normal(0, 0.5, (3, *GRID.shape)).astype(np.float32)
    np.testing.assert_allclose(fit_affine(Displacement(field, GRID)).matrix[:3, :3], affine.matrix[:3, :3], atol=0.03)


def test_a_slice_and_a_collapse_have_no_affine():
    flat = Grid((*GRID.shape[:2], 1), GRID.affine)
    assert fit_affine(Displacement(np.zeros((3, *flat.shape), np.float32), flat)) is None
    points = np.moveaxis(np.indices(GRID.shape), 0, -1) @ GRID.affine[:3, :3].T + GRID.affine[:3, 3]
    assert fit_affine(Displacement(np.moveaxis(-points, -1, 0).astype(np.float32), GRID)) is None
