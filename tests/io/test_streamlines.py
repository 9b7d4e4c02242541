"""Streamlines: nibabel and DIPY read what we write, and damage is said."""

from __future__ import annotations

import gzip
import struct

import nibabel
import numpy as np
import pytest
from dipy.io.streamline import load_tractogram
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.streamlines import Tractogram, TrkFile

from oblique_pair import FIXED, MOVING
from warpline.errors import InputError, OutputError, UsageError
from warpline.io import streamlines
from warpline.io.images import write_image
from warpline.io.streamlines import read_streamlines, segments_of, write_streamlines
from warpline.space.grid import apply_affine


@pytest.fixture
def lines():
    """Three streamlines inside the fixed grid, RAS mm."""
    rng = np.random.default_rng(0)
    shares = [rng.uniform(0.2, 0.8, (n, 3)) for n in (4, 7, 2)]
    return [apply_affine(FIXED.affine, share * (np.array(FIXED.shape) - 1)).astype(np.float32) for share in shares]


@pytest.fixture
def trk(lines, tmp_path):
    """A file of nibabel with values per point and per streamline."""
    tractogram = Tractogram(
        lines,
        data_per_point={"fa": [np.arange(len(line), dtype=np.float32)[:, None] for line in lines]},
        data_per_streamline={"bundle": np.array([[1.0], [2.0], [3.0]], np.float32)},
        affine_to_rasmm=np.eye(4),
    )
    header = {
        "voxel_to_rasmm": FIXED.affine,
        "voxel_sizes": FIXED.voxel_size,
        "dimensions": FIXED.shape,
        "voxel_order": "RAS",
    }
    TrkFile(tractogram, header).save(str(tmp_path / "lines.trk"))
    return tmp_path / "lines.trk"


def test_points_are_in_world_space(trk, lines):
    np.testing.assert_allclose(read_streamlines(trk).points, np.concatenate(lines), atol=2e-5)
    assert len(read_streamlines(trk)) == 3


def test_segments_join_each_streamline(trk):
    first = [0, 1, 2, 4, 5, 6, 7, 8, 9, 11]
    np.testing.assert_array_equal(segments_of(read_streamlines(trk)), [[one, one + 1] for one in first])


def test_trk_keeps_what_hangs_on_it_and_names_the_new_image(trk, lines, tmp_path):
    read = read_streamlines(trk)
    write_streamlines(read.with_points(read.points + 5), tmp_path / "moved.trk", MOVING)
    moved = nibabel.streamlines.load(tmp_path / "moved.trk")
    np.testing.assert_allclose(moved.tractogram.to_world().streamlines[1], lines[1] + 5, atol=3e-5)
    np.testing.assert_array_equal(moved.tractogram.data_per_point["fa"][1][:, 0], np.arange(7))
    np.testing.assert_array_equal(moved.tractogram.data_per_streamline["bundle"][:, 0], [1, 2, 3])
    np.testing.assert_allclose(moved.header["voxel_to_rasmm"], MOVING.affine, atol=1e-6)
    assert tuple(moved.header["dimensions"]) == MOVING.shape


def test_dipy_reads_it_on_the_new_image(trk, lines, tmp_path):
    from warpline.images import Image

    write_image(Image(np.zeros(FIXED.shape, np.float32), FIXED), tmp_path / "image.nii.gz")
    write_streamlines(read_streamlines(trk), tmp_path / "again.trk", FIXED)
    loaded = load_tractogram(str(tmp_path / "again.trk"), str(tmp_path / "image.nii.gz"))
    np.testing.assert_allclose(loaded.streamlines[2], lines[2], atol=2e-5)


def test_tck_needs_no_image(trk, lines, tmp_path):
    write_streamlines(read_streamlines(trk), tmp_path / "lines.tck")
    np.testing.assert_allclose(read_streamlines(tmp_path / "lines.tck").points, np.concatenate(lines), atol=2e-5)


