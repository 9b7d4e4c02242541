"""Which start is taken where landmarks, surfaces and others are given."""

from __future__ import annotations

import numpy as np
import pytest

from made_registrations import NO_STAGES, made_pair
from warpline.errors import InputError
from warpline.images import Image
from warpline.registration import Landmarks
from warpline.registration.fitted_start import FittedStart
from warpline.registration.problem import Problem
from warpline.registration.surfaces import JoinedPoints, LoadedSurfaces
from warpline.space import Affine
from warpline.space.grid import Grid

SHIFT = np.array([3.0, -2.0, 1.0])


@pytest.fixture(scope="module")
def problem():
    """Landmarks of a made pair 3 mm off, and surfaces."""
    fixed, moving = made_pair()
    points = fixed.grid.centre + np.random.default_rng(0).normal(0, 4, (60, 3)) * [1, 2, 3]
    surfaces = (LoadedSurfaces(JoinedPoints(points), JoinedPoints(points + SHIFT)),)
    landmarks = Landmarks(points[:5], points[:5] + SHIFT)
    return Problem(fixed, moving, None, None, NO_STAGES, None, landmarks=landmarks, surfaces=surfaces)


def without_landmarks(problem, *options):
    known = {name: getattr(problem, name) for name in ("fixed", "moving", "surfaces")}
    return Problem(
        **known, fixed_mask=None, moving_mask=None, recipe=problem.recipe.with_options(*options), initial=None
    )


def test_a_given_start_comes_first_and_is_measured(problem, numpy_backend):
    start = FittedStart.of(problem, Affine.identity(), numpy_backend)
    assert (start.landmark_model, start.surface_model, start.is_of_images) == (None, None, False)
    errors = start.measure(problem, Affine.identity(), numpy_backend)
    np.testing.assert_allclose(errors.landmarks.start, np.linalg.norm(SHIFT))
    assert errors.surfaces.model is None and errors.surfaces.pairs[0].start == errors.surfaces.pairs[0].result
    of_landmarks, of_surfaces = errors.warnings  # the object is small: 3.7 mm are many
    assert of_landmarks.startswith("landmark ") and of_surfaces.startswith("surfaces 1 ")


def test_landmarks_come_before_surfaces(problem, numpy_backend):
    start = FittedStart.of(problem, None, numpy_backend)
    assert (start.landmark_model, start.surface_model) == ("rigid", None)
    np.testing.assert_allclose(start.transform.matrix[:3, 3], SHIFT, atol=1e-6)


def test_surfaces_are_brought_together_from_the_images(problem, numpy_backend):
    alone = without_landmarks(problem)
    start = FittedStart.of(alone, None, numpy_backend)
    assert (start.landmark_model, start.surface_model) == (None, "rigid")
    errors = start.measure(alone, start.transform, numpy_backend)
    images = FittedStart.of(without_landmarks(problem, "initialise.surfaces=off"), None, numpy_backend)
    assert images.is_of_images and images.surface_model is None and errors.landmarks is None
    before = images.measure(alone, images.transform, numpy_backend).surfaces.pairs[0].result.mean
    assert errors.surfaces.pairs[0].result.mean < before


def test_surfaces_that_leave_the_images_apart_are_refused(problem, numpy_backend):
    far = tuple(LoadedSurfaces(both.fixed, JoinedPoints(both.moving.points + 900)) for both in problem.surfaces)
    alone = without_landmarks(problem)
    said = (
        r"under the start fitted to the surfaces: .*set initialise\.surfaces=off.*; 60 of 60 points of moving surface 1"
    )
    with pytest.raises(InputError, match=said):
        FittedStart.of(Problem(**{**vars(alone), "surfaces": far}), None, numpy_backend)


def test_landmarks_that_leave_the_images_apart_are_refused(problem, numpy_backend):
    far = Landmarks(problem.landmarks.fixed, problem.landmarks.moving + 900)
    with pytest.raises(InputError, match=r"fitted to the landmarks: .*; 5 of 5 landmarks lie outside the moving image"):
        FittedStart.of(Problem(**{**vars(problem), "landmarks": far}), None, numpy_backend)


def slice_at(height, flat):
    x, y = np.indices((24, 24)) - 11.5
    shown = np.exp(-(x**2 + 2 * y**2) / 40)[..., None]
    affine = np.eye(4)
    affine[2, 3] = height
    return Image(shown.astype(np.float32), Grid(shown.shape, affine, flat), f"{height}.nii")


@pytest.mark.parametrize("known", ["landmarks", "surfaces"])
def test_a_start_leads_from_a_plane_into_that_of_a_slice(known, numpy_backend):
    """A 2-D fixed image beside a slice at another height: what is fitted leads to it, whatever heights are given."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    points = np.column_stack([11 + 8 * np.cos(angle), 12 + 4 * np.sin(angle), np.zeros(40)])
    sides = points, points + [1, -0.5, 30]
    both = {"landmarks": Landmarks(*sides)} if known == "landmarks" else {}
    surfaces = (LoadedSurfaces(*(JoinedPoints(side) for side in sides)),) if known == "surfaces" else ()
    images = slice_at(0, flat=True), slice_at(50, flat=False)
    given = Problem(*images, None, None, NO_STAGES, None, surfaces=surfaces, **both).in_planes()
    start = FittedStart.of(given, None, numpy_backend)
    assert start.transform.matrix[2, 3] == pytest.approx(50)
    errors = start.measure(given, start.transform, numpy_backend)
    mean = errors.landmarks.result.mean() if known == "landmarks" else errors.surfaces.pairs[0].result.mean
    assert mean < 1
