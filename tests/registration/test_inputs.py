"""Reading the inputs of a registration: starts, masks, headers, slices, other loaders."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from made_registrations import FIXED_AFFINE, MOVING_AFFINE, NO_STAGES, QUICK_RIGID, SHAPE
from warpline.errors import InputError
from warpline.images import Image
from warpline.io.images import read_image
from warpline.io.transform_files import write_transform
from warpline.registration import in_one_plane, inputs, load, register
from warpline.space import Displacement
from warpline.space.grid import Grid


def test_a_start_that_is_not_affine_is_refused(paths, tmp_path):
    write_transform(Displacement(np.zeros((3, *SHAPE), np.float32), Grid(SHAPE, FIXED_AFFINE)), tmp_path / "w.nii.gz")
    with pytest.raises(InputError, match=r"w\.nii\.gz is not affine"):
        inputs.read(*paths, NO_STAGES, initial=tmp_path / "w.nii.gz")


def test_what_headers_leave_open_stands_in_the_report(paths, tmp_path):
    moving = nibabel.load(paths[1])
    moving.set_sform(moving.affine, 4)
    moving.set_qform(np.diag((1, 1, -1, 1)) @ moving.affine, 1)
    nibabel.save(moving, tmp_path / "open.nii")
    made = register(paths[0], tmp_path / "open.nii", QUICK_RIGID, backend="numpy")
    (warning,) = (text for text in made.report["warnings"] if "open.nii" in text)
    assert "placed by the sform (code 4)" in warning and "and mirrored" in warning
    assert made.report["geometry"] is None
    assert [made.report["inputs"][name]["matrix"] for name in ("fixed", "moving")] == ["sform", "sform"]
    assert made.inverse_warped.grid == read_image(paths[1]).grid and made.inverse_warped.grid.notes == ()
    other = inputs.read(paths[0], tmp_path / "open.nii", QUICK_RIGID, geometry="qform")
    assert other.described["moving"]["matrix"] == "qform" and other.geometry == "qform"
    np.testing.assert_allclose(other.images["moving"].affine, np.diag((1, 1, -1, 1)) @ MOVING_AFFINE, atol=1e-5)


def test_reading_computes_nothing_and_keeps_the_images(paths):
    found = inputs.read(*paths, NO_STAGES)
    assert set(found.images) == {"fixed", "moving"}
    np.testing.assert_array_equal(found.images["fixed"].data, read_image(paths[0]).data)
    assert set(found.seconds) == {"read", "check"}
    assert found.initial is None and found.notes == ()


def test_another_loader_may_read_the_images(paths):
    asked = []

    def cached(source, name, geometry):
        asked.append((source, name, geometry))
        return load(source, name, geometry)

    inputs.read(*paths, NO_STAGES, load=cached)
    assert asked == [(paths[0], "fixed", None), (paths[1], "moving", None)]


def plane_at(height, flat=True):
    affine = np.eye(4)
    affine[2, 3] = height
    return Image(np.zeros((3, 4, 1)), Grid((3, 4, 1), affine, flat))


def test_planar_images_are_moved_to_the_fixed_plane():
    images = in_one_plane({"fixed": plane_at(0), "moving": plane_at(7)})
    assert images["moving"].affine[2, 3] == 0


def test_slices_of_volumes_stay_at_their_height():
    images = in_one_plane({"fixed": plane_at(0), "moving": plane_at(7, flat=False)})
    assert images["moving"].affine[2, 3] == 7
