"""The files of a registration: all of them or none."""

from __future__ import annotations

import errno
import os
import resource
import tempfile

import numpy as np
import pytest

from small_jobs import QUICK, everything_under
from warpline.errors import OutputError, UsageError
from warpline.io.images import read_image
from warpline.io.transform_files import read_transform
from warpline.registration import Job, output_files, run


def test_files_hold_what_the_registration_holds(done):
    folder, _, registration, _ = done
    warp, affine = registration.transform.parts
    np.testing.assert_array_equal(read_transform(folder / "sub-01_0GenericAffine.mat").matrix, affine.matrix)
    np.testing.assert_array_equal(read_transform(folder / "sub-01_1Warp.nii.gz").field, warp.field)
    np.testing.assert_array_equal(read_transform(folder / "sub-01_1InverseWarp.nii.gz").field, warp.inverse_field)
    inverse = read_image(folder / "sub-01_InverseWarped.nii.gz")
    np.testing.assert_array_equal(inverse.data, registration.inverse_warped.data)
    points = np.random.default_rng(0).normal(registration.warped.grid.centre, 6, (20, 3))
    back = registration.inverse.map_points(registration.transform.map_points(points))
    np.testing.assert_allclose(back, points, atol=0.3)


@pytest.mark.usefixtures("no_align")
@pytest.mark.parametrize("prefix", ["file/sub_", "file/deep/sub_"])
def test_an_unwritable_folder_is_noticed_before_computing(files, tmp_path, prefix):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"file.* cannot be written: Not a directory; choose a folder"):
        run(Job(*files, prefix=f"{tmp_path}/{prefix}", recipe=QUICK))
    assert everything_under(tmp_path) == ["file"]


@pytest.mark.usefixtures("no_align")
def test_full_disk_is_noticed_before_computing(files, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match="No space left on device"):
        run(Job(*files, prefix=f"{tmp_path}/new/sub_", recipe=QUICK))
    assert everything_under(tmp_path) == []


@pytest.mark.parametrize("limit", [2**13, 2**16])
def test_disk_that_fills_up_while_writing_leaves_nothing(done, tmp_path, limit):
    registration = done[2]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OutputError, match=r"new/sub_.* cannot be written: File too large"):
            registration.save(tmp_path / "new" / "sub_")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert everything_under(tmp_path) == []


def test_page_that_cannot_be_written_leaves_nothing(done, tmp_path, monkeypatch):
    def breaks(report, pictures, path):
        path.write_text("half a page")
        raise OutputError(f"page {path} cannot be written: {os.strerror(errno.ENOSPC)}")

    monkeypatch.setattr(output_files, "write_page", breaks)
    with pytest.raises(OutputError, match=r"page .*/sub_report\.html cannot be written: No space left on device"):
        done[2].save(tmp_path / "sub_")
    assert everything_under(tmp_path) == []


@pytest.mark.usefixtures("no_align")
def test_outputs_never_replace_inputs(files, tmp_path):
    taken = tmp_path / "sub_Warped.nii.gz"
    taken.write_bytes(files[1].read_bytes())
    with pytest.raises(UsageError, match=r"would overwrite the input .*sub_Warped\.nii\.gz; choose another prefix"):
        run(Job(files[0], taken, prefix=f"{tmp_path}/sub_", recipe=QUICK))
    assert taken.read_bytes() == files[1].read_bytes()
