"""FreeSurfer's description of a volume, against nibabel's."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from made_transforms import AXES, made_grid
from warpline.errors import InputError
from warpline.io.transform_files.freesurfer_space import Volume


@pytest.mark.parametrize("axes", AXES)
def test_the_description_is_that_of_an_mgh_header(axes):
    grid = made_grid(axes)
    header = nibabel.MGHImage(np.zeros(grid.shape, np.float32), grid.affine).header
    found = Volume.of(grid)
    np.testing.assert_array_equal(found.shape, header.get_data_shape())
    np.testing.assert_allclose(found.voxel_size, header["delta"], rtol=1e-6)
    np.testing.assert_allclose(found.cosines, header["Mdc"].T, atol=1e-6)
    np.testing.assert_allclose(found.middle, header["Pxyz_c"], rtol=1e-5)


@pytest.mark.parametrize("axes", AXES)
def test_a_grid_comes_back_from_its_description(axes):
    grid = made_grid(axes)
    back = Volume.of(grid).grid("again")
    assert back.shape == grid.shape
    np.testing.assert_allclose(back.affine, grid.affine, atol=1e-5)


def test_a_description_of_nothing_is_named():
    flat = Volume(np.ones(3), np.zeros(3), np.eye(3), np.zeros(3))
    with pytest.raises(InputError, match="dst volume"):
        flat.grid("dst volume")
