"""`AffineMap` and the initialisers against DIPY's own."""

from __future__ import annotations

import numpy as np
import pytest

from dipy_affine_maps import GRIDS, both, image, shear
from warpline import dipy as ours
from warpline.errors import UsageError

theirs = pytest.importorskip("dipy.align.imaffine")


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("shift", [0.3, 9.0, 500.0], ids=["inside", "half out", "out of view"])
@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "i4"])
def test_images_are_carried_as_by_dipy(dim, shift, interpolation, dtype):
    mine, real = both(dim, shear(dim, shift))
    static, moving = (image(shape, dtype) for shape, _ in GRIDS[dim])
    for method, source in (("transform", moving), ("transform_inverse", static)):
        expected = getattr(real, method)(source, interpolation=interpolation)
        carried = getattr(mine, method)(source, interpolation)
        assert carried.dtype == expected.dtype
        np.testing.assert_allclose(carried, expected, rtol=1e-12, atol=1e-9)
        assert shift > 100 or carried.any()


@pytest.mark.parametrize("dim", [2, 3])
def test_other_grids_and_no_affine(dim):
    mine, real = both(dim, shear(dim))
    source = image((8, 9, 10)[:dim], "f8")
    how = {
        "image_grid2world": shear(dim, 2.0),
        "sampling_grid_shape": (7, 6, 5)[:dim],
        "sampling_grid2world": shear(dim, -1.0) @ np.diag([1.1] * dim + [1]),
        "resample_only": True,
    }
    np.testing.assert_allclose(mine.transform(source, **how), real.transform(source, **how), atol=1e-9)
    np.testing.assert_allclose(mine.transform_inverse(source, **how), real.transform_inverse(source, **how), atol=1e-9)


def test_identity_and_copies():
    matrix = shear(3)
    mapping = ours.AffineMap(matrix)
    matrix[0, 0] = 7
    assert mapping.affine[0, 0] != 7
    mapping.get_affine()[0, 0] = 9
    assert mapping.affine[0, 0] != 9
    nothing = ours.AffineMap(None, (3, 3), None, (3, 3))
    assert nothing.get_affine() is None
    np.testing.assert_array_equal(nothing.transform(np.eye(3)), np.eye(3))


def test_formats_as_dipy():
    mine, real = both(3, shear(3))
    for spec in ("", "f", "full", "r", "rotation", "t", "Translation"):
        assert format(mine, spec) == format(real, spec)
    assert (str(mine), repr(mine)) == (str(real), repr(real))
    with pytest.raises(UsageError, match="full, rotation, translation"):
        format(mine, "nonsense")


@pytest.mark.parametrize(
    ("matrix", "name"),
    [
        (np.ones((2, 3)), "AffineInversionError"),
        (np.ones(4), "AffineInversionError"),
        (np.diag([1.0, 0, 1, 1]), "AffineInversionError"),
        (np.diag([1.0, np.nan, 1, 1]), "AffineInvalidValuesError"),
        (np.diag([1.0, 1, 1, 2]), "AffineInvalidValuesError"),
        (np.eye(4) + np.eye(4, k=-1), "AffineInvalidValuesError"),
    ],
)
def test_matrices_refused_as_by_dipy(matrix, name):
    with pytest.raises(getattr(theirs, name)):
        theirs.AffineMap(matrix)
    with pytest.raises(getattr(ours, name)):
        ours.AffineMap(matrix)


def test_calls_refused_as_by_dipy():
    for call in (
        lambda kind: kind(np.eye(4)).transform(np.zeros((3, 3, 3))),
        lambda kind: both(3, np.eye(4))[kind is theirs.AffineMap].transform(np.zeros((3, 3, 3, 3))),
        lambda kind: both(3, np.eye(4))[kind is theirs.AffineMap].transform(np.zeros((3, 3, 3)), interpolation="cubic"),
    ):
        for kind in (theirs.AffineMap, ours.AffineMap):
            with pytest.raises(ValueError):
                call(kind)


@pytest.mark.parametrize("name", ["transform_centers_of_mass", "transform_geometric_centers", "transform_origins"])
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("with_grids", [True, False])
def test_initialisers_as_dipy(name, dim, with_grids):
    (static_shape, static), (moving_shape, moving) = GRIDS[dim]
    args = (
        image(static_shape, "f8", 1),
        static if with_grids else None,
        image(moving_shape, "f8", 2),
        moving if with_grids else None,
    )
    mine, real = getattr(ours, name)(*args), getattr(theirs, name)(*args)
    np.testing.assert_allclose(mine.affine, real.affine, atol=1e-12)
    np.testing.assert_allclose(mine.transform(args[2]), real.transform(args[2]), atol=1e-9)
