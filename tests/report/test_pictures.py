import io

import numpy as np
import pytest
from PIL import Image as Picture

from warpline.errors import OutputError
from warpline.images import Image
from warpline.io.images import read_image
from warpline.report.pictures import write_deformation, write_overlay
from warpline.resampling import warp
from warpline.space import Displacement


def pixels(write, *arguments):
    """The RGB array that `write` leaves, and the size of its file in bytes."""
    target = io.BytesIO()
    write(*arguments, target)
    return np.asarray(Picture.open(target).convert("RGB")).astype(int), target.tell()


def colour_share(picture):
    """Share of pixels that are clearly green or clearly magenta."""
    red, green, blue = np.moveaxis(picture, -1, 0)
    return float((np.abs(green - (red + blue) / 2) > 60).mean())


def panels(picture, row, rows=3):
    height = picture.shape[0]
    return picture[row * height // rows + 60 : (row + 1) * height // rows - 30]


@pytest.fixture(scope="module")
def deformation(phantom):
    """The picture of the true displacement of the pair, as a file."""
    target = io.BytesIO()
    write_deformation(phantom.fixed, phantom.transform.parts[0], target)
    return target


def test_overlay_is_coloured_where_images_differ(phantom, numpy_backend):
    result = warp(phantom.moving, phantom.transform, phantom.fixed.grid, backend=numpy_backend)
    picture, size = pixels(write_overlay, phantom.fixed, phantom.moving, result)
    assert picture.shape[1] == 1600
    assert size < 600_000
    assert colour_share(panels(picture, 0)) > 0.15
    assert colour_share(panels(picture, 1)) < 0.06


def test_overlay_of_an_image_on_itself_has_no_colour(phantom):
    picture, _ = pixels(write_overlay, phantom.fixed, phantom.fixed, phantom.fixed)
    assert colour_share(panels(picture, 0)) < 0.002


def test_pictures_repeat_bit_for_bit(phantom, deformation, tmp_path):
    write_deformation(phantom.fixed, phantom.transform.parts[0], tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == deformation.getvalue()


def test_storage_order_does_not_change_the_picture(phantom):
    """The same brain stored as anterior-superior-left looks as it does stored as right-anterior-superior."""
    turned = np.ascontiguousarray(phantom.fixed.data.transpose(1, 2, 0)[:, :, ::-1])
    order = np.zeros((4, 4))
    order[[1, 2, 0, 3], [0, 1, 2, 3]] = (1, 1, -1, 1)
    order[0, 3] = phantom.fixed.grid.shape[0] - 1
    stored = Image.from_array(turned, phantom.fixed.affine @ order)
    plain, _ = pixels(write_overlay, phantom.fixed, phantom.moving, phantom.fixed)
    other, _ = pixels(write_overlay, stored, phantom.moving, phantom.fixed)
    assert plain.shape == other.shape
    assert np.abs(plain - other).mean() < 0.1


def test_growth_is_warm_and_no_change_is_dark(phantom):
    grid = phantom.fixed.grid
    still = Displacement(np.zeros((3, *grid.shape), np.float32), grid)
    world = np.einsum("ab,bijk->aijk", grid.affine[:3, :3], np.indices(grid.shape))
    growing = Displacement((0.2 * world).astype(np.float32), grid)
    flat, _ = pixels(write_deformation, phantom.fixed, still)
    warm, size = pixels(write_deformation, phantom.fixed, growing)
    assert size < 600_000
    assert np.percentile(panels(flat, 1), 90) < 60
    red, _, blue = np.moveaxis(panels(warm, 1), -1, 0)
    assert ((red - blue) > 60).mean() > 0.3


def test_folds_are_ringed_in_yellow(phantom, deformation):
    grid = phantom.fixed.grid
    field = np.zeros((3, *grid.shape), np.float32)
    field[0, 22:32, 20:36, 18:30] = 12.0
    folded, _ = pixels(write_deformation, phantom.fixed, Displacement(field, grid))
    sound = np.asarray(Picture.open(deformation).convert("RGB")).astype(int)

    def yellow(picture):
        red, green, blue = np.moveaxis(panels(picture, 1), -1, 0)
        return np.count_nonzero((red > 200) & (green > 200) & (blue < 110))

    assert yellow(folded) > 200
    assert yellow(sound) == 0


def test_two_dimensional_images_stand_in_one_row():
    disc = Image.from_array((np.hypot(*np.mgrid[-1:1:60j, -1:1:60j]) < 0.7).astype(np.uint8))
    overlay, _ = pixels(write_overlay, disc, disc, disc)
    bend = np.zeros((3, 60, 60, 1), np.float32)
    bend[0] = 3 * np.sin(np.arange(60) / 9)[:, None, None]
    deformation, _ = pixels(write_deformation, disc, Displacement(bend, disc.grid))
    for picture in (overlay, deformation):
        assert picture.shape[1] == 1600
        assert picture.shape[0] < 700


@pytest.mark.parametrize("value", [0.0, 7.5, np.nan])
def test_images_without_content_do_not_stop_a_run(value):
    empty = Image.from_array(np.full((12, 13, 14), value, np.float32))
    picture, _ = pixels(write_overlay, empty, empty, empty)
    assert picture.shape[1] == 1600


def test_a_head_full_of_detail_stays_below_600_kilobytes(data_folder):
    head, other = (read_image(data_folder / "multimodal" / f"{n}.nii.gz") for n in ("T1_head_1.6mm", "T2w_1x1x2mm"))
    _, size = pixels(write_overlay, head, other, other)
    assert size < 600_000


def test_a_missing_folder_is_named(phantom, tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        write_overlay(phantom.fixed, phantom.moving, phantom.fixed, tmp_path / "nowhere" / "Overlay.png")
