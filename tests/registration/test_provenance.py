from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import numpy as np
import psutil

from warpline.images import Image
from warpline.io.images import write_image
from warpline.io.json_values import plain
from warpline.registration import provenance
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


def test_peak_memory_is_known_without_the_module_resource(monkeypatch):
    """Windows has no such module, and keeps the figure with the process."""
    usual = provenance.peak_memory()
    assert 2**24 < usual < 2**40
    monkeypatch.setitem(sys.modules, "resource", None)
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=123_000_000))
    monkeypatch.setattr(psutil, "Process", lambda: process)
    assert provenance.peak_memory() == 123_000_000
