from __future__ import annotations

import nibabel
import pytest

from made_series import made_series
from warpline.backends import select
from warpline.io.series_files import open_series
from warpline.series.concurrency import Workers


@pytest.fixture(scope="session")
def made():
    return made_series()


@pytest.fixture(scope="session")
def series(made):
    return open_series((made.data, made.grid.affine))


@pytest.fixture(scope="session")
def workers():
    return Workers.of(select("numpy"), 1)


@pytest.fixture(scope="session")
def bold(made, tmp_path_factory):
    """The file of a series, whole numbers with a slope, a repetition time of 1.5 s."""
    path = tmp_path_factory.mktemp("bold") / "bold.nii.gz"
    image = nibabel.Nifti1Image((made.data * 2).round().astype("int16"), made.grid.affine)
    image.header.set_zooms((*image.header.get_zooms()[:3], 1.5))
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"measured"
    image.header.set_slope_inter(0.5, 0)
    nibabel.save(image, path)
    return path
