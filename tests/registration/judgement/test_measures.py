"""Signs of a wrong map: of the affine, of its neighbours, of the warp and of its invertibility."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from made_heads import lattice, scan
from warpline.backends import select
from warpline.images.intensity import normalise
from warpline.recipe import Linear
from warpline.registration.judgement import LIMITS, ObjectComparison, quality_signs, warp_signs
from warpline.registration.judgement.measures import MOST_ROTATION, affine_signs, angle_between, search_signs
from warpline.registration.quality import Quality
from warpline.space import Affine

OPTIONS = Linear(stages=("rigid",), voxel_sizes=(8.0, 5.0), iterations=(30, 15), samples=4000, refinements=0)


@pytest.fixture(scope="module")
def backend():
    return select("numba", 1)


@pytest.fixture(scope="module")
def images(backend):
    """One head twice, as it is and 10 mm further to the right."""
    grid = lattice(size=4.0, shape=(36, 42, 32))
    return tuple(normalise(scan(grid, matrix), backend) for matrix in (None, moved(-10, 0, 0).matrix))


@pytest.fixture(scope="module")
def comparison(images, backend):
    return ObjectComparison(*images, backend)


def moved(*millimetres, linear=None):
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) if linear is None else linear
    matrix[:3, 3] = millimetres
    return Affine(matrix)


RIGHT = moved(10, 0, 0)
"""The map between the two heads."""


def turned(degrees, axis=(0, 0, 1)):
    return Rotation.from_rotvec(np.radians(degrees) * np.array(axis)).as_matrix()


def signs_of(affine, comparison, headers=None):
    return affine_signs(comparison, affine, comparison.at(affine.matrix), headers or Affine.identity())


def test_the_right_affine_gains_over_the_headers(comparison):
    signs = signs_of(RIGHT, comparison)
    assert signs["affine_gain"] > 1.2
    assert signs["above_chance"] > 3
    assert signs["object_overlap"] > 0.95


def test_a_wrong_affine_is_no_better_than_chance(comparison):
    assert signs_of(moved(60, 0, 0), comparison)["above_chance"] < 1.5


def test_stretches_are_singular_values(comparison):
    stretch = turned(20) @ np.diag([0.5, 1.0, 2.0]) @ turned(-35, (1, 0, 0))
    signs = signs_of(moved(0, 0, 0, linear=stretch), comparison)
    assert signs["least_stretch"] == pytest.approx(0.5)
    assert signs["most_stretch"] == pytest.approx(2.0)
    assert signs["distortion"] == pytest.approx(4.0)


@pytest.mark.parametrize(("degrees", "applies"), [(MOST_ROTATION - 1, False), (MOST_ROTATION + 1, True)])
def test_only_large_turns_need_more_agreement(comparison, degrees, applies):
    signs = signs_of(moved(0, 0, 0, linear=turned(degrees)), comparison)
    assert signs["agreement_turned"] == (signs["above_chance"] if applies else None)


def test_turns_are_counted_from_the_start_that_was_given(comparison):
    affine = moved(0, 0, 0, linear=turned(170))
    assert signs_of(affine, comparison, headers=affine)["agreement_turned"] is None


def test_images_that_share_nothing_have_no_agreement(comparison):
    signs = signs_of(moved(900, 0, 0), comparison)
    assert signs["above_chance"] == 0
    assert signs["coverage"] == 0


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 0.6, 0.8)])
def test_the_angle_between_affines_ignores_scales(axis):
    first = moved(5, 0, 0, linear=turned(10, axis))
    second = moved(0, 9, 0, linear=1.3 * turned(75, axis))
    assert angle_between(first, second) == pytest.approx(65)


def test_no_neighbour_of_the_right_affine_is_better(images, comparison, backend):
    assert search_signs(comparison, images, RIGHT, OPTIONS, backend=backend)["better_nearby"] <= 1.0


def test_a_neighbour_of_an_affine_off_the_optimum_is_better(images, comparison, backend):
    signs = search_signs(comparison, images, moved(4, 0, 0), OPTIONS, backend=backend)
    assert signs["better_nearby"] > LIMITS["better_nearby"].doubtful[1]


def signs_of_shift(millimetres, images, comparison, backend, affine=RIGHT):
    """Signs of a constant displacement along x that the affine follows."""
    grid = images[0].grid
    field = np.zeros((3, *grid.shape), np.float32)
    field[0] = millimetres / grid.voxel_size[0]
    agreement = comparison.at(affine.matrix)
    return warp_signs(comparison, affine, agreement, backend.upload(field), grid=grid, backend=backend)


def test_no_warp_gains_and_moves_nothing(images, comparison, backend):
    signs = signs_of_shift(0.0, images, comparison, backend)
    assert signs["warp_gain"] == pytest.approx(1.0, abs=1e-6)
    assert signs["farthest"] == 0


def test_a_warp_that_corrects_the_affine_gains(images, comparison, backend):
    assert signs_of_shift(8.0, images, comparison, backend, affine=moved(2, 0, 0))["warp_gain"] > 1.1


def test_a_warp_that_spoils_the_affine_loses(images, comparison, backend):
    assert signs_of_shift(20.0, images, comparison, backend)["warp_gain"] < LIMITS["warp_gain"].doubtful[0]


def test_the_farthest_displacement_is_counted_in_radii(images, comparison, backend):
    signs = signs_of_shift(12.0, images, comparison, backend)
    assert signs["farthest"] == pytest.approx(12.0 / comparison.radius, rel=1e-5)


def test_quality_gives_the_signs_that_have_a_limit():
    quality = Quality(
        folds=0.1, folded_voxels=7, jacobian_min=-0.2, jacobian_max=3.0, inverse_error_mean=0.04,
        inverse_error_p99=0.2, inverse_error_max=2.0,
    )  # fmt: skip
    signs = quality_signs(quality)
    assert signs == {"folded_voxels": 7, "inverse_error_mean": 0.04, "inverse_error_p99": 0.2, "jacobian_max": 3.0}
    assert signs.keys() <= LIMITS.keys()
