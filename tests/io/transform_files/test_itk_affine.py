"""Affine transforms in ITK's MATLAB files: what ITK, SimpleITK and ANTs write and read."""

from __future__ import annotations

import struct

import ants
import numpy as np
import pytest
import SimpleITK
from scipy.io import loadmat, savemat

from warpline.errors import InputError, UsageError
from warpline.io.transform_files import itk_affine, read_transform, write_transform
from warpline.space import Affine, Chain

LPS = np.array((-1.0, -1.0, 1.0))
POINTS = np.random.default_rng(1).uniform(-90, 90, (20, 3))


def sheared(seed=0):
    matrix = np.eye(4)
    matrix[:3] += np.random.default_rng(seed).normal(scale=0.2, size=(3, 4))
    matrix[:3, 3] *= 300
    return Affine(matrix)


def map_with_itk(transform, points):
    return np.array([transform.TransformPoint(point) for point in (points * LPS).tolist()]) * LPS


def test_a_point_by_hand(tmp_path):
    # turned by 90 degrees about z and doubled along it, about the LPS point (1, 2, 3), then shifted by (10, 0, 0)
    parameters = np.array([0, -1, 0, 1, 0, 0, 0, 0, 2, 10, 0, 0.0])[:, None]
    variables = {"AffineTransform_double_3_3": parameters, "fixed": np.array([1.0, 2, 3])[:, None]}
    savemat(tmp_path / "a.mat", variables, format="4")
    # RAS (-2, -2, 4) is LPS (2, 2, 4): offset (1, 0, 1) -> (0, 1, 2) -> LPS (11, 3, 5), which is RAS (-11, -3, 5)
    np.testing.assert_allclose(read_transform(tmp_path / "a.mat").map_points([-2, -2, 4]), (-11, -3, 5))


def test_round_trip_is_exact(tmp_path):
    write_transform(sheared(), tmp_path / "a.mat")
    back = read_transform(tmp_path / "a.mat")
    assert isinstance(back, Affine)
    np.testing.assert_array_equal(back.matrix, sheared().matrix)


@pytest.mark.parametrize("centre", [(0, 0, 0), (12.5, -40, 7)])
def test_itk_maps_points_as_we_do(tmp_path, centre):
    (tmp_path / "a.mat").write_bytes(itk_affine.encode(sheared(), centre))
    theirs = SimpleITK.ReadTransform(str(tmp_path / "a.mat"))
    assert theirs.GetName() == "AffineTransform"
    np.testing.assert_allclose(np.array(theirs.GetFixedParameters()) * LPS, centre)
    np.testing.assert_allclose(map_with_itk(theirs, POINTS), sheared().map_points(POINTS), atol=1e-11)
    np.testing.assert_allclose(read_transform(tmp_path / "a.mat").matrix, sheared().matrix, atol=1e-12)


@pytest.mark.parametrize("precision", ["double", "float"])
def test_reads_what_ants_writes_around_any_centre(tmp_path, precision):
    rng = np.random.default_rng(5)
    linear = np.eye(3) + rng.normal(scale=0.2, size=(3, 3))
    parameters = np.concatenate([linear.ravel(), rng.normal(scale=30, size=3)])
    theirs = ants.create_ants_transform(
        "AffineTransform", precision=precision, parameters=parameters, fixed_parameters=[10.0, -20.5, 33.0]
    )
    ants.write_transform(theirs, str(tmp_path / "a.mat"))
    mapped = np.array([theirs.apply_to_point(tuple(point)) for point in POINTS * LPS]) * LPS
    atol = 1e-10 if precision == "double" else 1e-4
    np.testing.assert_allclose(read_transform(tmp_path / "a.mat").map_points(POINTS), mapped, atol=atol)


def test_scipy_reads_the_two_variables(tmp_path):
    write_transform(Affine.identity(), tmp_path / "a.mat")
    variables = loadmat(tmp_path / "a.mat")
    assert variables["AffineTransform_double_3_3"].ravel().tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    assert variables["fixed"].ravel().tolist() == [0, 0, 0]


def test_a_chain_of_one_is_written_as_its_part(tmp_path):
    write_transform(Chain((sheared(),)), tmp_path / "a.mat")
    np.testing.assert_array_equal(read_transform(tmp_path / "a.mat").matrix, sheared().matrix)


def bad_files():
    good = itk_affine.encode(sheared())
    yield "truncated", good[:-10], "damaged or truncated"
    yield "no-centre", good[:143], "damaged or truncated"
    yield "huge", good[:4] + struct.pack("<i", 2**31 - 1) + good[8:], "damaged or truncated"
    yield "negative", good[:4] + struct.pack("<i", -12) + good[8:], "damaged or truncated"
    yield "wide", good[:8] + struct.pack("<i", 2) + good[12:], "no transform file of a known format"
    yield "other-class", good.replace(b"AffineTransform_", b"Euler3DTransform"), "holds a Euler3DTransform"
    yield "2-d", good.replace(b"_3_3", b"_2_2"), "has 12 parameters and 3 fixed parameters; 6 and 2 are needed by Aff"
    yield "nan", good.replace(good[47:55], struct.pack("<d", np.nan)), "singular or not finite; write"
    yield "singular", good.replace(good[47:119], bytes(72)), "singular or not finite"
    yield "text", b"#Insight Transform File V1.0\n", "is no ITK transform in text form"
    yield "other-text", b"Insight Transform File V1.0\n", "no transform file of a known format; itk-affine, "
    yield "empty", b"", "no transform file of a known format"


BAD_FILES = [pytest.param(*case, id=name) for name, *case in bad_files()]


@pytest.mark.parametrize(("content", "message"), BAD_FILES)
def test_bad_file_is_named(tmp_path, content, message):
    (tmp_path / "bad.mat").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_transform(tmp_path / "bad.mat")
    assert "bad.mat" in str(caught.value)


def test_parameter_counts_are_checked(tmp_path):
    savemat(tmp_path / "bad.mat", {"AffineTransform_double_3_3": np.ones((6, 1)), "fixed": np.ones((3, 1))}, format="4")
    with pytest.raises(
        InputError, match="has 6 parameters and 3 fixed parameters; 12 and 3 are needed by AffineTransform_"
    ):
        read_transform(tmp_path / "bad.mat")


def test_writing_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no format stores Affine under this name; there are itk-text \(\.tfm "):
        write_transform(sheared(), tmp_path / "a.mat", "itk-text")
    assert list(tmp_path.iterdir()) == []
