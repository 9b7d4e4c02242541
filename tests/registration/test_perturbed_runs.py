"""Whole registrations with perturbed runs: what their spread says, and that it costs the registration nothing."""

from __future__ import annotations

import numpy as np
import pytest

from made_registrations import everything_under
from synthetic import ellipsoid, smooth_field, smooth_volume
from warpline import ImagePair, Landmarks
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.recipe import Recipe
from warpline.registration import Job, register, run
from warpline.registration.judgement import LIMITS
from warpline.resampling import warp
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid

SHAPE = (64, 60, 1)
GRID = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]), True)
INSIDE = ellipsoid(SHAPE, 0.42)
FADED = np.indices(SHAPE)[0] >= SHAPE[0] / 2
RECIPE = Recipe.load("syn").with_options(
    "initialise.rotations=false",
    "linear.voxel_sizes=[6.0]",
    "linear.iterations=[10]",
    "syn.factors=[2, 1]",
    "syn.iterations=[15, 10]",
    "uncertainty.runs=3",
)
TRUTH = Displacement(2.0 * smooth_field(SHAPE, 5, largest=1.5, sigma=6.0), GRID)
HOW = {"backend": "numba", "threads": 1}


def image_of(contrast=1.0, seed=3):
    texture = smooth_volume(SHAPE, seed, sigma=1.2) - 0.5
    return np.where(INSIDE, 1 + contrast * texture, 0).astype(np.float32)


def noisy(data, seed, level=0.02):
    added = level * np.random.default_rng(seed).standard_normal(SHAPE)
    return Image((data + INSIDE * added).astype(np.float32), GRID, f"image {seed}")


def made_pair(contrast=1.0):
    """A fixed image that is the moving one, seen through a known displacement, both with noise."""
    from warpline.backends import select

    moving = Image(image_of(contrast), GRID)
    fixed = warp(moving, TRUTH, GRID, backend=select("numpy"))
    return noisy(fixed.data, 1), noisy(moving.data, 2)


@pytest.fixture(scope="module")
def pair():
    return made_pair()


@pytest.fixture(scope="module")
def found(pair):
    return register(*pair, RECIPE, **HOW)


def test_the_map_is_the_same_as_without(pair, found):
    plain = register(*pair, RECIPE.with_options("uncertainty.runs=off"), **HOW)
    assert plain.uncertainty is None and plain.report["uncertainty"] is None
    np.testing.assert_array_equal(plain.alignment.warp.field, found.alignment.warp.field)
    np.testing.assert_array_equal(plain.alignment.affine.matrix, found.alignment.affine.matrix)
    assert len(plain.report["levels"]) == len(found.report["levels"])


def test_it_repeats_bit_for_bit(pair, found):
    again = register(*pair, RECIPE, backend="numba", threads=2)
    np.testing.assert_array_equal(again.uncertainty.data, found.uncertainty.data)
    other = register(*pair, RECIPE.with_options("uncertainty.seed=1"), **HOW)
    assert not np.array_equal(other.uncertainty.data, found.uncertainty.data)


def test_each_source_of_doubt_spreads_the_runs(pair):
    for kept in ("noise", "start", "smoothness"):
        off = [f"uncertainty.{name}=0" for name in ("noise", "start", "smoothness") if name != kept]
        report = register(*pair, RECIPE.with_options("uncertainty.runs=2", *off), **HOW).report["uncertainty"]
        assert 0 < report["median"] <= report["p95"] <= report["largest"], kept
        assert (report["start"] > 0, report["noise"]["fixed"] > 0) == (kept == "start", kept == "noise")


def test_where_contrast_is_low_it_is_larger():
    found = register(*made_pair(np.where(FADED, 0.1, 1.0)), RECIPE.with_options("uncertainty.runs=6"), **HOW)
    spread = found.uncertainty.data
    assert np.median(spread[INSIDE & FADED]) > 1.5 * np.median(spread[INSIDE & ~FADED])


def test_the_report_and_the_file_have_it(found, tmp_path):
    report, spread = found.report["uncertainty"], found.uncertainty
    assert spread.grid == GRID and spread.data.dtype == np.float32
    assert report["runs"] == 3 and report["start"] == 2.0  # mm: a voxel
    assert report["noise"]["fixed"] == pytest.approx(0.02 / 1.4, rel=0.5)
    assert report["median"] == pytest.approx(float(np.median(spread.data[INSIDE])), rel=0.1)
    assert found.report["seconds"]["uncertainty"] > 0
    file = found.save(f"{tmp_path}/a_")["uncertainty"]
    assert file.name == "a_Uncertainty.nii.gz"
    np.testing.assert_array_equal(read_image(file).data, spread.data)
    assert ">Uncertainty</h2>" in (tmp_path / "a_report.html").read_text()


@pytest.mark.parametrize("stages", ["['rigid']", "['rigid', 'affine']", "['tx,ty']"])
def test_linear_recipes_have_a_spread_of_the_affine(pair, stages):
    steps = []
    recipe = RECIPE.with_options("syn=none", f"linear.stages={stages}")
    found = register(*pair, recipe, progress=steps.append, **HOW)
    spread = found.uncertainty.data
    assert 0 < np.median(spread) < 6 and found.transform.parts[0].flat
    assert {step.stage.partition(", run ")[2] for step in steps} == {"", "1 of 3", "2 of 3", "3 of 3"}
    assert "deformable" not in found.report["seconds"]


def start_with_a_warp():
    return [Displacement(smooth_field(SHAPE, 9, largest=1.0, sigma=8.0), GRID), Affine.identity()]


