from __future__ import annotations

import math

import numpy as np

from warpline.images import Image
from warpline.io.images import write_image
from warpline.io.json_values import plain
from warpline.registration.provenance import describe, version
from warpline.space.grid import Grid


def test_an_array_is_described_without_a_path():
    image = Image(np.zeros((3, 4, 5), np.float32), Grid((3, 4, 5), np.eye(4)))
    record = describe(image, image.data)
    assert record["path"] is None
    assert record["shape"] == [3, 4, 5]
    assert len(record["sha256"]) == 64


def test_plain_values_are_json():
    assert plain({1: (np.float32(0.5), math.inf, np.int64(3)), "a": None}) == {"1": [0.5, None, 3], "a": None}


def test_a_package_that_is_not_installed_has_no_version():
    assert version("numpy") == np.__version__
    assert version("no-package-is-called-this") is None


def test_ome_zarr_is_known_by_its_values(tmp_path):
    image = Image(np.arange(60, dtype=np.float32).reshape(3, 4, 5), Grid((3, 4, 5), np.eye(4)))
    write_image(image, tmp_path / "a.ome.zarr")
    record = describe(image, f"{tmp_path}/a.ome.zarr:0")
    assert record["path"].endswith(":0") and record["sha256"] == describe(image, image.data)["sha256"]
