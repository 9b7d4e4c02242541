"""Series of volumes: nibabel reads what was written volume by volume."""

from __future__ import annotations

import shutil

import nibabel
import numpy as np
import pytest

from warpline.errors import OutputError
from warpline.io.nifti_series import SeriesFile, check_space, size_of_series
from warpline.space.grid import Grid

GRID = Grid((3, 4, 5), np.diag([-2.0, 2.0, 3.0, 1.0]))


def written(path, volumes, most=None, grid=GRID):
    with SeriesFile(path, grid, len(volumes) if most is None else most) as series:
        for volume in volumes:
            series.append(volume)
    return nibabel.load(path)


def test_volumes_are_read_in_the_order_they_came(tmp_path):
    volumes = np.random.default_rng(0).random((6, *GRID.shape)).astype(np.float32)
    image = written(tmp_path / "s.nii", volumes)
    assert np.array_equal(np.moveaxis(image.get_fdata(dtype=np.float32), -1, 0), volumes)
    assert np.array_equal(image.affine, GRID.affine) and image.header["sform_code"] == 1
    assert (tmp_path / "s.nii").stat().st_size == 352 + size_of_series(GRID, 6)


def test_volumes_can_be_changed_while_the_series_grows(tmp_path):
    with SeriesFile(tmp_path / "s.nii", GRID, 10) as series:
        for number in range(3):
            series.append(np.full(GRID.shape, number, np.float32))
            series.volumes()[0, 4, 3, 2] += 1  # (N, K, J, I)
    image = nibabel.load(tmp_path / "s.nii")
    assert image.shape == (*GRID.shape, 3)
    assert image.dataobj[2, 3, 4].tolist() == [3, 1, 2]


def test_many_volumes_become_nifti_2(tmp_path):
    grid = Grid((1, 1, 1), np.eye(4))
    image = written(tmp_path / "s.nii", [np.full((1, 1, 1), number, np.float32) for number in range(32768)], grid=grid)
    assert isinstance(image, nibabel.Nifti2Image)
    assert image.dataobj[0, 0, 0, 32767] == 32767


def test_what_does_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**12, 0, 5 * 10**9))
    check_space(tmp_path, {"a.nii": 5 * 10**9})
    with pytest.raises(OutputError, match=r"5.0 GB free and 6.0 GB are needed, 4.0 of them for b.nii; choose fewer"):
        check_space(tmp_path, {"a.nii": 2 * 10**9, "b.nii": 4 * 10**9})
