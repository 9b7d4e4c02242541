"""ITK's displacement fields as parameters, against SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from itk_peers import TURN, made_field, mapped, through
from made_transforms import LPS
from warpline.io.transform_files import read_transform


@pytest.mark.parametrize("container", ["mat", "tfm", "txt", "h5"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_fields(tmp_path, dimension, container):
    theirs, path = made_field(dimension), tmp_path / f"t.{container}"
    SimpleITK.WriteTransform(theirs, str(path))
    ours = read_transform(path)
    lps = np.array((4.0, -6, 9))[:dimension] + np.random.default_rng(1).uniform(0, 9, (30, dimension)) @ (
        TURN[:dimension, :dimension].T
    )
    points = lps * LPS[:dimension]
    np.testing.assert_allclose(through(ours, points), mapped(theirs, points), atol=1e-5)
    assert ours.flat == (dimension == 2) and np.abs(through(ours, points) - points).max() > 0.1
