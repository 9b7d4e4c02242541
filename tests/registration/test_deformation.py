"""The deformable stage with and without a budget: what it promises about the displacements that are written."""

from __future__ import annotations

import numpy as np
import pytest

from made_registrations import QUICK, made_pair
from warpline import registration
from warpline.backends import select
from warpline.evaluation import bending_energy, folding
from warpline.images import Image
from warpline.io.transform_files import read_transform
from warpline.registration.judgement import LIMITS
from warpline.space import exponential

BENT = QUICK.with_options("syn.iterations=[30, 20]", "linear.iterations=[4]", "syn.total_sigma=0.3", "syn.step=0.25")


@pytest.fixture(scope="module")
def fast():
    return select("numba", 1)


@pytest.fixture(scope="module")
def run(fast):
    """A registration of the made pair, or of one slice of it, with some options of its recipe changed."""

    def registered(*settings, flat=False):
        fixed, moving = made_pair()
        if flat:
            fixed, moving = Image.from_array(fixed.data[:, :, 13]), Image.from_array(fixed.data[:, 1:, 13])
        return registration.compute(registration.read(fixed, moving, BENT.with_options(*settings)), fast)

    return registered


@pytest.fixture(scope="module")
def free(run):
    return run()


def bending_of(result):
    """The worse of the map and its inverse, inside the foreground."""
    alignment = result.alignment
    mask = Image((alignment.fixed.data != 0).astype(np.uint8), alignment.fixed.grid)
    return max(bending_energy(warp, mask) for warp in (alignment.warp, alignment.warp.inverse()))


def test_without_a_budget_nothing_is_said(free):
    assert free.alignment.spending is None and free.report["budget"] is None
    assert "budget" not in free.report["seconds"] and "budget_used" not in free.report["judgement"]["signs"]


def test_a_loose_budget_gives_the_same_bits(run, free):
    found = run("budget.max_bending=100", "budget.jacobian=[0.001, 1000]", "budget.max_strain=10")
    for field in ("field", "inverse_field"):
        np.testing.assert_array_equal(*(getattr(one.alignment.warp, field) for one in (free, found)))
    assert found.report["budget"]["kept"] and found.report["budget"]["rerun"] is None
    assert found.report["warnings"] == free.report["warnings"]


@pytest.mark.parametrize("share", [0.8, 0.2])
def test_bending_is_kept_in_files_and_comes_close(run, free, share):
    limit = share * bending_of(free)
    found = run(f"budget.max_bending={limit}")
    told = found.report["budget"]
    assert (told["rerun"] is None) == (share > 0.9)
    assert bending_of(found) <= limit
    assert max(told["max_bending"]["forward"], told["max_bending"]["inverse"]) == pytest.approx(
        bending_of(found), rel=0.01
    )
    assert told["max_bending"]["forward_before"] > limit
    assert found.alignment.quality.is_within_limits
    assert found.report["judgement"]["signs"]["budget_used"] == told["used"] <= 1


def test_determinants_and_strain_are_kept(run):
    found = run("budget.jacobian=[0.7, 1.5]", "budget.max_strain=0.35")
    warp = found.alignment.warp
    mask = Image((found.alignment.fixed.data != 0).astype(np.uint8), warp.grid)
    for one, low, high in ((warp, 0.7, 1.5), (warp.inverse(), 1 / 1.5, 1 / 0.7)):
        assert folding(one, mask, differences="any", backend="numpy").minimum >= low
        assert folding(one, mask, backend="numpy").maximum <= high
    assert found.report["budget"]["kept"] and found.report["budget"]["local_rounds"] > 0


def test_slices_stay_in_their_plane(run):
    found = run("budget.max_bending=0.001", "budget.max_strain=0.2", flat=True)
    assert found.report["budget"]["kept"]
    assert bending_of(found) <= 0.001
    assert not found.alignment.warp.field[2].any()


def test_a_budget_that_is_not_kept_is_a_reason_for_doubt(run, monkeypatch):
    monkeypatch.setattr("warpline.registration.budget.enforcement.SCALES", ())
    monkeypatch.setattr("warpline.registration.budget.enforcement.MOST_PASSES", 0)
    report = run("budget.max_strain=0.2").report
    assert not report["budget"]["kept"]
    assert report["judgement"]["outcome"] == "doubtful"
    sentence = LIMITS["budget_used"].warning(report["budget"]["used"])
    assert sentence in report["warnings"]


@pytest.fixture(scope="module")
def flowing(run):
    return run("syn.model=velocity", "syn.total_sigma=0.5")


def in_foreground(result, vectors):
    """Lengths of vectors (3, I, J, K) in mm where the fixed image is not background, in voxels."""
    fixed = result.alignment.fixed
    return np.linalg.norm(vectors[:, fixed.data != 0], axis=0) / fixed.grid.voxel_size.min()


def test_a_velocity_generates_the_map_that_is_written(flowing):
    map_, warp = exponential(flowing.velocity, backend="numba"), flowing.alignment.warp
    assert in_foreground(flowing, warp.field).max() > 1
    for made, written in ((map_.field, warp.field), (map_.inverse_field, warp.inverse_field)):
        assert in_foreground(flowing, made - written).max() < 0.05
    assert flowing.report["quality"]["rounds"] == 0, "exp(-v) is the inverse, so that nothing is left to relax"


def test_a_velocity_field_is_written_beside_the_maps(flowing, free, tmp_path):
    path = flowing.save(tmp_path / "a_")["velocity"]
    np.testing.assert_array_equal(read_transform(path).field, flowing.velocity.field)
    assert read_transform(path).grid == flowing.velocity.grid
    assert free.velocity is None and "velocity" not in free.save(tmp_path / "a_")
    assert not path.exists(), "that of an earlier run does not belong to the map"


def test_a_velocity_whose_map_was_smoothed_is_left_out(run, flowing):
    found = run("syn.model=velocity", "syn.total_sigma=0.5", f"budget.max_bending={bending_of(flowing) / 1e5}")
    assert found.velocity is None and found.report["budget"]["kept"]
    assert [one for one in found.report["warnings"] if "no velocity field is written" in one]
    loose = run("syn.model=velocity", "syn.total_sigma=0.5", "budget.max_bending=100")
    np.testing.assert_array_equal(loose.velocity.field, flowing.velocity.field)


def test_a_velocity_of_one_slice_stays_in_its_plane(run):
    found = run("syn.model=velocity", flat=True)
    assert np.abs(found.velocity.field[:2]).max() > 0.1 and not found.velocity.field[2].any()
    assert found.velocity.flat


def test_a_velocity_keeps_directions(run):
    found = run("syn.model=velocity", "syn.directions=j")
    along = found.alignment.fixed.grid.affine[:3, 1]
    left = np.cross(np.moveaxis(found.velocity.field, 0, -1), along)
    assert np.abs(found.velocity.field).max() > 0.3 and np.abs(left).max() < 1e-4


def test_a_velocity_is_left_out_after_a_start_with_a_warp(fast, flowing):
    fixed, moving = made_pair()
    read = registration.read(fixed, moving, BENT.with_options("syn.model=velocity"), initial=flowing.transform)
    found = registration.compute(read, fast)
    assert found.velocity is None
    assert [one for one in found.report["warnings"] if "no velocity field is written" in one]
