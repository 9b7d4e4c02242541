"""SyN: known deformations are recovered, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from synthetic import ellipsoid, fading_field, pair_with_known_map, smooth_volume
from warpline.backends import select
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.metrics import DEFORMABLE_METRICS
from warpline.metrics.local_cc import LocalCC
from warpline.recipe import Syn
from warpline.registration import cropping
from warpline.registration.inverse_consistency import join
from warpline.registration.syn import CHECK_EVERY, level_schedule, register_syn
from warpline.space import Affine
from warpline.space.grid import Grid
from warpline.space.inversion import invert_field

SHAPE = (28, 26, 24)
QUICK = Syn(factors=(2.0, 1.0), iterations=(40, 30), step=0.25, early_stop=None)


@pytest.fixture(scope="module")
def fast():
    return select(None, threads=1)


def prepare(fixed, moving, affine, *, backend, fixed_mask=None, moving_mask=None):
    """Of images, which are normalised first."""
    still, moved = normalise(fixed, backend, fixed_mask), normalise(moving, backend, moving_mask)
    return cropping.crop_pair(still, moved, affine, backend=backend)


def run(fixed, moving, backend, options=QUICK, **more):
    """Half-maps and the joined fixed -> moving field, both in voxels of the fixed grid."""
    progress = more.pop("progress", None)
    pair = prepare(fixed, moving, Affine.identity(), backend=backend, **more)
    halves = register_syn(pair, options, backend=backend, progress=progress)
    return halves, np.array(backend.download(join(halves.to_fixed, halves.to_moving, backend)[0]))


def on_whole(halves, field, grid, backend):
    """The field on the whole grid, constant beyond its box."""
    return np.array(backend.download(backend.sample_field(field, grid.voxel_map_to(halves.grid), grid.shape)))


def box(grid):
    """Where a part of a grid with the identity affine lies in it."""
    return tuple(slice(int(a), int(a) + n) for a, n in zip(grid.affine[:3, 3], grid.shape, strict=True))


def in_background(volume, share=0.42):
    """The volume inside a soft ellipsoid, 0 outside."""
    shape = volume.shape
    inside = gaussian_filter(ellipsoid(shape, share).astype(np.float32), [1 if n > 1 else 0 for n in shape])
    return np.where(inside > 0.02, (0.2 + volume) * inside, 0).astype(np.float32)


def known_pair(shape, largest=1.5, affine=None, seed=3):
    """Images of one world whose true map is ``x + field(x)``, in voxels, and where it can be seen."""
    moving = in_background(smooth_volume(shape, seed, sigma=1.5))
    field = fading_field(shape, seed + 1, largest, sigma=4.0)
    fixed = map_coordinates(moving, np.indices(shape) + np.float64(field), order=3, mode="mirror", output=np.float32)
    fixed[fixed < 0.01] = 0
    return Image.from_array(fixed, affine), Image.from_array(moving, affine), field, ellipsoid(shape, 0.33)


def error(found, truth, where):
    return np.linalg.norm(found - truth, axis=0)[where].mean()


@pytest.mark.parametrize("metric", ["local_cc", "mean_squares", "mutual_information"])
@pytest.mark.parametrize("shape", [SHAPE, (44, 40, 1)])
def test_a_known_smooth_motion_is_recovered(backend, metric, shape):
    fixed, moving, truth, seen = known_pair(shape)
    options = QUICK.model_copy(update={"metric": metric})
    halves, found = run(fixed, moving, backend, options)
    found = on_whole(halves, backend.upload(found), fixed.grid, backend)
    assert error(0 * truth, truth, seen) > 0.45
    assert error(found, truth, seen) < 0.2


def test_both_half_maps_share_the_motion(backend):
    fixed, moving, _, seen = known_pair(SHAPE)
    halves, _ = run(fixed, moving, backend)
    there, back = (on_whole(halves, half, fixed.grid, backend)[:, seen] for half in (halves.to_fixed, halves.to_moving))
    assert np.linalg.norm(there + back, axis=0).mean() < 0.35 * np.linalg.norm(there - back, axis=0).mean()


def test_a_velocity_recovers_the_motion_and_is_negated(fast):
    fixed, moving, truth, seen = known_pair(SHAPE)
    options = QUICK.model_copy(update={"model": "velocity"})
    halves, found = run(fixed, moving, fast, options)
    assert error(on_whole(halves, fast.upload(found), fixed.grid, fast), truth, seen) < 0.2
    one = on_whole(halves, halves.velocity, fixed.grid, fast)[:, seen]
    assert np.linalg.norm(one, axis=0).mean() > 0.4
    other, _ = run(moving, fixed, fast, options)
    two = on_whole(other, other.velocity, fixed.grid, fast)[:, seen]
    assert np.linalg.norm(one + two, axis=0).mean() < 0.05 * np.linalg.norm(one, axis=0).mean()


@pytest.mark.parametrize("model", ["bspline", "velocity"])
@pytest.mark.parametrize("options", [{"robust": True}, {"full_steps": True, "step": 0.1}, {"metric": "mean_squares"}])
def test_models_take_the_options_of_syn(fast, model, options):
    fixed, moving, truth, seen = known_pair(SHAPE)
    masks = {"fixed_mask": Image.from_array(ellipsoid(SHAPE, 0.45).astype(np.uint8))}
    steps = []
    made = QUICK.model_copy(update={"model": model, "spline_spacing": 4.0, **options})
    halves, found = run(fixed, moving, fast, made, progress=steps.append, **masks)
    assert error(on_whole(halves, fast.upload(found), fixed.grid, fast), truth, seen) < 0.3
    assert [p.energy for p in steps] == [e for r in halves.levels for e in r.energies]


@pytest.mark.parametrize("model", ["bspline", "velocity"])
def test_models_compare_several_images(fast, model):
    """Beside a pair that shows nothing of the motion, one that does."""
    fixed, moving, truth, seen = known_pair(SHAPE)
    pair = prepare(fixed, fixed, Affine.identity(), backend=fast)
    second = prepare(fixed, moving, Affine.identity(), backend=fast).channels[0]
    pair = replace(pair, channels=(pair.channels[0], replace(second, weight=3.0)))
    options = QUICK.model_copy(update={"model": model, "spline_spacing": 4.0})
    halves = register_syn(pair, options, backend=fast)
    found = join(halves.to_fixed, halves.to_moving, fast)[0]
    left = error(on_whole(halves, found, fixed.grid, fast), truth, seen) / error(0 * truth, truth, seen)
    assert left < 0.75


def test_exchanged_images_get_the_inverse_map(fast):
    fixed, moving, *_, seen = known_pair(SHAPE)
    full = QUICK.model_copy(update={"factors": (1.0,), "iterations": (40,)})
    halves, _ = run(fixed, moving, fast, full)
    other, _ = run(moving, fixed, fast, full)
    for one, two in ((halves.to_fixed, other.to_moving), (halves.to_moving, other.to_fixed)):
        one, two = on_whole(halves, one, fixed.grid, fast), on_whole(other, two, fixed.grid, fast)
        assert np.abs(one - two)[:, seen].max() < 0.05


@pytest.mark.parametrize("metric", ["local_cc", "mean_squares", "mutual_information"])
def test_identical_images_hardly_move(backend, metric):
    image = known_pair(SHAPE)[0]
    _, found = run(image, image, backend, QUICK.model_copy(update={"metric": metric}))
    assert np.linalg.norm(found, axis=0).max() < 0.02


def test_brightness_and_contrast_hardly_move_anything(fast):
    """Rounding differs, so that single voxels may waver by about a step."""
    image = known_pair(SHAPE)[0]
    other = Image(np.where(image.data > 0, 300 * image.data, 0), image.grid)
    _, found = run(image, other, fast)
    length = np.linalg.norm(found, axis=0)
    assert length.mean() < 0.02
    assert length.max() < 2 * QUICK.step


def test_noise_on_flat_ground_moves_nothing(fast):
    """An object that moved, far from a flat half where either image has its own noise."""
    shape = (56, 24, 22)
    images = []
    for seed, image in enumerate(known_pair((24, 24, 22))[:2]):
        noise = np.random.default_rng(seed).normal(0, 0.01, shape)
        noise[:24] += image.data
        images.append(Image.from_array(noise.astype(np.float32)))
    _, found = run(*images, fast)
    length = np.linalg.norm(found, axis=0)
    assert length[:24].max() > 1
    assert length[42:].max() < 0.02


def test_records_say_what_was_run_and_the_energy_falls(backend):
    fixed, moving, *_ = known_pair(SHAPE, largest=3.0)
    options = QUICK.model_copy(update={"iterations": (12, 10)})
    halves, _ = run(fixed, moving, backend, options)
    assert [(r.stage, r.level, r.iterations) for r in halves.levels] == [("syn", 0, 12), ("syn", 1, 10)]
    assert halves.levels[1].shape == halves.grid.shape
    assert max(halves.levels[0].shape) < max(halves.levels[1].shape)
    for record in halves.levels:
        assert len(record.energies) == -(-record.iterations // CHECK_EVERY)
        assert -1 <= record.energies[-1] < 0
        assert record.seconds > 0
    one_level = QUICK.model_copy(update={"factors": (1.0,), "iterations": (20,)})
    energies = run(fixed, moving, backend, one_level)[0].levels[0].energies
    assert energies[-1] < energies[0]


def test_early_stop_ends_a_level_that_has_nothing_left_to_do(backend):
    image = known_pair(SHAPE)[0]
    stopping = QUICK.model_copy(update={"early_stop": 1e-4})
    counts = [r.iterations for r in run(image, image, backend, stopping)[0].levels]
    assert counts == [5 * CHECK_EVERY, 5 * CHECK_EVERY], "four looks, and the one that runs while the fourth is read"
    assert [r.iterations for r in run(image, image, backend)[0].levels] == [40, 30]


def test_levels_without_iterations_are_passed_over(fast):
    fixed, moving, truth, seen = known_pair(SHAPE)
    skip = QUICK.model_copy(update={"iterations": (40, 0)})
    halves, found = run(fixed, moving, fast, skip)
    assert halves.levels[1].energies == ()
    assert error(on_whole(halves, fast.upload(found), fixed.grid, fast), truth, seen) < 0.4


def test_progress_has_every_energy_and_the_middle_images(backend):
    fixed, moving, *_ = known_pair(SHAPE, largest=3.0)
    steps, seen = [], []

    def listen(progress):
        steps.append(progress)
        seen.append([np.array(image) for image in progress.images()])

    halves, _ = run(fixed, moving, backend, progress=listen)
    assert [p.energy for p in steps] == [e for r in halves.levels for e in r.energies]
    assert {(p.stage, p.level, p.levels, p.iterations) for p in steps} == {("syn", 0, 2, 40), ("syn", 1, 2, 30)}
    assert [p.iteration for p in steps if p.level == 1] == [4, 9, 14, 19, 24, 29]
    start = prepare(fixed, moving, Affine.identity(), backend=backend)
    whole = backend.download(normalise(moving, backend).volume)
    apart = np.square(backend.download(start.channels[0].fixed) - whole[box(start.grid)]).mean()
    assert np.square(seen[-1][0] - seen[-1][1]).mean() < 0.2 * apart


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_what_a_mask_hides_does_not_pull(fast, which):
    fixed, moving, truth, seen = known_pair(SHAPE)
    hidden = np.indices(SHAPE)[0] >= 16
    masks = {f"{which}_mask": Image.from_array((~hidden).astype(np.uint8))}
    other = Image(np.where(hidden, moving.data[:, ::-1], moving.data), moving.grid)

    def fields_of(**masks):
        for image in (moving, other):
            halves, found = run(fixed, image, fast, **masks)
            yield on_whole(halves, fast.upload(found), fixed.grid, fast)

    near = seen & (np.indices(SHAPE)[0] < 10)
    plain, spoilt = fields_of(**masks)
    assert np.linalg.norm(plain - spoilt, axis=0)[near].mean() < 0.05  # single voxels waver by a step
    assert error(spoilt, truth, near) < 0.2
    first, second = fields_of()
    assert np.abs(first - second)[:, near | hidden].max() > 1


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_brightness_that_a_mask_hides_does_not_set_the_range(fast, which):
    """Fat or a coil shading, twenty times as bright as what is to be matched."""
    fixed, moving, truth, seen = known_pair(SHAPE)
    hidden = np.indices(SHAPE)[0] >= 18
    mask = Image.from_array((~hidden).astype(np.uint8))
    images = {"fixed": fixed, "moving": moving}
    images[which] = Image(np.where(hidden, 20, 1).astype(np.float32) * images[which].data, fixed.grid)
    halves, found = run(images["fixed"], images["moving"], fast, **{f"{which}_mask": mask})
    near = seen & (np.indices(SHAPE)[0] < 11)
    assert error(on_whole(halves, fast.upload(found), fixed.grid, fast), truth, near) < 0.2


def test_images_that_fill_their_grids_are_recovered_too(backend):
    fixed, moving, truth = pair_with_known_map(SHAPE, 3)
    halves, found = run(Image.from_array(fixed + 1), Image.from_array(moving + 1), backend)
    assert halves.grid.shape == SHAPE
    assert error(found, truth, ellipsoid(SHAPE, 0.35)) < 0.2


def test_a_moving_grid_that_ends_early_does_not_pull_at_its_end(fast):
    fixed, moving, truth, _ = known_pair(SHAPE)
    fixed, moving = (Image(image.data + 1, image.grid) for image in (fixed, moving))
    part = Image(np.ascontiguousarray(moving.data[:18]), moving.grid.cropped((0, 0, 0), (18, 26, 24)))
    _, found = run(fixed, part, fast)
    there = ellipsoid(SHAPE, 0.35) & (np.indices(SHAPE)[0] < 14)
    assert error(found, truth, there) < 0.25
    assert np.linalg.norm(found, axis=0).max() < 1.05 * np.linalg.norm(truth, axis=0).max()


def test_thick_slices_keep_their_in_plane_detail(fast):
    """Voxels of 1 x 1 x 3 mm: the thick axis is not shrunk, and the motion is found in all three directions."""
    affine = np.diag([1.0, 1, 3, 1])
    fixed, moving, truth, seen = known_pair((40, 36, 14), 1.2, affine)
    halves, found = run(fixed, moving, fast)
    assert halves.levels[0].shape[2] == halves.levels[1].shape[2]
    found = on_whole(halves, fast.upload(found), fixed.grid, fast)
    assert error(found, truth, seen) < 0.25


def test_the_moving_image_is_reached_through_the_affine(fast):
    """The deformation sought is that of the fixed grid, whatever linear motion lies behind it."""
    fixed, moving, truth, seen = known_pair(SHAPE)
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    turn[:3, 3] = 7, -3, 2
    far = Image(moving.data, Grid(SHAPE, turn @ moving.affine))
    pair = prepare(fixed, far, Affine(turn), backend=fast)
    halves = register_syn(pair, QUICK, backend=fast)
    found = join(halves.to_fixed, halves.to_moving, fast)[0]
    assert error(on_whole(halves, found, fixed.grid, fast), truth, seen) < 0.2


def test_the_half_maps_do_not_fold(backend):
    fixed, moving, *_ = known_pair(SHAPE, largest=3.0)
    halves, _ = run(fixed, moving, backend)
    for half in (halves.to_fixed, halves.to_moving):
        assert backend.download(backend.jacobian(half)).min() > 0.1
        _, residual = invert_field(half, backend)
        assert residual < 0.05


class Uphill(LocalCC):
    """Local correlation whose forces point the wrong way after so many iterations."""

    right = 0

    def forces(self, images, forces, value, **more):
        super().forces(images, forces, value, **more)
        Uphill.right -= 1
        if Uphill.right < 0:
            forces *= -1


@pytest.mark.parametrize("model", ["syn", "velocity"])
@pytest.mark.parametrize(("right", "kept"), [(0, 0), (12, 9)])
def test_a_level_that_goes_uphill_is_restored(fast, monkeypatch, right, kept, model):
    fixed, moving, truth, seen = known_pair(SHAPE)
    monkeypatch.setitem(DEFORMABLE_METRICS, "local_cc", lambda _: Uphill())
    monkeypatch.setattr(Uphill, "right", right)
    padded = [Image.from_array(np.pad(image.data, 4)) for image in (fixed, moving)]  # no field of view cuts them
    options = QUICK.model_copy(update={"factors": (1.0,), "iterations": (40,), "contrast": "given", "model": model})
    halves, found = run(*padded, fast, options)
    (level,) = halves.levels
    assert (level.kept, level.iterations) == (kept, 40)
    found = on_whole(halves, found, padded[0].grid, fast)[:, 4:-4, 4:-4, 4:-4]
    left = error(found, truth, seen) / error(0 * truth, truth, seen)
    assert left == 1 if right == 0 else left < 0.6


def test_levels_are_added_until_the_coarsest_sees_all(fast):
    """Finer voxels of one pair add levels; up to 288 voxels there are three."""
    image = in_background(smooth_volume((80, 60, 1), 3, sigma=2.0))
    levels = []
    for finer in (1, 3, 6):
        fine = Image.from_array(
            np.kron(image, np.ones((finer, finer, 1), np.float32)), np.diag([1 / finer] * 2 + [1, 1])
        )
        levels.append(run(fine, fine, fast, Syn(iterations=(1, 1, 1)))[0].levels)
    assert [len(records) for records in levels] == [3, 3, 4]
    assert [record.level for record in levels[2]] == [0, 1, 2, 3]
    assert 36 <= max(levels[2][0].shape) <= 72


def levels_of(size, spacing, **options):
    """Voxel sizes and most iterations of every level of a brain-sized block in voxels of a size."""
    shape = tuple(max(round(length / edge), 1) for length, edge in zip(size, spacing, strict=True))
    image = Image.from_array(np.ones(shape, np.float32), np.diag([*spacing, 1.0]))
    return [(round(factor * min(spacing), 3), most) for factor, most, _ in level_schedule(image.grid, Syn(**options))]


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ((1.0, 1.0, 1.0), [(4, 100), (2, 60), (1, 20)]),
        ((1.0, 1.0, 4.0), [(4, 100), (2, 60), (1, 20)]),
        ((1.0, 1.0, 5.0), [(4, 100), (2, 60)]),
        ((0.5, 0.5, 5.0), [(4, 100), (2, 60)]),
        ((5.0, 0.5, 0.5), [(4, 100), (2, 60)]),
        ((0.5, 0.5, 3.0), [(4, 100), (2, 60), (1, 20)]),
        ((0.5, 0.5, 0.5), [(4, 100), (2, 100), (1, 60), (0.5, 20)]),
        ((1.0, 1.0, 160.0), [(4, 100), (2, 60), (1, 20)]),
        ((0.25, 0.25, 40.0), [(4, 100), (2, 60), (1, 20)]),
    ],
)
def test_levels_much_finer_than_slices_are_thick_are_left_out(spacing, expected):
    """However finely slices are interpolated, they get the levels of their original; not more than two are left out."""
    assert levels_of((160, 180, 160), spacing) == expected


def test_levels_and_their_smoothing_that_are_asked_for_are_run():
    factors, sigmas = (4.0, 2.0, 1.0), (3.0, 2.0, 1.0)
    assert [most for _, most in levels_of((160, 180, 160), (1, 1, 5), factors=factors)] == [100, 60, 20]
    grid = Image.from_array(np.ones((160, 180, 32)), np.diag([1.0, 1, 5, 1])).grid
    assert level_schedule(grid, Syn(factors=factors, sigmas=sigmas)) == [(4, 100, 0.75), (2, 60, 1), (1, 20, 1)]
    assert level_schedule(grid, Syn(sigmas=sigmas)) == [(4, 100, 0.75), (2, 60, 1)]


def test_interpolating_thick_slices_does_not_tighten_the_limits(fast):
    """Inverse errors are counted in half voxels of the finest level, which are whole voxels of the original."""
    slices = in_background(smooth_volume((76, 60, 9), 3, sigma=2.0))
    units = []
    for finer in (1, 4):
        edges = np.diag([1 / finer, 1 / finer, 5, 1])
        image = Image.from_array(np.kron(slices, np.ones((finer, finer, 1), np.float32)), edges)
        halves, _ = run(image, image, fast, Syn(iterations=(1, 1, 1)))
        units.append((halves.levels[-1].shape, tuple(round(u, 1) for u in halves.units)))
    assert [unit for _, unit in units] == [(1.0, 1.0, 1.0), (2.0, 2.0, 1.0)]
    assert run(image, image, fast, Syn(factors=(8.0,), iterations=(1,)))[0].units == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("full_steps", [False, True])
def test_updates_shrink_with_the_forces_but_for_full_steps(monkeypatch, full_steps):
    """They are scaled by the longest force so far, or by that of each iteration."""
    fixed, moving, *_ = known_pair(SHAPE)
    backend, longest = select("numba"), []
    compose = backend.compose

    def noted(*given, **more):
        if "norm" in more:
            longest.append(more["norm"].copy())
        return compose(*given, **more)

    monkeypatch.setattr(backend, "compose", noted)
    run(fixed, moving, backend, Syn(factors=(1.0,), iterations=(30,), full_steps=full_steps))
    assert len(longest) == 30
    assert (np.diff(longest, axis=0) < 0).any() == full_steps
