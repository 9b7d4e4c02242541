"""Axes, units and scales of OME-NGFF, to a matrix and back."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.io.ngff_metadata import MOST_LEVELS, Axis, Level, encode, oriented_axes, parse
from warpline.space.grid import Grid

SPACE = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
SCALE = {"type": "scale", "scale": [500.0, 200.0, 100.0]}
MOVE = {"type": "translation", "translation": [3000.0, 2000.0, 1000.0]}


def attributes(**changes):
    datasets = [{"path": "0", "coordinateTransformations": [SCALE, MOVE]}]
    return {"multiscales": [{"version": "0.4", "axes": SPACE, "datasets": datasets, **changes}]}


def affine(**changes):
    found = parse(attributes(**changes), "image")
    return found.affine(found.levels[0])


def test_without_orientation_axes_run_to_left_back_and_top():
    found = parse(attributes(), "image")
    expected = [[-0.1, 0, 0, -1], [0, -0.2, 0, -2], [0, 0, 0.5, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(found.affine(found.levels[0]), expected)
    (note,) = found.notes()
    assert "left and right are a guess" in note


def test_orientations_say_where_axes_run():
    values = ("left-to-right", "superior-to-inferior", "posterior-to-anterior")
    oriented = [
        {**axis, "orientation": {"type": "anatomical", "value": v}} for axis, v in zip(SPACE, values, strict=True)
    ]
    expected = [[0, 0, 0.5, 3], [0.1, 0, 0, 1], [0, -0.2, 0, -2], [0, 0, 0, 1]]
    np.testing.assert_allclose(affine(axes=oriented), expected)
    assert parse(attributes(axes=oriented), "image").notes() == []


def test_transformations_of_the_pyramid_come_last():
    outer = [{"type": "scale", "scale": [2.0, 2.0, 2.0]}, {"type": "translation", "translation": [0.0, 0.0, 10.0]}]
    found = affine(coordinateTransformations=outer)
    np.testing.assert_allclose(found[0], [-0.2, 0, 0, -2.01])


def test_version_5_keeps_everything_under_ome():
    inner = attributes()
    del inner["multiscales"][0]["version"]
    assert len(parse({"ome": {"version": "0.5", **inner}}, "image").levels) == 1


def test_axes_without_unit_count_as_mm():
    bare = [{"name": axis["name"]} for axis in SPACE]
    assert affine(axes=bare)[2, 2] == 500.0
    assert "no unit" in parse(attributes(axes=bare), "image").notes()[1]


def test_an_image_of_two_axes_lies_in_the_plane():
    flat = [{"type": "scale", "scale": [2.0, 3.0]}]
    found = affine(axes=SPACE[1:], datasets=[{"path": "0", "coordinateTransformations": flat}])
    np.testing.assert_allclose(found[:3, :3], np.diag([-0.003, -0.002, 1.0]))


BROKEN = {
    "nothing": ({}, "no multiscales"),
    "empty": ({"multiscales": []}, "no multiscales"),
    "version": (attributes(version="0.1"), "version '0.1'"),
    "no axes": (attributes(axes=None), "2 to 5 axes"),
    "axis": (attributes(axes=[*SPACE, {"name": "q"}]), "named 'q'"),
    "twice": (attributes(axes=[SPACE[1], SPACE[2], SPACE[2]]), "its axes are"),
    "unit": (attributes(axes=[*SPACE[:2], {"name": "x", "unit": "parsec"}]), "'parsec'"),
    "orientation": (attributes(axes=[*SPACE[:2], {"name": "x", "orientation": "up"}]), "runs 'up'"),
    "clash": (attributes(axes=[*SPACE[:2], {"name": "x", "orientation": "inferior-to-superior"}]), "do not fit"),
    "levels": (attributes(datasets=[{"path": "0"}] * (MOST_LEVELS + 1)), "no levels, or more"),
    "outside": (attributes(datasets=[{"path": "../0"}]), "no path within"),
    "absolute": (attributes(datasets=[{"path": "/etc"}]), "no path within"),
    "kind": (attributes(coordinateTransformations=[{"type": "affine"}]), "type 'affine'"),
    "count": (attributes(coordinateTransformations=[{"type": "scale", "scale": [1.0]}]), "3 finite numbers"),
    "zero": (attributes(coordinateTransformations=[{"type": "scale", "scale": [0, 1, 1]}]), "scale of 0"),
    "nan": (attributes(coordinateTransformations=[{"type": "scale", "scale": [float("nan"), 1, 1]}]), "finite numbers"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_damaged_is_refused_in_words(fault):
    given, words = BROKEN[fault]
    with pytest.raises(InputError, match=words):
        parse(copy.deepcopy(given), "image")


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_a_grid_comes_back(signs):
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3)[:, [1, 2, 0]] * signs * [1.5, 2.0, 0.5]
    matrix[:3, 3] = 10.0, -20.0, 30.0
    axes = oriented_axes(Grid((4, 5, 6), matrix))[::-1]
    scale, start = (np.array([one[n] for one in axes]) for n in (1, 2))
    written = json.loads(json.dumps(encode([one[0] for one in axes], [Level("0", scale, start)], "image")))
    found = parse(written, "image")
    np.testing.assert_allclose(found.affine(found.levels[0]), matrix)
    assert found.notes() == [] and found.axes[0] == Axis("z", "millimeter", axes[0][0].orientation)


def test_an_oblique_grid_is_refused():
    turned = np.eye(4)
    turned[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    with pytest.raises(InputError, match="oblique"):
        oriented_axes(Grid((4, 5, 6), turned))
