"""Damaged and hostile files, for every format of the table: a clear error, no memory, nothing executed."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damaged_transforms import (
    GRIDS,
    HDF5,
    MEGABYTE,
    hdf5_with,
    outcome,
    peak,
)
from warpline.errors import InputError
from warpline.io.transform_files import FORMATS, identify, read_transform
from warpline.space import Chain, Displacement

NIFTI = tuple(name for name, known in FORMATS.items() if ".nii" in known.suffixes)

every_format = pytest.mark.parametrize("name", FORMATS)

many = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


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
