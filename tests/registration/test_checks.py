"""Every image that cannot be registered is refused with its name, what came and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.metrics import DEFORMABLE_METRICS
from warpline.recipe import PRESETS, Recipe
from warpline.registration.checks import check_pair, check_window
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid

SYN = Recipe.load("syn")
SHAPE = (8, 9, 10)


def image(name="image.nii", shape=SHAPE, offset=(0, 0, 0), dtype="float32"):
    affine = np.eye(4)
    affine[:3, 3] = offset
    data = np.random.default_rng(0).normal(size=shape) * 50
    return Image(data.astype(dtype), Grid(shape[:3], affine), name)


def with_voxel(value, at=(1, 2, 3), **options):
    made = image(**options)
    made.data[at] = value
    return made


def constant(value=3.0, **options):
    made = image(**options)
    made.data[...] = value
    return made


def mask(marked=True, **options):
    made = constant(0, dtype="uint8", **options)
    if marked:
        made.data[2:6, 2:6, 2:6] = 1
    return made


def test_a_metric_that_another_process_entered_is_named(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(DEFORMABLE_METRICS, "own", DEFORMABLE_METRICS["mean_squares"])
        recipe = Recipe.load("syn").with_options("syn.metric=own")
        check_window(image(), recipe)
    with pytest.raises(UsageError, match=r"metric 'own' is unknown to this process, .* run cohorts with workers=0"):
        check_window(image(), recipe)


def test_good_pairs_pass():
    check_pair(image(), image(dtype="int16"), SYN, fixed_mask=mask(), moving_mask=mask())
    check_pair(image(shape=(8, 9, 1)), image(shape=(9, 8, 1)), SYN)
    check_pair(image(shape=(5, 5, 5)), image(shape=(5, 5, 5), offset=(4.5, 0, 0)), SYN)
    check_pair(image(shape=(3, 9, 9)), image(), Recipe.load("affine"))
    check_pair(image(shape=(3, 9, 9)), image(), SYN.with_options("syn.metric=mean_squares"))


BAD = {
    "series": (image("f.nii", (8, 9, 10, 4)), r"f\.nii is 4-D"),
    "NaN": (with_voxel(np.nan, name="f.nii"), r"f\.nii has 1 NaN"),
    "constant": (constant(name="f.nii"), r"f\.nii is constant"),
    "small": (image("f.nii", (8, 4, 10)), r"f\.nii has 4 voxels along axis 1, .* radius 2 needs at least 5"),
}


@pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD)
def test_a_bad_image_is_refused_on_either_side(bad, message):
    for pair in ((bad, image()), (image(), bad)):
        with pytest.raises(InputError, match=message):
            check_pair(*pair, SYN)


@pytest.mark.parametrize("side", ["fixed_mask", "moving_mask"])
def test_a_bad_mask_is_refused_on_either_side(side):
    with pytest.raises(InputError, match=r"m\.nii is 0 everywhere"):
        check_pair(image(), image(), SYN, **{side: mask(name="m.nii", marked=False)})


def test_contrast_is_needed_inside_the_mask():
    flat = with_voxel(7.0, (slice(2, 6),) * 3, name="f.nii")
    with pytest.raises(InputError, match=r"f\.nii is constant: 7\.0 everywhere inside m\.nii"):
        check_pair(flat, image(), SYN, fixed_mask=mask(name="m.nii"))


@pytest.mark.parametrize(
    ("offset", "direction", "letter"),
    [((60, 0, 0), "left-right", "x"), ((0, -60, 0), "posterior-anterior", "y"), ((9, 0, 60), "inferior-superior", "z")],
)
def test_grids_apart_in_world_space_are_refused(offset, direction, letter):
    gap = 60 - SHAPE["xyz".index(letter)]
    with pytest.raises(InputError, match=rf"along {direction} .* {gap}\.0 mm apart; .*\(srow_{letter}, qoffset_"):
        check_pair(image("f.nii"), image("m.nii", offset=offset), SYN.with_options("initialise.method=identity"))
    check_pair(image("f.nii"), image("m.nii", offset=offset), SYN)  # its start joins the centres


def of_size(factor, shape=SHAPE, name="image.nii"):
    return Image(image(shape=shape).data, Grid(shape, np.diag([factor, factor, factor, 1.0])), name)


@pytest.mark.parametrize("shape", [SHAPE, (9, 10, 1)])
def test_sizes_that_no_map_joins_are_refused(shape):
    large, small = of_size(2e5, shape), of_size(1.0, shape, "small.nii")
    with pytest.raises(InputError, match=r"image.nii spans 2e\+06 mm .* small.nii 10 mm, 2e\+05 .* check-header"):
        check_pair(large, small, Recipe.load("rigid"))
    with pytest.raises(InputError, match=r"small.nii spans 10 mm"):
        check_pair(small, large, Recipe.load("rigid"))
    check_pair(small, large, Recipe.load("rigid"), initial=Affine.identity())
    with pytest.raises(InputError, match="constant"):
        check_pair(of_size(1.0, (1, 1, 1)), small, Recipe.load("rigid"))
    check_pair(of_size(2e4, shape), small, Recipe.load("rigid"))


def test_initial_transform_can_bring_grids_together():
    start = np.eye(4)
    start[0, 3] = 60
    check_pair(image(), image(offset=(60, 0, 0)), SYN, initial=Affine(start))
    with pytest.raises(InputError, match="do not overlap"):
        check_pair(image(), image(), SYN, initial=Affine(start))


def test_squared_differences_need_three_voxels():
    recipe = PRESETS["syn"].with_options("syn.metric=mean_squares")
    thin = image("thin.nii", (2, 12, 12))
    with pytest.raises(InputError, match=r"thin\.nii has 2 voxels along axis 0, .* mean_squares .* needs at least 3"):
        check_pair(thin, thin, recipe)
    check_pair(image(shape=(3, 12, 12)), image(shape=(3, 12, 12)), recipe)


@pytest.mark.parametrize("flat_first", [True, False])
def test_a_slice_beside_a_volume_is_refused(flat_first):
    flat = Image.from_array(np.random.default_rng(0).normal(size=SHAPE[:2]), np.eye(3), "flat.nii")
    pair = (flat, image()) if flat_first else (image(), flat)
    with pytest.raises(
        InputError, match=r"flat\.nii is 2-D and image\.nii a volume, shape \(8, 9, 10\); .*take the slice"
    ):
        check_pair(*pair, SYN)


@pytest.mark.parametrize("settings", [["budget.max_bending=0.1"], ["syn.directions=j"]])
def test_limits_of_the_deformation_refuse_a_start_with_a_warp(settings):
    start = Displacement(np.zeros((3, *SHAPE), np.float32), image().grid)
    with pytest.raises(UsageError, match="the start holds a warp: leave one"):
        check_pair(image(), image(), SYN.with_options(*settings), initial=start)
    check_pair(image(), image(), SYN.with_options(*settings), initial=Affine.identity())


def test_a_warp_that_leads_away_is_refused():
    away = np.full((3, *SHAPE), 200, np.float32)
    with pytest.raises(InputError, match="do not overlap"):
        check_pair(image(), image(), SYN, initial=Displacement(away, image().grid))
