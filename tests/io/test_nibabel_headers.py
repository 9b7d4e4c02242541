"""Files that nibabel reads: Analyze and MGH without orientation, pairs, images in memory."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
from scipy.io import savemat

from made_headers import MIRRORED, ONE
from warpline.io.images import as_image, read_grid, read_image

DATA = np.zeros((6, 7, 8), np.float32)
GUESS = np.diag((-2.0, 3, 4, 1)) + np.outer((1, 0, 0, 0), (0, 0, 0, 5.0))
GUESS[1:3, 3] = -9, -14


def save_analyze(folder, kind=nibabel.AnalyzeImage):
    image = kind(DATA, None)
    image.header.set_zooms((2, 3, 4))
    nibabel.save(image, folder / "a.img")
    (folder / "a.mat").unlink(missing_ok=True)
    return folder / "a.hdr"


@pytest.mark.parametrize("kind", [nibabel.AnalyzeImage, nibabel.Spm99AnalyzeImage])
@pytest.mark.parametrize("name", ["a.img", "a.hdr"])
def test_analyze_says_that_left_and_right_are_a_guess(tmp_path, kind, name):
    save_analyze(tmp_path, kind)
    grid = read_grid(tmp_path / name)
    np.testing.assert_allclose(grid.affine, GUESS)
    (note,) = grid.notes
    assert "left and right are a guess" in note and "mm (" in note and str(tmp_path / name) in note
    assert grid.header.matrix == "none"


def test_analyze_placed_by_a_mat_file(tmp_path):
    save_analyze(tmp_path, nibabel.Spm99AnalyzeImage)
    one_based = ONE.copy()
    one_based[:3, 3] -= ONE[:3, :3].sum(axis=1)
    savemat(tmp_path / "a.mat", {"mat": one_based})
    grid = read_grid(tmp_path / "a.img")
    np.testing.assert_allclose(grid.affine, ONE)
    (note,) = grid.notes
    assert "placed by the .mat file beside it" in note


def test_a_negative_size_in_analyze_is_said(tmp_path, capfd):
    head = save_analyze(tmp_path)
    content = bytearray(head.read_bytes())
    content[80:84] = np.array(-2, "<f4").tobytes()
    head.write_bytes(content)
    notes = read_grid(tmp_path / "a.img").notes
    assert any("pixdim is -2 along i, which is no size of a voxel: taken for 2" in note for note in notes)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("size", [0, -2])
def test_a_bad_size_in_a_pair_is_said(tmp_path, size):
    nibabel.save(nibabel.Nifti1Pair(DATA, ONE), tmp_path / "a.img")
    content = bytearray((tmp_path / "a.hdr").read_bytes())
    content[80:84] = np.array(size, "<f4").tobytes()
    (tmp_path / "a.hdr").write_bytes(content)
    for name in ("a.img", "a.hdr"):
        grid = read_grid(tmp_path / name)
        np.testing.assert_allclose(grid.affine, ONE, atol=1e-5)
        assert any(f"pixdim is {size} along i" in note for note in grid.notes)


def test_a_pair_whose_matrices_differ(tmp_path):
    image = nibabel.Nifti1Pair(DATA, ONE)
    image.set_sform(ONE, 4)
    image.set_qform(MIRRORED, 1)
    nibabel.save(image, tmp_path / "a.img")
    np.testing.assert_allclose(read_grid(tmp_path / "a.img").affine, ONE, atol=1e-5)
    np.testing.assert_allclose(read_grid(tmp_path / "a.img", "qform").affine, MIRRORED, atol=1e-5)
    assert any("and mirrored" in note for note in read_grid(tmp_path / "a.img").notes)


def test_mgh_is_placed_in_one_way_only(tmp_path):
    nibabel.save(nibabel.MGHImage(DATA, ONE.astype(np.float32)), tmp_path / "a.mgz")
    for asked in (None, "sform", "qform"):
        grid = read_grid(tmp_path / "a.mgz", asked)
        np.testing.assert_allclose(grid.affine, ONE, atol=1e-5)
        assert grid.notes == () and grid.header is None


def test_mgh_without_orientation_is_a_guess(tmp_path):
    nibabel.save(nibabel.MGHImage(DATA, ONE.astype(np.float32)), tmp_path / "a.mgz")
    content = bytearray(gzip.decompress((tmp_path / "a.mgz").read_bytes()))
    content[28:30] = bytes(2)
    (tmp_path / "a.mgz").write_bytes(gzip.compress(bytes(content)))
    (note,) = read_image(tmp_path / "a.mgz").grid.notes
    assert "goodRASFlag 0" in note and "left and right are a guess" in note


def test_an_image_in_memory_keeps_the_precision_of_its_affine():
    affine = np.vstack([ONE[:3] + 1e-9, ONE[3]])
    image = as_image(nibabel.Nifti1Image(DATA, affine), "fixed")
    np.testing.assert_array_equal(image.affine, affine)
    assert image.grid.notes == ()


def test_an_affine_that_was_changed_in_memory_counts(tmp_path):
    image = nibabel.Nifti1Image(DATA, ONE.copy())
    image.affine[0, 3] += 7
    np.testing.assert_array_equal(as_image(image, "fixed").affine, image.affine)
