"""Displacement fields in NRRD and MetaImage, against SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from made_transforms import LPS
from warpline.io.transform_files import read_transform


@pytest.mark.parametrize("name", ["f.nrrd", "f.mhd", "f.mha", "f.nhdr"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_displacement_fields_move_points_as_in_simpleitk(tmp_path, name, dimension):
    shape = (7, 6, 5)[:dimension]
    theirs = SimpleITK.GetImageFromArray(np.random.default_rng(0).normal(size=(*shape[::-1], dimension)), isVector=True)
    theirs.SetOrigin((4.0, -6, 9)[:dimension])
    theirs.SetSpacing((2.0, 3, 4)[:dimension])
    SimpleITK.WriteImage(theirs, str(tmp_path / name))
    ours, points = read_transform(tmp_path / name), np.random.default_rng(1).uniform((4, -6, 9), (15, 8, 24), (20, 3))
    points[:, dimension:] = 0
    judge = SimpleITK.DisplacementFieldTransform(theirs)
    expected = points.copy()
    expected[:, :dimension] = [judge.TransformPoint(point) for point in points[:, :dimension].tolist()]
    np.testing.assert_allclose(ours.map_points(points * LPS), expected * LPS, atol=1e-5)
    assert ours.flat == (dimension == 2)
