"""MINC 2 files reach no other file and claim no more than they hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from warpline.errors import InputError
from warpline.io.images import read_image

THEIRS = Path(nibabel.__file__).parent / "tests" / "data"


def elsewhere(group, path):
    """Data in another file."""
    old, attributes = group["image"].shape, dict(group["image"].attrs)
    attributes.pop("DIMENSION_LIST", None)
    del group["image"]
    data = group.create_dataset("image", shape=old, dtype="u1", external=[(str(path), 0, int(np.prod(old)))])
    data.attrs.update(attributes)


def link(group, path):
    """A link to another file."""
    del group["image"]
    group["image"] = h5py.ExternalLink(str(path), "/d")


def virtual(group, path):
    """Data gathered from another file."""
    shape = group["image"].shape
    del group["image"]
    layout = h5py.VirtualLayout(shape, "u1")
    layout[:] = h5py.VirtualSource(str(path), "d", shape)
    group.create_virtual_dataset("image", layout)


def huge(group, path):
    """A claim of terabytes."""
    del group["image"]
    group.create_dataset("image", shape=(2**14,) * 3, dtype="f4", chunks=(64,) * 3, compression="gzip")


def folder_elsewhere(group, path):
    """A link to another file, where the smallest values are."""
    del group["image-min"]
    group["image-min"] = h5py.ExternalLink(str(path), "/d")


@pytest.mark.parametrize("change", [elsewhere, link, virtual, huge, folder_elsewhere])
def test_hostile_minc_files_are_refused(tmp_path, change):
    shutil.copy(THEIRS / "minc2_1_scale.mnc", tmp_path / "x.mnc")
    (tmp_path / "secret").write_bytes(bytes(range(256)) * 40)
    with h5py.File(tmp_path / "x.mnc", "r+") as file:
        change(file["minc-2.0/image/0"], tmp_path / "secret")
    with pytest.raises(InputError, match=r"x\.mnc"):
        read_image(tmp_path / "x.mnc")
