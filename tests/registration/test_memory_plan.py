"""Plans of memory: what fits, what is left out, and what a recipe becomes on a coarser grid."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pytest

from made_registrations import QUICK
from synthetic import smooth_volume
from warpline import ImagePair
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.json_values import plain
from warpline.recipe import Recipe
from warpline.registration import memory_plan, plan_memory, register
from warpline.registration.memory_plan import block_of, least_axis, recipe_on
from warpline.space.grid import Grid

SYN = Recipe.load("syn")
MICRON = np.diag([1e-3, 1e-3, 1e-3, 1.0])


def planned(shape, recipe=SYN, affine=MICRON, bytes_each=1, **options):
    grid = Grid(shape, affine, shape[2] == 1)
    return plan_memory(grid, grid, recipe, image_bytes=2 * bytes_each * math.prod(shape), **options)


@pytest.mark.parametrize("shape", [(1000, 1000, 500), (20000, 20000, 1)])
def test_microscopy_fits_24_gb_at_half_its_resolution(shape):
    plan = planned(shape, memory=24)
    two = (2, 2, 2 if shape[2] > 1 else 1)
    assert plan.blocks == (two, two) and plan.predicted < 24e9
    assert [level.shape for level in plan.left_out] == [shape]
    assert plan.left_out[0].bytes > 24e9
    assert plan.levels[-1].shape == (shape[0] // 2, shape[1] // 2, max(shape[2] // 2, 1))


def test_what_fits_is_left_as_it_is():
    plan = planned((200, 200, 200), memory=4)
    assert not plan.is_reduced and plan.left_out == () and plan.warnings() == ()
    assert plan.levels[-1].shape == (200, 200, 200)


def test_the_smallest_blocks_that_fit_are_taken():
    before = planned((400, 400, 400), memory=100)
    for memory in (4, 1.5, 1.2):
        plan = planned((400, 400, 400), memory=memory)
        size = plan.blocks[0][0]
        assert size > before.blocks[0][0] and plan.predicted <= memory * 1e9
        assert f"blocks of {size} x {size} x {size} voxels" in plan.warnings()[0]
        before = plan


def test_thick_slices_are_averaged_in_plane_first():
    plan = planned((600, 600, 60), affine=np.diag([0.5, 0.5, 2.0, 1.0]), memory=1.5)
    assert plan.blocks[0][0] == plan.blocks[0][1] > 1
    assert plan.blocks[0][2] == max(1, int(plan.blocks[0][0] / 4 + 0.5))


@pytest.mark.parametrize(
    "options",
    [("syn.metric=self_similarity",), ("syn.robust=true",), ("syn.metric=class_means",), ("uncertainty.runs=2",)],
)
def test_what_a_recipe_needs_beside_is_counted(options):
    plain_plan, plan = (planned((200,) * 3, recipe, memory=9) for recipe in (SYN, SYN.with_options(*options)))
    assert plan.registering > plain_plan.registering


def test_perturbed_runs_count_the_pairs_that_get_noise():
    def added(*pairs):
        without, perturbed = (
            planned((200,) * 3, SYN.with_options(f"uncertainty.runs={runs}"), memory=30, pairs=pairs)
            for runs in ("off", "2")
        )
        return perturbed.registering - without.registering

    assert added("labels") == added() < added("local_cc") < added("local_cc", "local_cc")


def test_metrics_that_may_be_added_are_left_out_for_room():
    roomy, tight = (planned((400, 400, 400), memory=memory) for memory in (40, 13))
    assert roomy.leaves_room and not tight.leaves_room and not tight.is_reduced
    assert roomy.within(SYN) == SYN and tight.within(SYN).syn.beside == ()
    asked = Recipe.load("syn-contrast")
    assert tight.within(asked) == asked


def test_linear_recipes_have_no_levels_and_need_less():
    plan = planned((400, 400, 400), Recipe.load("affine"), memory=6)
    assert plan.levels == () and not plan.is_reduced
    assert planned((400, 400, 400), memory=6).blocks[0] == (2, 2, 2)


def test_free_memory_is_the_limit_where_none_is_asked_for(monkeypatch):
    monkeypatch.setattr(memory_plan, "free_memory", lambda: 2_000_000_000)
    plan = planned((400, 400, 400))
    assert plan.is_reduced and not plan.asked and "that are free" in plan.warnings()[0]


def test_small_images_do_not_depend_on_the_machine(monkeypatch):
    monkeypatch.setattr(memory_plan, "free_memory", lambda: 1000)
    plan = planned((100, 100, 100))
    assert not plan.is_reduced and plan.leaves_room


@pytest.mark.parametrize("memory", [0, -1, math.inf, math.nan])
def test_a_limit_that_is_none_is_refused(memory):
    with pytest.raises(UsageError, match=r"memory is .*; a number of GB above 0 is needed"):
        planned((20, 20, 20), memory=memory)


def test_too_little_memory_is_refused_with_what_is_needed():
    with pytest.raises(UsageError, match=r"0\.10 GB asked for, and these images need 0\.5\d GB on the coarsest grid"):
        planned((64, 64, 64), memory=0.1)


@pytest.mark.parametrize(
    ("shape", "options", "metrics"),
    [
        ((64, 64, 64), (), ()),
        ((520, 500, 1), (), ()),
        ((48, 48, 48), ("budget.max_strain=0.3",), ()),
        ((64, 64, 64), ("uncertainty.runs=2",), ()),
        ((48, 48, 48), (), ("self_similarity",)),
    ],
)
def test_a_registration_takes_what_is_planned(shape, options, metrics):
    recipe = QUICK.with_options("syn.factors=none", "syn.iterations=[1,1,5]", *options)
    fixed, moving = (Image.from_array(smooth_volume(shape, seed)) for seed in (1, 2))
    plan = plan_memory(fixed.grid, moving.grid, recipe, image_bytes=0, memory=9, pairs=metrics)
    pairs = [ImagePair(fixed, moving, metric=metric) for metric in metrics]
    register(fixed, moving, recipe, backend="numba", threads=1, pairs=pairs)  # compiles
    tracemalloc.start()
    register(fixed, moving, recipe, backend="numba", threads=1, pairs=pairs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.7 < peak / (plan.predicted - memory_plan.PROGRAM) < 1.1


def test_what_a_plan_leaves_is_room_for_parts():
    tight, wide = planned((1000, 1000, 500), memory=13), planned((1000, 1000, 500), memory=23)
    assert wide.blocks == tight.blocks and wide.room - tight.room == 10e9
    assert tight.room == tight.limit - tight.writing + 2 * tight.images
    assert planned((300, 300, 200), memory=40).room > memory_plan.LEAST_ROOM


def test_a_plan_is_json():
    plan = planned((400, 400, 400), memory=3)
    record = json.loads(json.dumps(plain(plan.as_report())))
    assert record["predicted"] == plan.predicted and record["levels"][-1]["shape"] == list(plan.levels[-1].shape)


def test_blocks_leave_enough_voxels_along_every_axis():
    grid = Grid((64, 20, 1), np.eye(4))
    assert block_of(grid, 4.0, 8) == (4, 2, 1)
    assert least_axis(SYN.with_options("syn.radius=8")) == 17
    assert least_axis(Recipe.load("rigid")) == 8


@pytest.mark.parametrize(
    ("ratio", "factors", "iterations"),
    [(2, (4, 2, 1), (9, 8, 7)), (3, (8 / 3, 4 / 3), (9, 8)), (16, (1,), (6,))],
)
def test_factors_of_a_recipe_count_in_voxels_of_the_image(ratio, factors, iterations):
    recipe = SYN.with_options("syn.factors=[8,4,2,1]", "syn.iterations=[9,8,7,6]", "syn.sigmas=[4,2,1,0]")
    syn = recipe_on(recipe, ratio).syn
    assert syn.iterations == iterations
    np.testing.assert_allclose(syn.factors, factors)
    np.testing.assert_allclose(syn.sigmas, [{9: 4, 8: 2, 7: 1, 6: 0}[count] / ratio for count in iterations])
    assert recipe_on(SYN, ratio) is SYN
