import io

import numpy as np
from PIL import Image as Picture

from warpline.images import Image
from warpline.report.pair_thumbnail import HEIGHT, WIDTH, thumbnail


def rescale_intensity(content):
    return np.asarray(Picture.open(io.BytesIO(content)).convert("L")).astype(float)


def test_halves_show_the_same_cuts_of_both_images(phantom):
    content = thumbnail(phantom.fixed, phantom.fixed)
    picture = rescale_intensity(content)
    assert picture.shape == (HEIGHT, 2 * WIDTH)
    assert len(content) < 12_000
    left, right = picture[:, :WIDTH], picture[:, WIDTH:]
    assert np.abs(left - right).mean() < 3
    assert left.max() > 200
    assert np.abs(left - rescale_intensity(thumbnail(phantom.fixed, phantom.moving))[:, WIDTH:]).mean() > 6


def test_a_slice_stands_in_the_middle():
    disc = Image.from_array((np.hypot(*np.mgrid[-1:1:60j, -1:1:60j]) < 0.7).astype(np.uint8))
    left = rescale_intensity(thumbnail(disc, disc))[:, :WIDTH]
    columns = np.flatnonzero(left.max(axis=0) > 100)
    assert abs(columns.mean() - WIDTH / 2) < 3
