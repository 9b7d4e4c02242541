"""Pairs that do not fit: registered on a coarser grid, warped on the full one, with fields that other tools read."""

from __future__ import annotations

from dataclasses import replace

import ants
import numpy as np
import pytest
import SimpleITK

from made_registrations import NO_STAGES, QUICK
from synthetic import ellipsoid, pair_with_known_map
from warpline import ImagePair
from warpline.backends import select
from warpline.backends.numpy_backend import NumpyBackend
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.registration import memory_plan, plan_memory, read, register
from warpline.registration.memory_plan import plan_of
from warpline.registration.reduced_inputs import reduce_inputs
from warpline.space import Displacement, fields
from warpline.space.dense import displacement_on
from warpline.space.grid import Grid

RECIPE = QUICK.with_options("syn.factors=none", "syn.iterations=[60,40,10]", "linear.iterations=[20]")
TIGHT = {(64, 64, 64): 0.515, (96, 80, 1): 0.5009}
"""GB into which the pair fits when two voxels along each axis become one, and not as it is."""


def made_pair(shape, dtype=np.uint8):
    fixed, moving, _ = pair_with_known_map(shape, seed=2, largest=3.0)
    inside = ellipsoid(shape, 0.4)
    affine = np.diag([-1.5, 1.5, 1.5, 1.0])
    return tuple(
        Image(np.where(inside, 100 * volume + 50, 0).astype(dtype), Grid(shape, affine, shape[2] == 1), name)
        for volume, name in ((fixed, "fixed"), (moving, "moving"))
    )


@pytest.fixture(scope="module", params=list(TIGHT), ids=["3-D", "2-D"])
def both(request):
    """A pair, registered as it is and reduced."""
    images = made_pair(request.param)
    return images, register(*images, RECIPE), register(*images, RECIPE, memory=TIGHT[request.param])


