"""Motion in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from made_series import rigid
from warpline.series.motion import COLUMNS, Motion, TimeCourses, numbered

CENTRE = np.array([5.0, -7, 11])


def test_parameters_are_shift_of_the_centre_and_angles():
    motion = Motion.of(np.stack([np.eye(4), rigid((1, 2, 3), (4, 5, 6))]), CENTRE)
    np.testing.assert_allclose(motion.parameters[1], [1, 2, 3, *np.radians((4, 5, 6))], atol=1e-9)


def test_framewise_displacement_is_powers():
    motion = Motion.of(np.stack([np.eye(4), rigid((0.1, -0.2, 0.3), (0, 1, 0))]), CENTRE)
    assert np.isnan(motion.framewise_displacement[0])
    assert motion.framewise_displacement[1] == pytest.approx(0.6 + 50 * np.radians(1))
    assert motion.beyond(1.4) == [1]
    assert motion.beyond(1.5) == []


def test_deviation_is_the_mean_over_a_sphere():
    """Against points spread over the sphere of 80 mm."""
    before, after = rigid((0.5, 0, -1), (1, 0, 2)), rigid((1, 2, 0), (0, 2, 1))
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200000, 3))
    points *= 80 * rng.random((len(points), 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    apart = (after @ np.linalg.inv(before) - np.eye(4))[:3]
    moved = (points + CENTRE) @ apart[:, :3].T + apart[:, 3]
    motion = Motion.of(np.stack([before, after]), CENTRE)
    assert motion.rmsd[1] == pytest.approx(np.sqrt(np.square(moved).sum(axis=1).mean()), rel=5e-3)


def test_table_has_fmripreps_columns():
    courses = np.array([np.nan, 2.0])
    motion = Motion.of(np.stack([np.eye(4)] * 2), CENTRE)
    whole = Motion(motion.parameters, motion.framewise_displacement, motion.rmsd, courses, courses)
    head, first, second = whole.table().splitlines()
    assert tuple(head.split("\t")) == COLUMNS
    assert first.split("\t")[6:] == ["n/a"] * 4
    assert second.split("\t") == ["0"] * 8 + ["2", "2"]
    assert "dvars" not in motion.table()


def test_dvars_of_noise_alone_is_one():
    rng = np.random.default_rng(0)
    volumes = rng.normal(100, 5, (60, 10, 10, 10)).astype(np.float32)
    volumes[30] += 20
    courses = TimeCourses(np.ones((10, 10, 10), bool), 60)
    passed = list(courses.passing(volumes))
    dvars, standard = courses.dvars()
    np.testing.assert_array_equal(passed[7], volumes[7])
    assert np.isnan(dvars[0])
    assert dvars[5] == pytest.approx(50 * np.sqrt(2), rel=0.1)
    assert np.median(standard[1:]) == pytest.approx(1, abs=0.1)
    assert standard[30] > 2


def test_dvars_does_not_depend_on_the_units_of_values():
    volumes = np.random.default_rng(0).normal(100, 5, (5, 4, 4, 4)).astype(np.float32)
    volumes[:, 0] = 100  # hardly any change: such voxels do not count
    found = []
    for gain, foreground in ((1, slice(None)), (7, slice(1, None))):
        mask = np.zeros((4, 4, 4), bool)
        mask[foreground] = True
        courses = TimeCourses(mask, 5)
        list(courses.passing(gain * volumes))
        found.append(courses.dvars())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-2)


def test_dvars_of_two_volumes_has_no_standard():
    courses = TimeCourses(np.ones((2, 2, 2), bool), 2)
    list(courses.passing(np.stack([np.full((2, 2, 2), value, np.float32) for value in (99, 101)])))
    dvars, standard = courses.dvars()
    assert dvars[1] == pytest.approx(20)
    assert np.isnan(standard).all()


def test_dvars_of_an_empty_foreground_is_nothing():
    courses = TimeCourses(np.zeros((2, 2, 2), bool), 3)
    list(courses.passing(np.ones((3, 2, 2, 2), np.float32)))
    dvars, standard = courses.dvars()
    assert dvars[1:].tolist() == [0, 0]
    assert np.isnan(standard).all()


def test_many_numbers_are_cut():
    assert numbered([3, 5]) == "3, 5"
    assert numbered(range(20)).endswith("and 8 more")