def test_original_streamlines_stay_where_they_are(trk):
    read = read_streamlines(trk)
    before = read.tractogram.streamlines.get_data().copy()
    read.with_points(read.points + 1)
    np.testing.assert_array_equal(read.tractogram.streamlines.get_data(), before)


def test_an_empty_file_stays_empty(tmp_path):
    nibabel.streamlines.save(Tractogram([], affine_to_rasmm=np.eye(4)), tmp_path / "none.tck")
    read = read_streamlines(tmp_path / "none.tck")
    write_streamlines(read.with_points(read.points), tmp_path / "none.trk", FIXED)
    assert len(read_streamlines(tmp_path / "none.trk")) == 0


def test_what_cannot_be_written_is_said(trk, tmp_path):
    read = read_streamlines(trk)
    with pytest.raises(UsageError, match=r"let it end in \.trk or \.tck"):
        write_streamlines(read, tmp_path / "lines.vtk", FIXED)
    with pytest.raises(UsageError, match="names the image it lies on"):
        write_streamlines(read, tmp_path / "lines2.trk")
    with pytest.raises(OutputError, match="absent"):
        write_streamlines(read, tmp_path / "absent" / "lines.tck")


@settings(max_examples=40)
@given(
    st.binary(max_size=1500), st.sampled_from([b"", b"TRACK\0", b"mrtrix tracks\n"]), st.sampled_from(["trk", "tck"])
)
def test_any_bytes_give_a_clear_error(tmp_path_factory, content, magic, suffix):
    path = tmp_path_factory.getbasetemp() / f"bytes.{suffix}"
    path.write_bytes(magic + content)
    try:
        read_streamlines(path)
    except InputError as error:
        assert "bytes." in str(error)


@pytest.mark.parametrize("cut", [10, 500, 1000, 1020, 1100])
def test_truncated_files_are_refused(trk, tmp_path, cut):
    (tmp_path / "cut.trk").write_bytes(trk.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"cut\.trk"):
        read_streamlines(tmp_path / "cut.trk")


@pytest.mark.parametrize(
    ("place", "content", "words"),
    [
        (slice(1000, 1004), struct.pack("<i", 2**31 - 1), "no readable streamline file"),
        (slice(1000, 1004), struct.pack("<i", -5), "no readable streamline file"),
        (slice(36, 38), struct.pack("<h", 32000), "no readable streamline file"),
        (slice(440, 504), bytes(64), "vox_to_ras"),
        (slice(440, 504), struct.pack("<16f", *[np.nan] * 16), "no readable streamline file"),
    ],
    ids=["huge count", "negative count", "huge values per point", "no matrix", "NaN matrix"],
)
def test_hostile_headers_are_refused(trk, tmp_path, place, content, words):
    damaged = bytearray(trk.read_bytes())
    damaged[place] = content
    (tmp_path / "bad.trk").write_bytes(damaged)
    with pytest.raises(InputError, match=words):
        read_streamlines(tmp_path / "bad.trk")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.trk does not exist"):
        read_streamlines(tmp_path / "absent.trk")


def test_empty_and_compressed_streamlines_are_refused(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(streamlines, "_MOST_EMPTY", 10)
    nibabel.streamlines.save(Tractogram(lines, affine_to_rasmm=np.eye(4)), str(tmp_path / "a.trk"))
    header = (tmp_path / "a.trk").read_bytes()[:1000]
    (tmp_path / "empty.trk").write_bytes(header[:988] + struct.pack("<i", 0) + header[992:] + bytes(48))
    with pytest.raises(InputError, match=r"empty\.trk has over 10 streamlines without a point"):
        read_streamlines(tmp_path / "empty.trk")
    (tmp_path / "a.trk.gz").write_bytes(gzip.compress(header))
    with pytest.raises(InputError, match=r"a\.trk\.gz is compressed"):
        read_streamlines(tmp_path / "a.trk.gz")
