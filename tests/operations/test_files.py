"""Transform files into other formats."""

from __future__ import annotations

import numpy as np
import pytest

from made_transforms import PAIRS, inner_points, made_affine, made_pair
from oblique_pair import FIXED, TURN, fading, world_points
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.io.transform_files import FORMATS, read_transform
from warpline.operations import convert, write_transform
from warpline.space import Affine, Chain
from warpline.space.grid import apply_affine

AFFINE_FORMATS = [
    name for name, one in FORMATS.items() if one.holds is Affine and one.encode is not None and not name.endswith("-2d")
]


@pytest.mark.parametrize("name", AFFINE_FORMATS)
@pytest.mark.parametrize("axes", PAIRS, ids="-".join)
def test_affine_formats_keep_the_map_between_images(name, axes, tmp_path):
    fixed, moving = made_pair(*axes)
    for grid, which in ((fixed, "fixed"), (moving, "moving")):
        write_image(Image(np.zeros(grid.shape, np.float32), grid), tmp_path / f"{which}.nii")
    images = {which: tmp_path / f"{which}.nii" for which in ("fixed", "moving")}
    write_transform(made_affine(), tmp_path / "a.mat")
    other = tmp_path / f"other{FORMATS[name].suffixes[0]}"
    convert(tmp_path / "a.mat", other, target_format=name, **images)
    convert(other, tmp_path / "again.tfm", source_format=name, **images)
    points = inner_points(fixed)
    again = read_transform(tmp_path / "again.tfm").map_points(points)
    np.testing.assert_allclose(again, made_affine().map_points(points), rtol=0, atol=1e-5 * fixed.voxel_size.min())


def test_a_mapping_of_dipy_gets_its_inverse(tmp_path):
    warp = fading(FIXED)
    write_transform(warp, tmp_path / "warp.nii.gz")
    convert(tmp_path / "warp.nii.gz", tmp_path / "mapping.nii.gz", target_format="dipy-mapping")
    both = read_transform(tmp_path / "mapping.nii.gz")
    points = inner_points(FIXED)
    np.testing.assert_allclose(both.map_points(points), warp.map_points(points), atol=1e-4)
    np.testing.assert_allclose(both.inverse().map_points(both.map_points(points)), points, atol=0.15)


@pytest.mark.parametrize("transform", [TURN, Chain((fading(FIXED), TURN))], ids=["affine", "chain"])
def test_a_mapping_of_dipy_takes_any_transform(transform, tmp_path):
    write_transform(transform, tmp_path / "mapping.nii.gz", "dipy-mapping", fixed=FIXED, backend="numpy")
    both = read_transform(tmp_path / "mapping.nii.gz")
    points = inner_points(FIXED)
    np.testing.assert_allclose(both.map_points(points), transform.map_points(points), atol=1e-4)
    voxels = world_points(FIXED)[1:-1, 1:-1, 1:-1]
    before = both.inverse().map_points(voxels)
    where = apply_affine(FIXED.inverse_affine, before)
    stays = np.all((where >= 1) & (where <= np.array(FIXED.shape) - 2), axis=-1)
    assert stays.mean() > 0.5
    np.testing.assert_allclose(transform.map_points(before[stays]), voxels[stays], atol=0.01)


def test_nothing_is_written_when_it_does_not_fit(tmp_path):
    write_transform(fading(FIXED), tmp_path / "warp.nii.gz")
    for target, words in (("warp.mat", "no format stores"), ("warp.xyz", "no format stores")):
        with pytest.raises(UsageError, match=words):
            convert(tmp_path / "warp.nii.gz", tmp_path / target)
    with pytest.raises(InputError, match="--fixed"):
        write_transform(made_affine(), tmp_path / "a.mat")
        convert(tmp_path / "a.mat", tmp_path / "flirt.mat", target_format="fsl-flirt")
    assert {path.name for path in tmp_path.iterdir()} == {"warp.nii.gz", "a.mat"}
