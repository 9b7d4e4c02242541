"""Tables of gradients, as FSL and DIPY write and read them."""

from __future__ import annotations

import numpy as np
import pytest
from dipy.io import read_bvals_bvecs

from warpline.errors import InputError
from warpline.io.gradients import encode_bvecs, read_bvals, read_bvecs

VECTORS = np.random.default_rng(0).normal(size=(5, 3))
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.mark.parametrize("across", [True, False])
def test_both_layouts_are_read(tmp_path, across):
    np.savetxt(tmp_path / "bvec", VECTORS.T if across else VECTORS)
    np.testing.assert_allclose(read_bvecs(tmp_path / "bvec"), VECTORS, atol=1e-12)


def test_what_is_written_dipy_reads(tmp_path):
    (tmp_path / "a.bvec").write_bytes(encode_bvecs(VECTORS))
    (tmp_path / "a.bval").write_text("0 1000 1000\n2000 5\n".replace("\n", " "))
    bvals, bvecs = read_bvals_bvecs(str(tmp_path / "a.bval"), str(tmp_path / "a.bvec"))
    np.testing.assert_allclose(bvecs, VECTORS, atol=1e-7)
    np.testing.assert_allclose(read_bvals(tmp_path / "a.bval"), bvals)


def test_three_volumes_in_a_file_are_three_lines(tmp_path):
    np.savetxt(tmp_path / "bvec", VECTORS[:3].T)
    np.testing.assert_allclose(read_bvecs(tmp_path / "bvec"), VECTORS[:3], atol=1e-12)
    np.testing.assert_array_equal(read_bvecs(VECTORS[:3]), VECTORS[:3])


def test_nan_of_unweighted_volumes_is_zero():
    assert read_bvecs([[np.nan, 1], [np.nan, 0], [np.nan, 0]])[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("text", ["0 many", "0 -5", "0 1\n2"])
def test_damaged_bvals_are_refused(tmp_path, text):
    (tmp_path / "bval").write_text(text)
    with pytest.raises(InputError, match="bval"):
        read_bvals(tmp_path / "bval")


def test_words_are_no_bvals():
    with pytest.raises(InputError, match="no table of numbers"):
        read_bvals(["many"])


def test_other_shapes_of_bvecs_are_refused(tmp_path):
    np.savetxt(tmp_path / "bvec", np.ones((4, 5)))
    with pytest.raises(InputError, match="three numbers"):
        read_bvecs(tmp_path / "bvec")
    with pytest.raises(InputError, match="does not exist"):
        read_bvecs(tmp_path / "missing")
