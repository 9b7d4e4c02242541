"""Series read and written a volume at a time."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from made_images import grid_of, nifti
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.series_files import TYPES, image_of, moved_header, open_series, write_series

GRID = grid_of("both")
DATA = np.random.default_rng(0).integers(-500, 500, (*GRID.shape, 4)).astype(np.int16)


@pytest.fixture(params=["bold.nii", "bold.nii.gz"])
def path(request, tmp_path):
    image = nifti(DATA, GRID.affine)
    image.header.set_slope_inter(0.25, 10)
    image.header.set_zooms((*image.header.get_zooms()[:3], 2.5))
    image.header["slice_end"] = 4
    nibabel.save(image, tmp_path / request.param)
    return tmp_path / request.param


def test_volumes_are_scaled_as_the_header_says(path):
    series = open_series(path)
    assert (series.count, series.repetition_time) == (4, 2.5)
    np.testing.assert_array_equal(series.volume(2), DATA[..., 2] * np.float32(0.25) + 10)
    assert series.volume(2).dtype == np.float32
    assert series.grid == GRID


@pytest.mark.parametrize("number", [0, 3])
def test_every_kind_of_source_gives_the_same(number):
    data = DATA.astype(np.float32)
    sources = (
        (data, GRID.affine),
        Image(data, GRID),
        nibabel.Nifti1Image(data, GRID.affine),
        open_series((data, np.eye(4))),
    )
    for source in sources:
        np.testing.assert_array_equal(open_series(source).volume(number), DATA[..., number])


@pytest.mark.parametrize(("unit", "stored"), [("sec", 2.5), ("msec", 2500.0), ("unknown", 2.5)])
def test_repetition_time_is_in_seconds(tmp_path, unit, stored):
    image = nifti(DATA, GRID.affine)
    image.header.set_zooms((*image.header.get_zooms()[:3], stored))
    image.header.set_xyzt_units("mm", unit)
    nibabel.save(image, tmp_path / "bold.nii")
    assert open_series(tmp_path / "bold.nii").repetition_time == pytest.approx(2.5)


def test_a_header_without_scaling_keeps_zero(tmp_path):
    path, data = tmp_path / "bold.nii", np.arange(0, 24, dtype=np.uint8).reshape(2, 3, 2, 2)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), path)
    content = bytearray(path.read_bytes())
    content[112:120] = bytes(8)  # scl_slope, scl_inter: not scaled
    path.write_bytes(content)
    series = open_series(path)
    volumes = (series.volume(number) for number in range(2))
    write_series(volumes, moved_header(series, series.grid, "stored"), tmp_path / "out.nii", compressed=False)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "out.nii").get_fdata(), data)


def test_one_volume_is_a_series_of_one():
    assert open_series((DATA[..., 0], GRID.affine)).count == 1


def test_some_volumes_are_a_series_too():
    taken = open_series((DATA, GRID.affine)).taken([3, 1])
    assert taken.count == 2
    np.testing.assert_array_equal(taken.volume(0), DATA[..., 3])


def test_files_of_five_axes_are_refused(tmp_path):
    nibabel.save(nifti(np.zeros((3, 3, 3, 2, 2), np.float32)), tmp_path / "five.nii")
    with pytest.raises(InputError, match="four axes"):
        open_series(tmp_path / "five.nii")


def test_volumes_with_nan_are_refused():
    data = DATA.astype(np.float32)
    data[0, 0, 0, 1] = np.inf
    with pytest.raises(InputError, match="volume 1"):
        open_series((data, GRID.affine)).volume(1)


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_what_is_written_is_read_back(path, tmp_path, kind, opened):
    given = nibabel.load(path) if opened else path
    series, target = open_series(given), tmp_path / f"out_{path.name}"
    header = moved_header(series, series.grid, kind)
    write_series(map(series.volume, range(4)), header, target, compressed=path.suffix == ".gz")
    back = nibabel.load(target)
    np.testing.assert_allclose(back.get_fdata(), nibabel.load(path).get_fdata(), atol=1e-3)
    np.testing.assert_array_equal(back.affine, nibabel.load(path).affine)
    assert back.header.get_zooms()[3] == 2.5
    assert back.header["slice_end"] == 4
    assert back.get_data_dtype() == (np.float32 if kind == "float32" else np.int16)


def test_whole_numbers_are_clamped(path, tmp_path):
    series = open_series(path)
    header = moved_header(series, series.grid, "stored")
    write_series([np.full(GRID.shape, 1e9, np.float32)] * 4, header, tmp_path / "out.nii", compressed=False)
    assert nibabel.load(tmp_path / "out.nii").dataobj.get_unscaled().max() == 32767


def test_another_grid_is_written(path, tmp_path):
    series, target = open_series(path), grid_of("axes", (3, 4, 5))
    header = moved_header(series, target, "float32")
    write_series(np.zeros((4, *target.shape), np.float32), header, tmp_path / "out.nii", compressed=False)
    back = nibabel.load(tmp_path / "out.nii")
    assert back.shape == (3, 4, 5, 4)
    assert back.header["slice_end"] == 0  # slices as measured are no more
    np.testing.assert_allclose(back.affine, target.affine, atol=1e-5)
    np.testing.assert_allclose(back.header.get_zooms(), (0.8, 1.1, 2.3, 2.5), rtol=1e-6)


def test_unknown_types_are_refused():
    with pytest.raises(UsageError, match="int8"):
        moved_header(open_series((DATA, GRID.affine)), GRID, "int8")


def test_volumes_become_an_image():
    volumes = [np.full(GRID.shape, n, np.float32) for n in range(3)]
    image = image_of(iter(volumes), GRID, 3, "bold")
    assert image.data.shape == (*GRID.shape, 3)
    assert image.data[0, 0, 0].tolist() == [0, 1, 2]
