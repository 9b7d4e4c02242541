"""What headers leave open is logged once, where a file is read."""

from __future__ import annotations

import logging

import nibabel
import numpy as np
import pytest

import warpline
from made_headers import HEADERS, MIRRORED, ONE, SHAPE, write_header
from warpline.operations import apply, jacobian, read_chain
from warpline.space import Affine


@pytest.fixture
def path(tmp_path):
    data = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    return write_header(tmp_path / "open.nii", **HEADERS["sform 4"], data=data)


def heard(caplog):
    notes = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return notes


def test_a_file_is_spoken_of_when_it_is_read_and_not_again(path, caplog):
    image = warpline.read_image(path)
    (note,) = heard(caplog)
    assert note.startswith(f"{path}: its voxels are placed by the sform (code 4)")
    made = apply(image, image, Affine.identity(), backend="numpy")
    assert heard(caplog) == []
    assert image.grid.notes == (note,) and made.grid.notes == ()


def test_apply_warns_once_of_an_image_as_its_own_reference(path, caplog):
    for source in (path, nibabel.load(path)):
        apply(source, path, Affine.identity(), backend="numpy")
        assert len(heard(caplog)) == 1


@pytest.mark.parametrize(("geometry", "affine"), [(None, ONE), ("qform", MIRRORED)])
def test_every_reader_takes_the_matrix_that_is_asked_for(path, geometry, affine):
    made = (
        warpline.read_image(path, geometry),
        apply(path, path, Affine.identity(), geometry=geometry, backend="numpy"),
        jacobian(Affine.identity(), path, geometry=geometry, backend="numpy"),
    )
    for image in made:
        np.testing.assert_allclose(image.affine, affine, atol=1e-5)


def test_chains_count_from_the_matrix_that_is_asked_for(path, tmp_path):
    np.savetxt(tmp_path / "flirt.mat", np.eye(4))
    between = {"fixed": path, "moving": path}
    for geometry in (None, "qform"):
        chain = read_chain(f"fsl-flirt:{tmp_path / 'flirt.mat'}", **between, geometry=geometry)
        np.testing.assert_allclose(chain.map_points([1.0, 2, 3]), [1, 2, 3], atol=1e-4)