def test_the_map_agrees_within_a_voxel_with_the_full_one(both):
    (fixed, _), whole, reduced = both
    assert reduced.alignment.warp.grid.shape == tuple(max(n // 2, 1) for n in fixed.grid.shape)
    inside = fixed.grid.affine[:3, :3] @ np.argwhere(fixed.data).T + fixed.grid.affine[:3, 3:]
    for name in ("transform", "inverse"):
        moved = [getattr(result, name).map_points(inside.T) for result in (whole, reduced)]
        apart = np.linalg.norm(moved[1] - moved[0], axis=1) / 1.5
        assert np.linalg.norm(moved[0] - inside.T, axis=1).mean() / 1.5 > 0.5
        assert apart.mean() < 0.4 and apart.max() < 1


def test_the_map_is_invertible_on_the_full_grid_too(both):
    (fixed, _), _, reduced = both
    warp, quality = reduced.alignment.warp, reduced.report["quality"]
    assert quality["folded_voxels"] == 0 and warp.inverse_field is not None
    fine = Displacement(displacement_on(warp, fixed.grid), fixed.grid)
    least = select("numpy").least_jacobian(fields.to_voxels(fine.field, fixed.grid))
    assert least.min() > 0


def test_images_have_their_full_grid_and_type(both):
    (fixed, moving), whole, reduced = both
    for image, like, full in (
        (reduced.warped, fixed, whole.warped),
        (reduced.inverse_warped, moving, whole.inverse_warped),
    ):
        assert image.data.dtype == np.uint8 and image.grid == like.grid
        assert np.corrcoef(image.data.ravel(), full.data.ravel())[0, 1] > 0.99


def test_it_says_where_it_ended_and_why(both):
    _, whole, reduced = both
    plan = reduced.report["memory"]
    assert [line for line in reduced.report["warnings"] if line.startswith("images were registered at 3 mm")]
    assert [level["shape"] for level in plan["left_out"]] == [list(whole.warped.data.shape)]
    ended = [level["shape"] for level in reduced.report["levels"] if level["stage"] == "syn"]
    assert ended[-1] == plan["levels"][-1]["shape"]
    assert not whole.report["memory"]["left_out"]


def test_itk_and_ants_read_the_files_as_we_do(both, tmp_path):
    (_, moving), _, reduced = both
    write_image(moving, tmp_path / "moving.nii.gz")
    files = {name: str(path) for name, path in reduced.save(f"{tmp_path}/a_").items()}
    dimension = 2 if moving.grid.flat else 3
    theirs = SimpleITK.ReadImage(files["warp"])
    assert theirs.GetSize() == reduced.alignment.warp.grid.shape[:dimension]
    assert theirs.GetNumberOfComponentsPerPixel() == dimension
    ours = read_image(files["warped"])
    warped = ants.apply_transforms(
        ants.image_read(files["warped"], pixeltype="float"),
        ants.image_read(str(tmp_path / "moving.nii.gz"), pixeltype="float"),
        [files["warp"], files["affine"]],
        whichtoinvert=[False, False],
    ).numpy()
    assert ours.data.dtype == np.uint8
    np.testing.assert_allclose(warped.reshape(ours.data.shape), ours.data, atol=0.6)


def test_what_fits_is_the_same_to_the_last_bit():
    images = made_pair((24, 24, 24), np.float32)
    free, asked = register(*images, QUICK), register(*images, QUICK, memory=4)
    np.testing.assert_array_equal(free.warped.data, asked.warped.data)
    np.testing.assert_array_equal(free.alignment.warp.field, asked.alignment.warp.field)
    assert asked.warped.data.dtype == np.float32 and asked.alignment.fixed is images[0]


def test_masks_pairs_and_labels_are_reduced_with_the_images():
    fixed, moving = made_pair((32, 32, 32))
    masks = [replace(image, data=(image.data > 0).astype(np.uint8)) for image in (fixed, moving)]
    pairs = [ImagePair(fixed, moving, metric="labels"), ImagePair(fixed, moving, fixed_mask=masks[0])]
    inputs = read(fixed, moving, RECIPE, *masks, pairs=pairs)
    plan = plan_of(inputs.images, inputs.pairs, inputs.recipe, 0.505)
    reduced = reduce_inputs(inputs, plan)
    assert {image.grid.shape for image in reduced.images.values()} == {(16, 16, 16)}
    labels, grey = reduced.pairs
    assert labels.fixed.data.dtype == np.uint8 and set(np.unique(labels.fixed.data)) <= set(np.unique(fixed.data))
    assert grey.fixed_mask.grid == grey.fixed.grid and grey.moving_mask is None
    assert np.abs(reduced.images["fixed_mask"].data.mean() - masks[0].data.mean()) < 0.02


def test_further_pairs_and_masks_register_when_reduced():
    fixed, moving = made_pair((32, 32, 32))
    mask = replace(fixed, data=(fixed.data > 0).astype(np.uint8))
    pairs = [ImagePair(fixed, moving, metric="labels")]
    result = register(fixed, moving, RECIPE, mask, pairs=pairs, memory=0.505)
    assert result.report["memory"]["blocks"] == [[2, 2, 2], [2, 2, 2]]
    assert result.report["quality"]["folded_voxels"] == 0 and len(result.report["terms"]) == 2


def test_a_linear_recipe_is_reduced_too():
    fixed, moving = made_pair((64, 64, 64))
    recipe = RECIPE.with_options("syn=none")
    assert plan_memory(fixed.grid, moving.grid, recipe, image_bytes=2 * 64**3, memory=0.515).is_reduced
    result = register(fixed, moving, recipe, memory=0.515)
    assert result.alignment.warp is None and result.warped.data.dtype == np.uint8
    assert result.warped.grid == fixed.grid


def test_what_is_free_is_the_limit_but_on_a_gpu(monkeypatch):
    images, plans = made_pair((64, 64, 64)), []
    monkeypatch.setattr(memory_plan, "free_memory", lambda: 15_000_000)
    monkeypatch.setattr(memory_plan, "NEGLIGIBLE", 0)
    reduced = register(*images, NO_STAGES, on_plan=plans.append)
    assert plans[0].is_reduced and not plans[0].asked
    assert "more does not fit the 0.516 GB that are free" in reduced.report["warnings"][0]
    monkeypatch.setattr(NumpyBackend, "on_host", False)
    whole = register(*images, NO_STAGES, on_plan=plans.append, backend="numpy")
    assert len(plans) == 1 and whole.report["memory"] is None
    assert whole.alignment.fixed is images[0]
