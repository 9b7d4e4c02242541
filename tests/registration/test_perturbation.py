"""What perturbed runs are given: as far off as was asked, within what may move, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import ellipsoid, smooth_volume
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.images.noise import noise_level
from warpline.metrics import LABELS
from warpline.recipe import Recipe
from warpline.registration.cropping import own_channel
from warpline.registration.perturbation import NoiseLevels, draw
from warpline.space import Affine
from warpline.space.grid import Grid, apply_affine

VOLUME, SLICE = (30, 26, 22), (40, 36, 1)
AFFINE = Affine(np.array([[1.1, 0, 0.1, 3], [0, 0.9, 0, -5], [0, 0.2, 1, 2], [0, 0, 0, 1.0]]))


def pair_of(shape, backend, voxel=2.0):
    volume = np.where(ellipsoid(shape, 0.4), 0.5 + smooth_volume(shape), 0).astype(np.float32)
    image = Image(volume, Grid(shape, np.diag([voxel, voxel, 1.5 * voxel, 1.0]), shape[2] == 1))
    normalised = normalise(image, backend)
    return normalised, normalised


def asked(runs=200, stages="['affine']", **options):
    settings = [f"uncertainty.{name}={value}" for name, value in {"runs": runs, **options}.items()]
    return Recipe.load("syn").with_options(f"linear.stages={stages}", *settings)


def moved(runs, image):
    """Root mean square distances (runs,) in mm by which corners of the box move, weighted as all of it is."""
    corners = np.stack(np.meshgrid(*zip(image.start, image.stop, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)
    thick = np.array(image.grid.shape) > 1
    middle = np.where(thick, corners.mean(axis=0) - 0.5, 0)
    spread = np.where(thick, corners - corners.mean(axis=0), 0) / np.sqrt(
        3
    )  # corners lie at sqrt(3) times the deviation
    where = apply_affine(image.grid.affine, middle + spread)
    return np.sqrt([np.square(run.shift.map_points(where) - where).sum(axis=1).mean() for run in runs])


@pytest.mark.parametrize("shape", [VOLUME, SLICE])
@pytest.mark.parametrize("stages", ["['affine']", "['rigid']", "['translation']", "['tx,rz']"])
def test_starts_move_as_far_as_was_asked(numpy_backend, shape, stages):
    """The mean of 200 squares of normal variables has a standard error of at most 10 %."""
    images = pair_of(shape, numpy_backend)
    distances = moved(list(draw(asked(stages=stages, start=0.5), images, AFFINE)), images[0])
    assert np.sqrt(np.mean(distances**2)) == pytest.approx(0.5 * 2.0, rel=0.15)


def test_rigid_starts_stay_rigid_and_slices_in_their_plane(numpy_backend):
    for run in draw(asked(4, "['rigid']"), pair_of(VOLUME, numpy_backend), AFFINE):
        linear = run.shift.matrix[:3, :3]
        np.testing.assert_allclose(linear @ linear.T, np.eye(3), atol=1e-12)
    for run in draw(asked(4), pair_of(SLICE, numpy_backend), Affine.identity()):
        np.testing.assert_allclose(run.shift.matrix[2], [0, 0, 1, 0], atol=1e-12)


def test_starts_move_along_what_is_allowed(numpy_backend):
    images, along = pair_of(VOLUME, numpy_backend), np.diag([0.0, 1.0, 0.0])
    points = np.random.default_rng(0).normal(0, 20, (9, 3))
    for run in draw(asked(4), images, AFFINE, along):
        change = run.shift.map_points(points) - points
        assert np.abs(change[:, 1]).max() > 0.01 and np.abs(change[:, [0, 2]]).max() < 1e-9


def test_the_same_seed_draws_the_same(numpy_backend):
    images = pair_of(VOLUME, numpy_backend)
    one, two, other = (list(draw(asked(3, seed=seed), images, AFFINE)) for seed in (5, 5, 6))
    for first, second, third in zip(one, two, other, strict=True):
        np.testing.assert_array_equal(first.shift.matrix, second.shift.matrix)
        assert first.smoothing == second.smoothing != third.smoothing
    assert len({run.smoothing for run in one}) == 3 and [run.number for run in one] == [1, 2, 3]


def test_smoothing_is_scaled_in_either_stage(numpy_backend):
    images = pair_of(VOLUME, numpy_backend)
    runs = list(draw(asked(smoothness=0.2), images, AFFINE))
    logarithms = np.log([run.smoothing for run in runs])
    assert logarithms.std() == pytest.approx(0.2, rel=0.2) and np.abs(logarithms).max() <= 0.4 + 1e-12
    run, recipe = runs[0], asked()
    assert run.syn(recipe.syn).total_sigma == pytest.approx(run.smoothing * recipe.syn.total_sigma)
    assert run.syn(recipe.syn.model_copy(update={"update_sigma": 20.0, "total_sigma": 0.0})).update_sigma <= 20
    sizes = recipe.linear.model_copy(update={"voxel_sizes": (8.0, 4.0, 2.0)})
    assert run.linear(sizes, images[0]).voxel_sizes == pytest.approx(
        [8 * run.smoothing, 4 * run.smoothing, 2 * run.smoothing]
    )


def test_a_start_is_moved_before_the_affine(numpy_backend):
    (run, _) = draw(asked(2), pair_of(VOLUME, numpy_backend), AFFINE)
    point = [[1.0, 2.0, 3.0]]
    np.testing.assert_allclose(run.start(AFFINE).map_points(point), AFFINE.map_points(run.shift.map_points(point)))


def test_noise_is_added_to_images_and_pairs_but_no_labels(backend):
    images = pair_of(VOLUME, backend)
    images = tuple(
        type(one)(**{**vars(one), "volume": one.volume * np.float32(1 + side)}) for side, one in enumerate(images)
    )
    grey = own_channel(*images, backend=backend)
    labels = type(grey)(**{**vars(grey), "metric": LABELS})
    levels = NoiseLevels.of(images, (grey, labels), 2.0, backend)
    assert levels.fixed > 0 and levels.fixed == pytest.approx(2 * noise_level(images[0].volume, backend))
    assert levels.pairs == ((pytest.approx(levels.fixed), pytest.approx(levels.moving)), (0.0, 0.0))
    (run, _) = draw(asked(2), images, AFFINE)
    louder = NoiseLevels(0.1, 0.1, ((0.1, 0.1), (0.1, 0.1)))
    noisy, again = (louder.add_to(images, run, backend) for _ in range(2))
    with_pairs = louder.add_to_pairs((grey, labels), run, backend)
    added = [backend.download(new.volume - old.volume) for new, old in zip(noisy, images, strict=True)]
    added += [backend.download(getattr(with_pairs[0], side) - getattr(grey, side)) for side in ("fixed", "moving")]
    assert with_pairs[1] is labels
    for number, one in enumerate(added):
        assert one[one != 0].std() == pytest.approx(0.1, rel=0.1)
        assert not any(one.shape == other.shape and np.array_equal(one, other) for other in added[:number])
    np.testing.assert_array_equal(backend.download(noisy[0].volume), backend.download(again[0].volume))
