"""Images in OME-Zarr: what is written comes back, also by ngff-zarr, and what ngff-zarr writes is read."""

from __future__ import annotations

import shutil
import sys

import ngff_zarr
import numpy as np
import pytest

from warpline.errors import InputError, OutputError, UsageError
from warpline.images import Image
from warpline.io.images import read_grid, read_image, write_image
from warpline.space.grid import Grid

TURNED = np.array([[0, 0, -1.0, 80], [1.5, 0, 0, -120], [0, 2.0, 0, -100], [0, 0, 0, 1]])


def image(kind=np.int16, shape=(70, 50, 20), affine=TURNED):
    values = np.random.default_rng(0).integers(0, 99, shape).astype(kind)
    return Image(values, Grid(shape[:3], affine))


@pytest.mark.parametrize("kind", ["bool", "uint8", "int16", "uint32", "int64", "float32", "float64"])
def test_an_image_comes_back(kind, tmp_path):
    written = image(kind)
    write_image(written, tmp_path / "a.ome.zarr")
    found = read_image(tmp_path / "a.ome.zarr")
    assert found.data.dtype == kind and found.grid == written.grid and found.grid.notes == ()
    np.testing.assert_array_equal(found.data, written.data)
    assert read_grid(tmp_path / "a.ome.zarr") == written.grid
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_flat_images_and_series_come_back(tmp_path):
    flat = Image(np.random.default_rng(1).random((90, 80, 1)).astype(np.float32), Grid((90, 80, 1), np.eye(4), True))
    series = image(np.float32, (8, 9, 10, 3), np.eye(4))
    for one in (flat, series):
        write_image(one, tmp_path / "a.zarr")
        found = read_image(tmp_path / "a.zarr")
        assert found.grid == one.grid and found.grid.flat == one.grid.flat
        np.testing.assert_array_equal(found.data, one.data)
    np.testing.assert_array_equal(read_image(f"{tmp_path}/a.zarr:0,t=1").data, series.data[..., 1])


def test_levels_are_thinned_or_averaged(tmp_path):
    labels, grey = image(np.int32), image(np.float32)
    for one in (labels, grey):
        write_image(one, tmp_path / "a.ome.zarr")
        coarse = read_image(f"{tmp_path}/a.ome.zarr:1")
        np.testing.assert_allclose(coarse.grid.voxel_size, [3.0, 4.0, 2.0])
        start = (0, 0, 0) if one is labels else (0.5, 0.5, 0.5)
        np.testing.assert_allclose(coarse.affine[:3, 3], one.affine[:3, :3] @ start + one.affine[:3, 3])
        blocks = one.data.reshape(35, 2, 25, 2, 10, 2)
        expected = blocks[:, 0, :, 0, :, 0] if one is labels else blocks.mean(axis=(1, 3, 5))
        np.testing.assert_allclose(coarse.data, expected, rtol=1e-6)


def test_a_level_is_read_without_the_others(tmp_path):
    write_image(image(), tmp_path / "a.ome.zarr")
    shutil.rmtree(tmp_path / "a.ome.zarr" / "0")
    assert read_image(f"{tmp_path}/a.ome.zarr:1").data.shape == (35, 25, 10)
    with pytest.raises(UsageError, match="levels 0 to 1"):
        read_image(f"{tmp_path}/a.ome.zarr:2")


def test_ngff_zarr_reads_what_is_written(tmp_path):
    written = image()
    write_image(written, tmp_path / "a.ome.zarr")
    found = ngff_zarr.from_ngff_zarr(str(tmp_path / "a.ome.zarr"), validate=True).images[0]
    np.testing.assert_array_equal(np.asarray(found.data), written.data.transpose())
    assert found.scale == {"z": 1.0, "y": 2.0, "x": 1.5} and found.translation == {"z": -80.0, "y": -100.0, "x": -120.0}
    values = {name: one.value.value for name, one in found.axes_orientations.items()}
    assert values == {"z": "right-to-left", "y": "inferior-to-superior", "x": "posterior-to-anterior"}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_ngff_zarr_writes_is_read(version, tmp_path):
    values = np.random.default_rng(1).integers(0, 99, (4, 5, 6)).astype(np.uint8)
    scale, start = {"z": 2.0, "y": 3.0, "x": 4.0}, {"z": -10.0, "y": 5.0, "x": 7.0}
    theirs = ngff_zarr.to_ngff_image(values, list("zyx"), scale, start, axes_units=dict.fromkeys("zyx", "micrometer"))
    pyramid = ngff_zarr.to_multiscales(theirs, scale_factors=[])
    ngff_zarr.to_ngff_zarr(str(tmp_path / "a.ome.zarr"), pyramid, version=version)
    found = read_image(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(found.data, values.transpose())
    expected = [[-0.004, 0, 0, -0.007], [0, -0.003, 0, -0.005], [0, 0, 0.002, -0.01], [0, 0, 0, 1]]
    np.testing.assert_allclose(found.affine, expected)
    assert "left and right are a guess" in found.grid.notes[0]


def test_a_channel_has_to_be_chosen(tmp_path):
    values = np.random.default_rng(1).integers(0, 99, (2, 4, 5, 6)).astype(np.uint8)
    theirs = ngff_zarr.to_ngff_image(values, list("czyx"), dict.fromkeys("zyx", 1.0))
    ngff_zarr.to_ngff_zarr(f"{tmp_path}/a.ome.zarr", ngff_zarr.to_multiscales(theirs, scale_factors=[]), version="0.4")
    with pytest.raises(InputError, match=r"2 channels; choose one, as in a\.ome\.zarr:0,c=0"):
        read_image(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(read_image(f"{tmp_path}/a.ome.zarr:0,c=1").data, values[1].transpose())
    for choice, words in (("c=2", "c=0 to 1"), ("t=0", "no axis t")):
        with pytest.raises(UsageError, match=words):
            read_image(f"{tmp_path}/a.ome.zarr:0,{choice}")


def test_what_cannot_be_held_is_refused(tmp_path):
    turned = np.eye(4)
    turned[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    with pytest.raises(InputError, match="oblique"):
        write_image(image(affine=turned), tmp_path / "a.ome.zarr")
    with pytest.raises(InputError, match="complex64"):
        write_image(image(np.complex64), tmp_path / "a.ome.zarr")
    (tmp_path / "b.ome.zarr").mkdir()
    with pytest.raises(OutputError, match="of that name exists"):
        write_image(image(), tmp_path / "b.ome.zarr")
    with pytest.raises(UsageError, match="no name for an image"):
        write_image(image(), tmp_path / "a.ome.zarr:1")
    assert [path.name for path in tmp_path.iterdir()] == ["b.ome.zarr"]


def test_without_zarr_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr.storage", None)
    for use in (read_image, read_grid, lambda path: write_image(image(), path)):
        with pytest.raises(InputError, match=r'pip install "warpline\[zarr\]"'):
            use(tmp_path / "a.ome.zarr")
