"""Damaged and hostile files, for every format of the table: a clear error, no memory, nothing executed."""

from __future__ import annotations

import gzip
import pickle
import struct
import tracemalloc
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from made_morph import morph
from made_transforms import made_for, made_pair
from warpline.errors import InputError
from warpline.io.transform_files import FORMATS, identify, read_transform, write_transform
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import apply_affine

FIXED, MOVING = made_pair("left-handed", "oblique")
GRIDS = {"fixed": FIXED, "moving": MOVING}
HDF5 = ("itk-composite", "x5")
NIFTI = tuple(name for name, known in FORMATS.items() if ".nii" in known.suffixes)
MEGABYTE = 2**20


def made_coefficients(path):
    image = nibabel.Nifti1Image(np.ones((7, 6, 8, 3), np.float32), None)
    image.header["intent_code"] = 2007
    image.header["intent_p1"], image.header["intent_p2"], image.header["intent_p3"] = FIXED.voxel_size
    image.header.set_zooms((3, 4, 2, 1))
    image.set_sform(np.eye(4), 1)
    offsets = np.diag([3.0, 4, 2, 1])
    offsets[:3, 3] = FIXED.shape
    image.set_qform(offsets, 1)
    nibabel.save(image, path)


def made_m3z(path):
    nodes = apply_affine(FIXED.affine, np.moveaxis(np.indices(FIXED.shape), 0, -1))
    path.write_bytes(gzip.compress(morph(nodes, FIXED, MOVING, kind=1)))


READ_ONLY = {"fsl-coefficients": made_coefficients, "freesurfer-m3z": made_m3z}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A sound file of every format."""
    folder = tmp_path_factory.mktemp("samples")
    paths = {}
    for name, known in FORMATS.items():
        paths[name] = folder / f"{name}{known.suffixes[0]}"
        if known.encode is None:
            READ_ONLY[name](paths[name])
        else:
            between = GRIDS if known.between else {}
            write_transform(made_for(name, known.holds, FIXED), paths[name], name, **between)
    return paths


every_format = pytest.mark.parametrize("name", FORMATS)
many = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def outcome(path, name=None):
    """The error's text, or nothing when a transform came out; any other error passes through."""
    try:
        transform = read_transform(path, name, **GRIDS)
    except InputError as error:
        assert str(path) in str(error) or "so oblique" in str(error)
        return str(error)
    assert isinstance(transform, (Affine, Displacement, Chain))
    return ""


@every_format
def test_the_sound_file_is_read_and_known(samples, name):
    assert outcome(samples[name], name) == ""
    assert isinstance(read_transform(samples[name], name, **GRIDS), (FORMATS[name].holds, Displacement, Chain))


@every_format
@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("named", [False, True])
def test_a_file_cut_short_is_refused(samples, tmp_path, name, share, named):
    content = samples[name].read_bytes()
    (tmp_path / "cut").write_bytes(content[: int(share * len(content))])
    assert outcome(tmp_path / "cut", name if named else None) != ""


@every_format
@many
@given(content=st.binary(max_size=2000))
def test_random_bytes_are_refused(tmp_path, name, content):
    (tmp_path / "random").write_bytes(content)
    assert outcome(tmp_path / "random", name) != ""
    assert outcome(tmp_path / "random") != ""


@every_format
@many
@given(data=st.data())
def test_changed_bytes_give_a_transform_or_a_clear_error(samples, tmp_path, name, data):
    content = bytearray(samples[name].read_bytes())
    if content[:2] == b"\x1f\x8b":
        content = bytearray(gzip.decompress(content))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.one_of(st.integers(0, min(len(content), 700) - 1), st.integers(0, len(content) - 1)))
        content[place] = data.draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)) | st.integers(0, 255))
    (tmp_path / "changed").write_bytes(content)
    outcome(tmp_path / "changed", name)
    outcome(tmp_path / "changed")


@every_format
def test_a_file_of_another_format_is_a_clear_error(samples, name):
    for other, path in samples.items():
        if other != name:
            outcome(path, name)


@every_format
def test_missing_files_and_folders_are_named(tmp_path, name):
    assert "does not exist" in outcome(tmp_path / "none", name)
    assert "cannot be read" in outcome(tmp_path, name) or "damaged" in outcome(tmp_path, name)


def peak(path, name):
    tracemalloc.start()
    try:
        assert outcome(path, name) != ""
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NIFTI)
@pytest.mark.parametrize("compressed", [False, True])
def test_huge_axes_of_nifti_take_no_memory(samples, tmp_path, name, compressed):
    raw = bytearray(samples[name].read_bytes())
    raw[42:48] = struct.pack("<3h", 32767, 32767, 32767)
    path = tmp_path / "huge.nii"
    path.write_bytes(gzip.compress(raw) if compressed else raw)
    assert peak(path, name) < 32 * MEGABYTE


@pytest.mark.parametrize("name", NIFTI)
def test_an_affine_that_is_not_finite_is_named(samples, tmp_path, name):
    raw = bytearray(samples[name].read_bytes())
    raw[280:328] = struct.pack("<12f", *[np.nan] * 12)
    (tmp_path / "bad.nii").write_bytes(raw)
    assert "NaN" in outcome(tmp_path / "bad.nii", name) or "not finite" in outcome(tmp_path / "bad.nii", name)


def test_huge_sizes_elsewhere_take_no_memory(tmp_path):
    path = tmp_path / "huge"
    path.write_bytes(struct.pack(">f4if", 1.0, 4096, 4096, 4096, 1, 20.0) + bytes(1000))
    assert peak(path, "freesurfer-m3z") < MEGABYTE
    label = b"AffineTransform_double_3_3\0"
    path.write_bytes(struct.pack("<5i", 0, 2**31 - 1, 1, 0, len(label)) + label + bytes(1000))
    assert peak(path, "itk-affine") < 8 * MEGABYTE
    path.write_bytes(gzip.compress(b"1 " * 2**26))
    for name in ("matrix", "itk-text", "freesurfer-lta", "afni-affine", "fsl-flirt"):
        assert peak(path, name) < 32 * MEGABYTE


DATASETS = {"itk-composite": "TransformGroup/2/TransformParameters", "x5": "TransformGroup/0/Transform"}


def hdf5_with(samples, tmp_path, name, change):
    path = tmp_path / f"bad{FORMATS[name].suffixes[0]}"
    path.write_bytes(samples[name].read_bytes())
    with h5py.File(path, "r+") as file:
        place = DATASETS[name]
        target = (file[place].parent, place.rpartition("/")[2])
        del file[place]
        change(*target)
    return path


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
def test_strings_in_which_the_hdf5_library_would_lose_its_way_are_refused(samples, tmp_path, name, which):
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


class Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@every_format
def test_nothing_is_unpickled(samples, tmp_path, name):
    trap = tmp_path / "executed"
    payload = pickle.dumps(Trap(trap))
    (tmp_path / "pickle").write_bytes(payload)
    assert outcome(tmp_path / "pickle", name) != ""
    if name in HDF5:
        path = hdf5_with(samples, tmp_path, name, lambda group, key: group.create_dataset(key, data=np.void(payload)))
        assert "holds no plain numbers" in outcome(path, name)
    np.save(tmp_path / "object.npy", np.array([Trap(trap)], dtype=object), allow_pickle=True)
    assert outcome(tmp_path / "object.npy", name) != ""
    assert not trap.exists()


def test_identify_is_as_safe(samples, tmp_path):
    for name, path in samples.items():
        content = path.read_bytes()
        (tmp_path / "cut").write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError):
            identify(tmp_path / "cut", name, **GRIDS)
