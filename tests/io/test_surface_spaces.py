"""Surfaces that are not in scanner space: taken there, said, or refused."""

from __future__ import annotations

import logging
from xml.etree import ElementTree

import nibabel
import numpy as np
import pytest
from nibabel.gifti import GiftiDataArray, GiftiImage
from nibabel.gifti.gifti import GiftiCoordSystem, GiftiMetaData
from scipy.spatial.transform import Rotation

from warpline.errors import InputError
from warpline.io.surfaces import read_surface, write_surface

VERTICES = np.random.default_rng(0).normal(0, 30, (20, 3)).astype(np.float32)
CENTRE = np.array([5.0, -17, 23])
TURN = Rotation.from_euler("xyz", (10, -20, 5), degrees=True).as_matrix()
PLAIN = {"X": (-1, 0, 0), "Y": (0, 0, -1), "Z": (0, 1, 0)}
"""Directions of the voxel axes of a volume that FreeSurfer conformed."""


def geometry(turn=None):
    turn = np.eye(3) if turn is None else turn
    axes = {f"VolGeom{a}_{s}": v for a, d in PLAIN.items() for s, v in zip("RAS", turn @ np.array(d), strict=True)}
    centre = {f"VolGeomC_{side}": value for side, value in zip("RAS", CENTRE, strict=True)}
    return {**axes, **centre, **dict.fromkeys(("VolGeomWidth", "VolGeomHeight", "VolGeomDepth"), 256)}


def homogeneous(linear, shift):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, shift
    return matrix


def saved(path, system, meta=None, extra=()):
    known = {key: str(value) for key, value in {"AnatomicalStructurePrimary": "CortexLeft", **(meta or {})}.items()}
    points = GiftiDataArray(
        VERTICES, "NIFTI_INTENT_POINTSET", "NIFTI_TYPE_FLOAT32", coordsys=system, meta=GiftiMetaData(known)
    )
    nibabel.save(GiftiImage(darrays=[points, *extra]), path)
    return path


MOVED = homogeneous(np.eye(3), CENTRE)


@pytest.mark.parametrize(
    ("system", "meta", "expected", "message"),
    [
        ((1, 1, np.eye(4)), {}, VERTICES, None),
        ((1, 1, np.eye(4)), geometry(), VERTICES, None),
        ((1, 3, MOVED), {}, VERTICES, None),
        ((0, 3, np.eye(4)), geometry(), VERTICES + CENTRE, "surface coordinates, whose origin is at 5, -17, 23 mm"),
        ((0, 3, MOVED), geometry(TURN), VERTICES @ TURN.T + CENTRE, "surface coordinates"),
        ((0, 1, MOVED), geometry(), VERTICES + CENTRE, "by the matrix in the file"),
        ((0, 1, homogeneous(TURN, CENTRE)), {}, VERTICES @ TURN.T + CENTRE, "by the matrix in the file"),
        ((3, 1, MOVED), {}, VERTICES + CENTRE, "by the matrix in the file"),
        ((0, 0, np.eye(4)), {}, VERTICES, "does not say in which space it is"),
        ((4, 4, np.eye(4)), {}, VERTICES, "is in MNI-152 space"),
    ],
)
def test_vertices_are_taken_to_world_space(tmp_path, caplog, system, meta, expected, message):
    path = saved(tmp_path / "a.surf.gii", GiftiCoordSystem(*system), meta)
    with caplog.at_level(logging.WARNING, "warpline"):
        surface = read_surface(path)
    np.testing.assert_allclose(surface.points, expected, atol=1e-4)
    assert (message or "") in caplog.text and bool(message) == bool(caplog.messages)
    caplog.clear()
    write_surface(surface, tmp_path / "b.surf.gii", surface.points)
    np.testing.assert_allclose(read_surface(tmp_path / "b.surf.gii").points, expected, atol=1e-4)
    assert caplog.messages == []


def test_written_surfaces_name_their_space_and_nothing_stale(tmp_path, caplog):
    normals = GiftiDataArray(VERTICES, "NIFTI_INTENT_VECTOR", "NIFTI_TYPE_FLOAT32")
    path = saved(tmp_path / "a.surf.gii", GiftiCoordSystem(0, 3, MOVED), geometry(), [normals])
    write_surface(read_surface(path), tmp_path / "b.surf.gii", VERTICES)
    (points,) = nibabel.load(tmp_path / "b.surf.gii").darrays
    assert (points.coordsys.dataspace, points.coordsys.xformspace) == (1, 1)
    np.testing.assert_array_equal(points.coordsys.xform, np.eye(4))
    assert dict(points.meta) == {"AnatomicalStructurePrimary": "CortexLeft"}
    assert "without the normals" in caplog.text


@pytest.mark.parametrize(
    ("system", "meta", "message"),
    [
        ((0, 1, np.eye(4)), geometry(), r"contradicts itself: .* are 23\.00 mm apart"),
        ((0, 1, np.zeros((4, 4))), {}, "its matrix to scanner space ends in the row"),
        ((0, 3, np.eye(4)), {**geometry(), "VolGeomC_A": "x"}, "damaged volume geometry"),
        ((0, 3, np.eye(4)), {**geometry(), "VolGeomC_A": "nan"}, "NaN or infinite"),
        ((0, 3, np.eye(4)), {"VolGeomC_R": 1}, "damaged volume geometry"),
    ],
)
def test_contradictions_and_damage_are_refused(tmp_path, system, meta, message):
    path = saved(tmp_path / "a.surf.gii", GiftiCoordSystem(*system), meta)
    with pytest.raises(InputError, match=message):
        read_surface(path)


def test_of_several_systems_the_one_to_scanner_space_counts(tmp_path):
    path = saved(tmp_path / "a.surf.gii", GiftiCoordSystem(0, 1, MOVED))
    other = GiftiCoordSystem(0, 3, np.diag([2.0, 2, 2, 1]))._to_xml_element()
    end = b"</CoordinateSystemTransformMatrix>"
    text = path.read_bytes().replace(end, end + ElementTree.tostring(other), 1)
    path.write_bytes(text)
    assert nibabel.load(path).darrays[0].coordsys.xformspace == 3  # nibabel keeps the last
    np.testing.assert_allclose(read_surface(path).points, VERTICES + CENTRE, atol=1e-4)
