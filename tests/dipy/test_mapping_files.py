"""Mapping files, against DIPY's."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from dipy_maps import MOVING, STATIC, image, pair, prealign
from warpline import dipy as ours
from warpline.errors import UsageError

public = pytest.importorskip("dipy.align")


@pytest.fixture
def saved(tmp_path):
    """Paths of a moving and a static image on the grids of the maps."""
    paths = []
    for name, (shape, matrix) in (("moving", MOVING[3]), ("static", STATIC[3])):
        paths.append(tmp_path / f"{name}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(image(shape, "f4"), matrix), paths[-1])
    return paths


def test_our_file_is_dipys_file(tmp_path):
    mine, real = pair(3, linear=False)
    ours.write_mapping(mine, tmp_path / "mine.nii")
    public.write_mapping(real, str(tmp_path / "real.nii"))
    assert (tmp_path / "mine.nii").read_bytes() == (tmp_path / "real.nii").read_bytes()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("write", "read"), [(public, ours), (ours, public)], ids=["dipy to us", "us to dipy"])
def test_files_cross_over(tmp_path, saved, suffix, write, read):
    file = str(tmp_path / f"mapping{suffix}")
    mapping = pair(3)[0 if write is ours else 1]
    write.write_mapping(mapping, file)
    back = read.read_mapping(file, *map(str, saved), prealign=np.linalg.inv(prealign(3)))
    assert back.is_inverse
    np.testing.assert_array_equal(back.forward, mapping.forward)
    np.testing.assert_array_equal(back.backward, mapping.backward)
    moving, static = image(MOVING[3][0]), image(STATIC[3][0])
    np.testing.assert_allclose(back.transform(moving), mapping.transform(moving), atol=2e-2)
    np.testing.assert_allclose(back.transform_inverse(static), mapping.transform_inverse(static), atol=2e-2)


def test_the_prealignment_is_noted_where_dipy_passes_over_it(tmp_path, saved):
    mine, _ = pair(3)
    file = str(tmp_path / "mapping.nii.gz")
    ours.write_mapping(mine, file)
    moving = image(MOVING[3][0])
    back = ours.read_mapping(file, *saved)
    np.testing.assert_array_equal(back.prealign, mine.prealign)
    np.testing.assert_allclose(back.transform(moving), mine.transform(moving), atol=2e-2)
    real = public.read_mapping(file, *map(str, saved), prealign=mine.prealign)
    np.testing.assert_allclose(real.transform(moving), mine.transform(moving), atol=2e-2)
    other = np.diag([1.1, 1, 1, 1])
    assert ours.read_mapping(file, *saved, prealign=other).prealign is other
    public.write_mapping(mine, file)
    assert ours.read_mapping(file, *saved).prealign is None


def test_exchanged_images_are_put_right_with_a_warning(tmp_path, saved):
    mapping, _ = pair(3)
    file = tmp_path / "mapping.nii.gz"
    ours.write_mapping(mapping, file)
    moving, static = saved
    with pytest.warns(UserWarning, match="meant for the moving image"):
        back = ours.read_mapping(file, static, moving, prealign=np.linalg.inv(prealign(3)))
    source = image(MOVING[3][0])
    np.testing.assert_allclose(back.transform(source), mapping.transform(source), atol=2e-2)


def test_images_may_be_4d_or_loaded(tmp_path, saved, recwarn):
    mapping, _ = pair(3)
    file = tmp_path / "mapping.nii.gz"
    ours.write_mapping(mapping, file)
    series = nibabel.Nifti1Image(np.zeros((*STATIC[3][0], 4), np.float32), STATIC[3][1])
    back = ours.read_mapping(file, nibabel.load(saved[0]), series)
    assert back.codomain_shape == STATIC[3][0]
    assert not [w for w in recwarn if w.category is UserWarning]


def test_flat_maps_have_no_file(tmp_path):
    with pytest.raises(UsageError, match="3-D"):
        ours.write_mapping(pair(2)[0], tmp_path / "mapping.nii")
    with pytest.raises(UsageError, match=r"\.nii"):
        ours.write_mapping(pair(3)[0], tmp_path / "mapping.mat")
