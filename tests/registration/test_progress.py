"""What a caller is shown of a run, iteration by iteration and level by level."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import ellipsoid, pair_with_known_map
from warpline.backends import select
from warpline.images import Image
from warpline.recipe import Recipe
from warpline.registration import align

RECIPE = Recipe.load("syn").with_options(
    "initialise.rotations=false",
    "linear.stages=['rigid', 'affine']",
    "linear.voxel_sizes=[2.0, 1.0]",
    "linear.iterations=[4, 3]",
    "syn.factors=[2, 1]",
    "syn.iterations=[10, 5]",
    "syn.early_stop=none",
)
SHAPE = (36, 32, 1)


@pytest.fixture(scope="module")
def observed():
    """Progress, shapes of its images, and the levels of one alignment of slices."""
    fixed, moving, _ = pair_with_known_map(SHAPE, seed=2)
    inside = ellipsoid(SHAPE, 0.4)
    images = (Image.from_array(np.where(inside, one + 0.5, 0)[:, :, 0].astype(np.float32)) for one in (fixed, moving))
    steps, shapes = [], []

    def watch(progress):
        steps.append(progress)
        shapes.append(None if progress.images is None else [volume.shape for volume in progress.images()])

    result = align(*images, RECIPE, backend=select("numpy"), progress=watch)
    return steps, shapes, result.levels


def of_stage(stage, observed):
    return [step for step in observed[0] if step.stage == stage]


def test_energies_of_progress_are_those_of_the_records(observed):
    steps, _, levels = observed
    expected = [(level.stage, level.level, energy) for level in levels for energy in level.energies]
    assert [(step.stage, step.level, step.energy) for step in steps] == expected


def test_levels_count_from_zero_among_all_of_the_stage(observed):
    assert {(step.level, step.levels) for step in of_stage("syn", observed)} == {(0, 2), (1, 2)}
    linear = of_stage("rigid", observed) + of_stage("affine", observed)
    assert {step.level for step in linear} >= {0, 1}
    assert all(step.level < step.levels for step in linear)


def test_linear_stages_report_every_iteration(observed):
    coarse = [step for step in of_stage("rigid", observed) if step.level == 0]
    assert [step.iteration for step in coarse] == list(range(len(coarse)))
    assert {step.iterations for step in coarse} == {4}


def test_syn_reports_the_last_of_every_five_iterations(observed):
    steps = [(step.level, step.iteration, step.iterations) for step in of_stage("syn", observed)]
    assert steps == [(0, 4, 10), (0, 9, 10), (1, 4, 5)]


def test_only_syn_has_images_of_the_shape_of_the_level(observed):
    steps, shapes, levels = observed
    shape_of = {(level.stage, level.level): level.shape for level in levels}
    for step, shape in zip(steps, shapes, strict=True):
        expected = [shape_of["syn", step.level]] * 2 if step.stage == "syn" else None
        assert shape == expected


def test_records_state_the_iterations_behind_their_result(observed):
    for level in observed[2]:
        assert level.kept is None if level.stage != "syn" else 0 <= level.kept <= level.iterations
        assert level.seconds > 0
