"""Linear registration: known motions are recovered, whatever the grids, contrasts, masks and backends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from made_heads import error, lattice, scan, world_of
from warpline.backends import select
from warpline.errors import InputError
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.phantom import brain_pair
from warpline.recipe import Linear
from warpline.registration import linear
from warpline.resampling import warp
from warpline.space import Affine
from warpline.space.grid import Grid

QUICK = {"voxel_sizes": (8.0, 4.0), "iterations": (40, 30), "samples": 8000, "refinements": 3}
OBLIQUE = Rotation.from_rotvec([0.2, -0.1, 0.3]).as_matrix()


@pytest.fixture(scope="module")
def fast():
    return select(None, threads=1)


def register_linear(fixed, moving, start, options, *, backend, fixed_mask=None, moving_mask=None, **more):
    """Of images, which are normalised first."""
    still, moved = normalise(fixed, backend, fixed_mask), normalise(moving, backend, moving_mask)
    return linear.register_linear(still, moved, start, options, backend=backend, **more)


def motion(turn=(0.12, -0.08, 0.1), shift=(6.0, -5.0, 4.0), stretch=None):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ (np.eye(3) if stretch is None else stretch)
    matrix[:3, 3] = shift
    return matrix


def register(backend, truth, contrast=lambda v: v, **options):
    fixed = scan(lattice())
    moving = scan(lattice(OBLIQUE @ np.diag([-1, 1, 1]), size=3.3), np.linalg.inv(truth), contrast)
    found = register_linear(fixed, moving, Affine.identity(), Linear(**{**QUICK, **options}), backend=backend)
    return error(found.affine, truth)


SHEAR = np.array([[1.08, 0.05, 0.0], [0.0, 0.93, -0.04], [0.03, 0.0, 1.05]])


def test_only_the_free_parameters_change(backend):
    truth = motion(turn=(0, 0, 0.15), shift=(0, 0, 0))
    truth[0, 3] = 7
    fixed, moving = scan(lattice()), scan(lattice(), np.linalg.inv(truth))
    options = Linear(**{**QUICK, "stages": ("tx", "tx,tz,rz")})
    found = register_linear(fixed, moving, Affine.identity(), options, backend=backend)
    assert error(found.affine, truth) < 1.0 < error(Affine.identity(), truth)
    np.testing.assert_allclose(found.affine.matrix[2, :3], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(np.linalg.svd(found.affine.matrix[:3, :3])[1], 1, atol=1e-12)
    assert {level.stage for level in found.levels} == {"tx", "tx,tz,rz"}


@pytest.mark.parametrize("metric", ["mutual_information", "correlation"])
def test_an_affine_motion_is_recovered_on_every_backend(metric, backend):
    assert error(Affine.identity(), motion(stretch=SHEAR)) > 9
    assert register(backend, motion(stretch=SHEAR), metric=metric) < 0.4


@pytest.mark.parametrize(("stage", "truth"), [
    ("translation", motion(turn=(0, 0, 0))),
    ("rigid", motion()),
    ("similarity", motion(stretch=1.1 * np.eye(3))),
])  # fmt: skip
def test_each_stage_recovers_its_own_motion(stage, truth, fast):
    assert register(fast, truth, stages=(stage,)) < 0.4


def test_the_metric_alone_reaches_the_motion(fast):
    assert register(fast, motion(stretch=SHEAR), refinements=0) < 0.7


def dark(values):
    return np.where(values > 0, 180 - values, 0)


def steep(values):
    return values**2 / 50


@pytest.mark.parametrize("contrast", [dark, steep])
def test_other_contrasts_match_too(contrast, fast):
    assert register(fast, motion(), contrast, stages=("rigid",)) < 0.5


def test_a_rigid_stage_stays_rigid(fast):
    fixed, moving = scan(lattice()), scan(lattice(), np.linalg.inv(motion(stretch=SHEAR)))
    found = register_linear(fixed, moving, Affine.identity(), Linear(**{**QUICK, "stages": ("rigid",)}), backend=fast)
    np.testing.assert_allclose(found.affine.matrix[:3, :3] @ found.affine.matrix[:3, :3].T, np.eye(3), atol=1e-12)


def test_repeats_are_bitwise_equal_for_any_number_of_threads():
    grid = lattice(size=2.0, shape=(60, 72, 50))  # enough points for the kernels to share them out
    fixed, moving = scan(grid), scan(grid, np.linalg.inv(motion()))
    options = Linear(voxel_sizes=(8.0, 1.0), iterations=(20, 5), samples=100_000)
    one, two, again = (
        register_linear(fixed, moving, Affine.identity(), options, backend=select(None, threads=n)).affine.matrix
        for n in (1, 2, 2)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(two, again)


def test_masks_hide_what_disagrees(fast):
    truth = motion(turn=(0.05, 0, 0.05), shift=(3, -4, 2))
    fixed, moving = scan(lattice()), scan(lattice(), np.linalg.inv(truth))
    bad = world_of(moving.grid)[..., 0] > 15
    spoilt = moving.data.copy()
    spoilt[bad] = 3 * fixed.data[bad]  # that half stays where it was
    spoilt_moving = Image(spoilt, moving.grid, "moving")
    mask = Image((~bad).astype(np.uint8), moving.grid, "moving mask")
    fixed_mask = Image((world_of(fixed.grid)[..., 0] < 10).astype(np.uint8), fixed.grid, "fixed mask")
    options = Linear(**{**QUICK, "stages": ("rigid",)})
    start = Affine.identity()
    plain = register_linear(fixed, spoilt_moving, start, options, backend=fast)
    masked = register_linear(fixed, spoilt_moving, start, options, backend=fast, moving_mask=mask)
    on_fixed = register_linear(fixed, spoilt_moving, start, options, backend=fast, fixed_mask=fixed_mask)
    assert error(masked.affine, truth) < 0.5
    assert error(on_fixed.affine, truth) < 0.5
    assert error(plain.affine, truth) > 1.0


def test_slices_move_within_their_plane(fast):
    turn = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # a sagittal slice, indices along A and S
    shape, size = (60, 60, 1), 2.5
    affine = np.eye(4)
    affine[:3, :3] = turn * size
    affine[:3, 3] = -affine[:3, :3] @ [29.5, 29.5, 0]
    grid = Grid(shape, affine)
    truth = motion(turn=(0.15, 0, 0), shift=(0, 6, -4), stretch=np.diag([1, 1.06, 0.97]))
    moving = scan(grid, np.linalg.inv(truth))
    found = register_linear(scan(grid), moving, Affine.identity(), Linear(**QUICK), backend=fast)
    points = world_of(grid)[20:40, 20:40, 0]
    gap = found.affine.map_points(points) - Affine(truth).map_points(points)
    assert np.linalg.norm(gap, axis=-1).mean() < 0.5
    np.testing.assert_allclose(found.affine.map_points(points)[..., 0], points[..., 0], atol=1e-9)


def test_progress_and_records_agree(fast):
    steps = []
    fixed, moving = scan(lattice()), scan(lattice(), np.linalg.inv(motion()))
    options = Linear(**QUICK)
    found = register_linear(fixed, moving, Affine.identity(), options, backend=fast, progress=steps.append)
    ran = [(r.stage, r.level) for r in found.levels]
    assert ran[:4] == [("rigid", 0), ("affine", 0), ("affine", 1), ("affine", 2)]
    assert ran[4:] == [("affine", level) for level in range(3, 3 + len(ran[4:]))]
    assert all(step.levels == 5 for step in steps)
    assert [step.energy for step in steps] == [energy for record in found.levels for energy in record.energies]
    assert all(record.iterations == len(record.energies) for record in found.levels)


def test_like_and_unlike_contrasts_are_refined(fast):
    def levels(contrast):
        fixed, moving = scan(lattice()), scan(lattice(), np.linalg.inv(motion(stretch=SHEAR)), contrast)
        return register_linear(fixed, moving, Affine.identity(), Linear(**QUICK), backend=fast).levels[-1].level

    assert levels(lambda v: 2 * v) > 1 < levels(dark)


def test_an_inverted_contrast_is_refined_as_a_like_one(fast):
    """Through a curve: it ends as near to the landmarks of a made brain, where mutual information alone does not."""
    pair = brain_pair((40, 48, 40), voxel_size=4.8)
    turned = np.where(pair.moving.data > 0, 1.2 * pair.moving.data.max() - pair.moving.data, 0)
    inverted, start = replace(pair.moving, data=turned.astype(np.float32)), pair.transform.parts[1]
    missed = {}
    for name, moving, rounds in (("alike", pair.moving, 5), ("inverted", inverted, 5), ("by metric", inverted, 0)):
        found = register_linear(pair.fixed, moving, start, Linear(refinements=rounds), backend=fast)
        carried = found.affine.map_points(pair.fixed_points)
        missed[name] = np.linalg.norm(carried - pair.moving_points, axis=1).mean()
        assert (found.levels[-1].level > 2) == (rounds > 0)
    assert missed["inverted"] < missed["alike"] + 0.1 and missed["inverted"] < missed["by metric"] - 0.2


def test_images_that_do_not_overlap_are_named(fast):
    far = np.eye(4)
    far[0, 3] = 1000.0
    one, two = scan(lattice(), name="one"), scan(lattice(), name="two")
    with pytest.raises(InputError, match=r"one and two: only 0\.0% of the fixed image"):
        register_linear(one, two, Affine(far), Linear(**QUICK), backend=fast)


def test_an_empty_mask_is_named(fast):
    image = scan(lattice())
    mask = Image(np.zeros(image.grid.shape, np.uint8), image.grid, "brain mask")
    with pytest.raises(InputError, match="brain mask has no voxel"):
        register_linear(image, image, Affine.identity(), Linear(**QUICK), backend=fast, fixed_mask=mask)


def blob(radii, centre, blur=0.0):
    where = (np.indices((36, 36, 36)) - np.array(centre)[:, None, None, None]) / np.array(radii)[:, None, None, None]
    squares = np.square(where).sum(axis=0)
    return gaussian_filter(100.0 * (squares < 1), blur) if blur else 100 * np.exp(-squares)


SMOOTH = {
    "ball": (blob((9, 9, 9), (18, 18, 18), 2), blob((7, 10, 11), (20, 17, 19), 2)),
    "much blurred ball": (blob((9, 9, 9), (18, 18, 18), 4), blob((7, 10, 11), (20, 17, 19), 4)),
    "Gaussian": (blob((8, 9, 7), (17, 18, 18)), blob((8, 9, 7), (19, 18, 18))),
    "two Gaussians": tuple(
        blob((10, 12, 11), c) + 0.5 * blob((5, 5, 5), np.array(c) - 5) for c in ((17, 18, 17), (19,) * 3)
    ),
}


@pytest.mark.parametrize("case", SMOOTH)
def test_smooth_images_do_not_shrink(case, fast):
    """Their level sets fit at any size, and without structure local correlation grows towards a point."""
    fixed, moving = (Image.from_array(data.astype(np.float32)) for data in SMOOTH[case])
    start = Affine.identity()
    found = register_linear(fixed, moving, start, Linear(), backend=fast).affine
    lengths = np.linalg.svd(found.matrix[:3, :3], compute_uv=False)
    assert 0.6 < lengths[-1] <= lengths[0] < 1.5
    before, after = (np.corrcoef(fixed.data.ravel(), warp(moving, a, fixed.grid, backend=fast).data.ravel())[0, 1]
                     for a in (start, found))  # fmt: skip
    assert after > max(before, 0.95)


def test_a_metric_that_fails_is_replaced_aloud(fast):
    fixed, moving = (Image.from_array(data.astype(np.float32)) for data in SMOOTH["Gaussian"])
    (said,) = register_linear(fixed, moving, Affine.identity(), Linear(), backend=fast).warnings
    assert "less alike than they were at the start" in said


CONTRASTS = {"alike": lambda v: v, "inverted": lambda v: 300 - v, "uncorrelated": lambda v: (v > 0) * (100 - v)}


@pytest.mark.parametrize("contrast", CONTRASTS.values(), ids=CONTRASTS)
def test_a_pair_with_structure_is_not_started_again(contrast, fast):
    fixed = scan(lattice())
    moving = scan(lattice(OBLIQUE, size=3.3), np.linalg.inv(motion(stretch=SHEAR)), contrast)
    found = register_linear(fixed, moving, Affine.identity(), Linear(**QUICK), backend=fast)
    assert error(found.affine, motion(stretch=SHEAR)) < 0.5
    assert found.warnings == ()
