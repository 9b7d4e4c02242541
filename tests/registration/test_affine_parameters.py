"""Motions: what their parameters mean, and their derivatives against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from affine_oracles import family_member
from warpline.backends.affine_problem import MAX_PARAMETERS
from warpline.errors import UsageError
from warpline.registration.affine_parameters import PLANAR, SPATIAL, AffineParameters, rotations, slice_frame
from warpline.space.grid import Grid, apply_affine

CENTRE = np.array([12.0, -30.0, 7.0])
OBLIQUE = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
FREE = ["tx,ty,rz", "rx,sy", "hxy,hxz,hyz", "tx,ty,tz,rx,ry,rz,sx,sy,sz,hxy,hxz,hyz", "tx,sz"]
FREE_IN_PLANE = ["tx,rz", "tx,ty,rz,sx,sy,hxy", "sy"]
MOTIONS = [(name, None) for name in (*SPATIAL, *FREE)] + [(name, OBLIQUE) for name in (*PLANAR, *FREE_IN_PLANE)]


def named(name, plane):
    return AffineParameters.named(name, CENTRE, 55.0, plane)


def matrix_of(motion, parameters):
    return motion.matrices(np.array(parameters, float)[None])[0][0]


def slopes_of(motion, parameters):
    return motion.matrices(np.array(parameters, float)[None])[1][0]


@pytest.mark.parametrize(
    ("name", "plane", "size"),
    [("translation", None, 3), ("rigid", None, 6), ("similarity", None, 7), ("affine", None, 12),
     ("translation", OBLIQUE, 2), ("rigid", OBLIQUE, 3), ("similarity", OBLIQUE, 4), ("affine", OBLIQUE, 6)],
)  # fmt: skip
def test_sizes_and_identity(name, plane, size):
    motion = named(name, plane)
    assert motion.size == size
    assert slopes_of(motion, np.zeros(size)).shape == (size, 3, 4)
    np.testing.assert_allclose(matrix_of(motion, np.zeros(size)), np.eye(4), atol=1e-12)


@pytest.mark.parametrize(("name", "plane"), MOTIONS)
@pytest.mark.parametrize("scale", [0.0, 20.0])
def test_derivatives_match_finite_differences(name, plane, scale):
    motion = named(name, plane)
    here = scale * np.random.default_rng(1).normal(size=motion.size)
    slopes = slopes_of(motion, here)
    step = 1e-4
    for k, unit in enumerate(np.eye(motion.size)):
        difference = matrix_of(motion, here + step * unit) - matrix_of(motion, here - step * unit)
        np.testing.assert_allclose(slopes[k], difference[:3] / (2 * step), atol=2e-7)


@pytest.mark.parametrize(("name", "plane"), MOTIONS)
def test_as_numbers_alone_a_motion_is_the_same(name, plane):
    draw = np.random.default_rng(7)
    start, before, after = (affine(draw) for _ in range(3))
    motion = AffineParameters.after(start, name, CENTRE, 55.0, plane)
    family = motion.family(before[None], after)
    if motion.shifts != tuple(range(len(motion.shifts))):
        assert family is None
        return
    assert family.size == motion.size <= MAX_PARAMETERS
    parameters = 9 * draw.normal(size=motion.size)
    found = family_member(family, 0, parameters).real
    np.testing.assert_allclose(found, before @ matrix_of(motion, parameters) @ after, rtol=1e-12, atol=1e-10)


def affine(draw):
    """A world affine unlike the identity."""
    matrix = np.eye(4)
    matrix[:3, :3] += 0.2 * draw.normal(size=(3, 3))
    matrix[:3, 3] = 30 * draw.normal(size=3)
    return matrix


@pytest.mark.parametrize(("name", "plane"), MOTIONS)
def test_many_motions_are_each_as_it_would_be_alone(name, plane):
    motion = named(name, plane)
    many = np.concatenate([np.zeros((1, motion.size)), np.random.default_rng(4).normal(size=(5, motion.size), scale=9)])
    matrices, slopes = motion.matrices(many)
    for one, matrix, slope in zip(many, matrices, np.broadcast_to(slopes, (6, *slopes.shape[1:])), strict=True):
        np.testing.assert_allclose(matrix, matrix_of(motion, one), rtol=1e-15, atol=1e-13)
        np.testing.assert_allclose(slope, slopes_of(motion, one), rtol=1e-15, atol=1e-13)


@pytest.mark.parametrize("vector", [[0, 0, 0], [1e-9, 0, 0], [0.1, -0.2, 0.3], [0, np.pi, 0], [2, -1, 1.5]])
def test_rotation_agrees_with_scipy(vector):
    expected = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(rotations(np.array([vector], float))[0][0], expected, atol=1e-12)


@pytest.mark.parametrize(("name", "plane"), [m for m in MOTIONS if m[0] in ("rigid", "similarity")])
def test_rigid_keeps_and_similarity_scales_distances(name, plane):
    motion = named(name, plane)
    parameters = np.linspace(-9, 14, motion.size)
    points = np.random.default_rng(2).normal(scale=40, size=(5, 3))
    if plane is not None:  # within one slice
        points = CENTRE + (points @ plane * [1, 1, 0]) @ plane.T
    moved = apply_affine(matrix_of(motion, parameters), points)
    factor = np.exp(parameters[motion.linear_size - 1] / 55.0) if name == "similarity" else 1.0
    np.testing.assert_allclose(np.diff(moved, axis=0) ** 2 @ np.ones(3),
                               factor**2 * (np.diff(points, axis=0) ** 2 @ np.ones(3)))  # fmt: skip


def test_one_unit_of_angle_is_a_millimetre_at_the_radius():
    motion = named("rigid", None)
    point = CENTRE + [0, 55.0, 0]
    moved = apply_affine(matrix_of(motion, [1.0, 0, 0, 0, 0, 0]), point)
    assert np.linalg.norm(moved - point) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("name", list(PLANAR))
def test_planar_motion_stays_in_its_plane(name):
    motion = named(name, OBLIQUE)
    points = np.random.default_rng(3).normal(scale=40, size=(6, 3))
    moved = apply_affine(matrix_of(motion, np.linspace(5, -8, motion.size)), points)
    np.testing.assert_allclose((moved - points) @ OBLIQUE[:, 2], 0, atol=1e-10)


@pytest.mark.parametrize("thin", [0, 1, 2])
def test_slice_frame_is_orthonormal_and_normal_to_the_slice(thin):
    shape = [9, 8, 7]
    shape[thin] = 1
    affine = np.eye(4)
    affine[:3, :3] = OBLIQUE @ np.diag([-1.0, 2.0, 3.0])
    frame = slice_frame(Grid(tuple(shape), affine))
    np.testing.assert_allclose(frame.T @ frame, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1)
    within = np.delete(affine[:3, :3], thin, axis=1)
    np.testing.assert_allclose(frame[:, 2] @ within, 0, atol=1e-12)


def test_volumes_have_no_slice_frame():
    assert slice_frame(Grid((5, 6, 7), np.eye(4))) is None


# -- counted in the moving world ------------------------------------------------------------------------------------

START = np.eye(4)
START[:3, :3] = OBLIQUE @ np.diag([1.1, 0.9, 1.05])
START[:3, 3] = 20, -5, 11


@pytest.mark.parametrize("plane", [None, np.eye(3)])
@pytest.mark.parametrize(
    ("name", "size", "flat"), [("rotation", 3, 1), ("scaling", 1, 1), ("rigid_scaling", 9, 5), ("rigid", 6, 3)]
)
def test_motions_after_a_start(name, size, flat, plane):
    start = START if plane is None else np.array([[0.9, -0.2, 0, 4], [0.3, 1.1, 0, -7], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    motion = AffineParameters.after(start, name, CENTRE, 55.0, plane)
    assert motion.size == (size if plane is None else flat)
    np.testing.assert_allclose(matrix_of(motion, np.zeros(motion.size)), np.eye(4), atol=1e-12)
    here = 9 * np.random.default_rng(3).normal(size=motion.size)
    slopes = slopes_of(motion, here)
    for k, unit in enumerate(np.eye(motion.size)):
        difference = matrix_of(motion, here + 1e-4 * unit) - matrix_of(motion, here - 1e-4 * unit)
        np.testing.assert_allclose(slopes[k], difference[:3] / 2e-4, atol=2e-7)
    after = start @ matrix_of(motion, here) @ np.linalg.inv(start)
    stretch = np.linalg.norm(after[:3, :3], axis=1)  # diag(s) R has rows of length s
    unit_rows = after[:3, :3] / stretch[:, None]
    if name != "rigid":
        np.testing.assert_allclose(unit_rows @ unit_rows.T, np.eye(3), atol=1e-9)
    if name in ("rotation", "scaling"):
        np.testing.assert_allclose(after[:3, 3], 0, atol=1e-9)
    if name == "rotation":
        np.testing.assert_allclose(stretch, 1, atol=1e-9)
    if plane is not None:
        np.testing.assert_allclose(after[2], [0, 0, 1, 0], atol=1e-12)


# -- degrees of freedom ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "moved"), [("tx", [1, 0, 0]), ("tz", [0, 0, 1]), ("tx,tz", [1, 0, 1])])
def test_free_translations_move_along_their_axes_alone(name, moved):
    motion = named(name, None)
    np.testing.assert_allclose(matrix_of(motion, np.ones(motion.size))[:3, 3], moved)
    assert (motion.family(np.eye(4)[None], np.eye(4)) is None) == ("z" in name)


@pytest.mark.parametrize(("name", "axis"), [("rx", 0), ("rz", 2)])
def test_a_free_rotation_keeps_its_axis(name, axis):
    matrix = matrix_of(named(name, None), [20.0])
    along = apply_affine(matrix, CENTRE + 50 * np.eye(3)[axis])
    np.testing.assert_allclose(along, CENTRE + 50 * np.eye(3)[axis], atol=1e-12)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)


def test_free_scales_and_shears_are_entries_of_the_matrix():
    matrix = matrix_of(named("sy,hxz", None), [5.5, 11.0])[:3, :3]
    np.testing.assert_allclose(matrix, [[1, 0, 0.2], [0, np.exp(0.1), 0], [0, 0, 1]], atol=1e-12)


def test_all_degrees_of_freedom_span_an_affine():
    slopes = slopes_of(named(FREE[3], None), np.zeros(12))
    assert np.linalg.matrix_rank(slopes.reshape(12, 12)) == 12


def test_a_rigid_motion_by_its_degrees_of_freedom_is_the_same():
    parameters = np.linspace(-9, 14, 6)
    expected = matrix_of(named("rigid", None), parameters)
    np.testing.assert_allclose(matrix_of(named("tx,ty,tz,rx,ry,rz", None), parameters), expected, atol=1e-12)


def test_slices_refuse_what_leads_out_of_their_plane():
    with pytest.raises(UsageError, match=r"tz, rx of 'tx,tz,rx' move points out of the plane .* tx, ty, rz, sx"):
        AffineParameters.named("tx,tz,rx", CENTRE, 55.0, np.eye(3))