CASES = {
    "an affine start": lambda: {"initial": np.diag([1.02, 1.0, 1.0, 1.0])},
    "a warp to start from": lambda: {"initial": start_with_a_warp()},
    "masks": lambda: {"fixed_mask": Image(INSIDE.astype(np.uint8), GRID)},
    "weights": lambda: {"moving_weights": Image((1.0 + FADED).astype(np.float32), GRID)},
    "a further pair": lambda: {"pairs": [ImagePair(noisy(image_of(1.0, 7), 4), noisy(image_of(1.0, 7), 5))]},
    "labels": lambda: {
        "pairs": [ImagePair(*2 * [Image((INSIDE * (1 + FADED)).astype(np.int16), GRID)], metric="labels")]
    },
    "landmarks": lambda: {
        "landmarks": Landmarks([[20.0, 20, 0], [90, 30, 0], [60, 90, 0]], [[21, 20, 0], [90, 31, 0], [60, 91, 0]])
    },
}
"""What else a registration may be given."""


@pytest.mark.parametrize("case", CASES)
def test_it_goes_with_whatever_is_given(pair, case):
    found = register(*pair, RECIPE.with_options("uncertainty.runs=2"), **CASES[case](), **HOW)
    spread = found.uncertainty
    assert spread.grid == GRID and np.isfinite(spread.data).all() and 0 < np.median(spread.data[INSIDE]) < 6
    assert found.report["uncertainty"]["runs"] == 2


def test_a_start_with_a_warp_is_said_to_be_left_out(pair):
    start = {"initial": start_with_a_warp()}
    warnings = register(*pair, RECIPE.with_options("uncertainty.runs=2"), **start, **HOW).report["warnings"]
    assert len([one for one in warnings if "in mm before the start, a warp" in one]) == 1


@pytest.mark.parametrize("stages", [(), ("syn=none",)])
def test_images_without_noise_are_named(stages):
    blocks = [
        Image((INSIDE * (1 + (np.indices(SHAPE)[0] + add) // 12 % 2)).astype(np.float32), GRID, f"blocks {add}")
        for add in (0, 1)
    ]
    recipe = RECIPE.with_options("uncertainty.runs=2", *stages)
    found = register(*blocks, recipe, **HOW)
    said = [one for one in found.report["warnings"] if "no noise was found in blocks 0 and blocks 1" in one]
    assert len(said) == 1 and found.report["uncertainty"]["noise"] == {"fixed": 0.0, "moving": 0.0}
    quiet = register(*blocks, recipe.with_options("uncertainty.noise=0"), **HOW)
    assert not [one for one in quiet.report["warnings"] if "no noise" in one]
    assert "every run was the same" not in said[0]
    same = register(*blocks, recipe.with_options("uncertainty.start=0", "uncertainty.smoothness=0"), **HOW)
    assert any("every run was the same" in one for one in same.report["warnings"])


@pytest.mark.parametrize(
    "setting",
    ["syn.robust=true", "syn.model=velocity", "syn.model=bspline", "budget.max_strain=0.2", "linear=none"],
)
def test_it_goes_with_whatever_is_asked(pair, setting):
    found = register(*pair, RECIPE.with_options("uncertainty.runs=2", setting), **HOW)
    assert 0 < found.report["uncertainty"]["median"] < 6


def test_restricted_runs_differ_along_the_direction_only(pair, monkeypatch):
    from warpline.registration import perturbed_runs

    shifts = []
    add = perturbed_runs.FieldDistances.add

    def watched(self, field, spans, shift):
        shifts.append(shift)
        add(self, field, spans, shift)

    monkeypatch.setattr(perturbed_runs.FieldDistances, "add", watched)
    register(*pair, RECIPE.with_options("syn.directions=j"), **HOW)
    assert len(shifts) == 3
    for shift in shifts:
        assert np.abs((shift - np.eye(4))[[0, 2]]).max() < 1e-9 < np.abs((shift - np.eye(4))[1]).max()


def test_on_coarser_grids_it_lies_on_these(pair):
    grid = Grid((512, 480, 1), np.diag([0.25, 0.25, 2, 1]), True)
    large = [Image(np.kron(one.data, np.ones((8, 8, 1), np.float32)), grid) for one in pair]
    recipe = RECIPE.with_options("uncertainty.runs=2", "syn.iterations=[2, 1]")
    found = register(*large, recipe, memory=0.515, **HOW)
    assert found.uncertainty.grid == found.alignment.warp.grid != grid and found.warped.grid == grid


def test_a_run_that_is_stopped_leaves_nothing(pair, tmp_path):
    paths = tmp_path / "fixed.nii", tmp_path / "moving.nii"
    for image, path in zip(pair, paths, strict=True):
        write_image(image, path)

    def stop(step):
        if step.stage == "syn, run 2 of 3":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Job(*paths, prefix=f"{tmp_path}/out/a_", recipe=RECIPE, backend="numba", threads=1), stop)
    assert everything_under(tmp_path) == ["fixed.nii", "moving.nii"]


def test_a_large_spread_is_a_reason_for_doubt(pair, found):
    signs, limit = found.report["judgement"]["signs"], LIMITS["spread"]
    radius = 2.0 * 0.42 * np.sqrt((64**2 + 60**2) / 4)  # of an ellipse, mm
    assert signs["spread"] == pytest.approx(found.report["uncertainty"]["median"] / radius, rel=0.1)
    assert signs["spread"] < limit.doubtful[1] and found.report["judgement"]["outcome"] == "fine"
    noise = register(pair[0], noisy(image_of(0.0), 8, level=0.3), RECIPE, **HOW).report
    assert noise["judgement"]["signs"]["spread"] > limit.doubtful[1]
    assert limit.warning(noise["judgement"]["signs"]["spread"]) in noise["warnings"]
