"""Hostile HDF5 files neither fill the memory nor reach another file."""

from __future__ import annotations

import struct

import h5py
import numpy as np
import pytest

from damaged_transforms import (
    DATASETS,
    HDF5,
    MEGABYTE,
    hdf5_with,
    outcome,
    peak,
)


def claims_a_terabyte(group, key):
    group.create_dataset(key, shape=(2**13, 2**13, 2**11, 3), dtype="f4", chunks=(64, 64, 64, 3), compression="gzip")


def claims_a_terabyte_without_chunks(group, key):
    group.create_dataset(key, shape=(2**13, 2**13, 2**11, 3), dtype="f4")


def links_elsewhere(group, key):
    group[key] = h5py.ExternalLink("other.h5", "/data")


def links_softly(group, key):
    group[key] = h5py.SoftLink("/TransformGroup/0")


def keeps_its_data_elsewhere(group, key):
    group.create_dataset(key, shape=(2970,), dtype="f4", external=[("passwords", 0, 11880)])


def is_virtual(group, key):
    layout = h5py.VirtualLayout((2970,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", (2970,))
    group.create_virtual_dataset(key, layout)


def is_a_group(group, key):
    group.create_group(key)


def is_text(group, key):
    group[key] = "1 2 3"


@pytest.mark.parametrize("name", HDF5)
@pytest.mark.parametrize(
    "change",
    [
        claims_a_terabyte,
        claims_a_terabyte_without_chunks,
        links_elsewhere,
        links_softly,
        keeps_its_data_elsewhere,
        is_virtual,
        is_a_group,
        is_text,
    ],
)
def test_hostile_datasets_are_refused(samples, tmp_path, name, change):
    path = hdf5_with(samples, tmp_path, name, change)
    np.zeros(2970, np.float32).tofile(tmp_path / "passwords")
    assert peak(path, name) < MEGABYTE


@pytest.mark.parametrize("name", HDF5)
def test_one_dataset_under_many_names_is_refused(samples, tmp_path, name):
    path = tmp_path / "many"
    path.write_bytes(samples[name].read_bytes())
    with h5py.File(path, "r+") as file:
        group, key = DATASETS[name].split("/")[1:]
        file.copy(file[f"TransformGroup/{group}"], "TransformGroup/3")
        del file[f"TransformGroup/3/{key}"]
        file[f"TransformGroup/3/{key}"] = file[DATASETS[name]]
        if name == "x5":
            del file["TransformChain/0"]
            file["TransformChain/0"] = "0/1/3"
    assert "is a second name of other numbers" in outcome(path, name)


@pytest.mark.parametrize("name", HDF5)
@pytest.mark.parametrize("which", ["length of an object", "length that a use of it claims"])
def test_strings_that_hang_the_hdf5_library_are_refused(samples, tmp_path, name, which):
    content = bytearray(samples[name].read_bytes())
    heap = content.index(b"GCOL")
    if which == "length of an object":  # what follows it is then found in free space, and the walk never ends
        (length,) = struct.unpack_from("<Q", content, heap + 24)
        content[heap + 24 : heap + 32] = struct.pack("<Q", length + 256)
    else:  # gigabytes are taken for it
        use = content.index(struct.pack("<Q", heap) + struct.pack("<I", 1))
        content[use - 4 : use] = struct.pack("<I", 2**32 - 256)
    (tmp_path / "bad").write_bytes(content)
    assert "damaged or truncated HDF5 file (its strings)" in outcome(tmp_path / "bad", name)


@pytest.mark.parametrize("place", ["attribute", "dataset"])
def test_a_type_that_crashes_the_hdf5_library_is_refused(samples, tmp_path, place):
    path = tmp_path / "bad.x5"
    path.write_bytes(samples["x5"].read_bytes())
    numbers = h5py.vlen_dtype(np.int32)
    with h5py.File(path, "r+") as file:
        if place == "attribute":
            some = np.empty((), object)
            some[()] = np.array([1, 2, 3], np.int32)
            file["TransformGroup/0"].attrs.create("Type", some, dtype=numbers)
        else:
            del file["TransformChain/0"]
            file["TransformChain"].create_dataset("0", shape=(), dtype=numbers)
    assert "holds a None transform" in outcome(path, "x5") or "has no 0 in /TransformChain" in outcome(path, "x5")
