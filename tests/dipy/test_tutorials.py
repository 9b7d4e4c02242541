"""DIPY's two tutorials on SyN, run twice: with DIPY's import lines and with ours, nothing else changed."""

from __future__ import annotations

import logging
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from warpline.io.images import write_image
from warpline.phantom import brain_pair

matplotlib.use("Agg")
pytest.importorskip("dipy")

IMPORTS_3D = {
    "dipy": """
from dipy.align.imaffine import AffineMap
from dipy.align.imwarp import SymmetricDiffeomorphicRegistration
from dipy.align.metrics import CCMetric
from dipy.align import read_mapping, write_mapping
from dipy.io.image import load_nifti
from dipy.segment.mask import median_otsu
from dipy.viz import regtools
""",
    "warpline": """
from warpline.dipy import AffineMap
from warpline.dipy import SymmetricDiffeomorphicRegistration
from warpline.dipy import CCMetric
from warpline.dipy import read_mapping, write_mapping
from warpline.dipy import load_nifti
from warpline.dipy import median_otsu
from warpline.dipy import regtools
""",
}
BODY_3D = """
static, static_affine = load_nifti(static_fname)
static = np.squeeze(static)[..., 0]
moving, moving_affine = load_nifti(moving_fname)
static, static_mask = median_otsu(static, median_radius=1, numpass=1)
moving, moving_mask = median_otsu(moving, median_radius=1, numpass=1)
affine_map = AffineMap(pre_align, static.shape, static_affine, moving.shape, moving_affine)
resampled = affine_map.transform(moving)
regtools.overlay_slices(static, resampled, None, 1, "Static", "Moving", folder + "/input_3d.png")
metric = CCMetric(3)
level_iters = [40, 30, 20]
sdr = SymmetricDiffeomorphicRegistration(metric, level_iters=level_iters)
mapping = sdr.optimize(static, moving, static_affine, moving_affine, pre_align)
warped_moving = mapping.transform(moving)
regtools.overlay_slices(static, warped_moving, None, 1, "Static", "Warped moving", folder + "/warped_moving.png")
write_mapping(mapping, folder + "/mapping.nii.gz")
saved_mapping = read_mapping(folder + "/mapping.nii.gz", static_fname, moving_fname)
warped_static = mapping.transform_inverse(static)
regtools.overlay_slices(warped_static, moving, None, 1, "Warped static", "Moving", folder + "/warped_static.png")
"""

IMPORTS_2D = {
    "dipy": """
from dipy.align.imwarp import SymmetricDiffeomorphicRegistration
from dipy.align.metrics import CCMetric, SSDMetric
import dipy.align.imwarp as imwarp
from dipy.viz import regtools
""",
    "warpline": """
from warpline.dipy import SymmetricDiffeomorphicRegistration
from warpline.dipy import CCMetric, SSDMetric
import warpline.dipy as imwarp
from warpline.dipy import regtools
""",
}
BODY_2D = """
dim = static.ndim
metric = SSDMetric(dim)
sdr = SymmetricDiffeomorphicRegistration(metric, level_iters=[60, 30, 15], inv_iter=50)
mapping = sdr.optimize(static, moving)
regtools.plot_2d_diffeomorphic_map(mapping, delta=10, fname=folder + "/diffeomorphic_map.png")
warped_moving = mapping.transform(moving, interpolation="linear")
regtools.overlay_images(static, warped_moving, title0="Static", title_mid="Overlay", title1="Warped moving",
                        fname=folder + "/direct_warp_result.png")
warped_static = mapping.transform_inverse(static, interpolation="linear")


def callback_CC(sdr, status):
    if status == imwarp.RegistrationStages.SCALE_END:
        wmoving = sdr.metric.moving_image
        wstatic = sdr.metric.static_image
        seen.append((wmoving.ndim, wmoving.shape == wstatic.shape))
        regtools.overlay_images(wmoving, wstatic, title0="Warped moving", title_mid="Overlay", title1="Warped static")


metric = CCMetric(dim, sigma_diff=3.0, radius=4)
sdr = SymmetricDiffeomorphicRegistration(metric, level_iters=[20, 10, 5])
sdr.callback = callback_CC
mapping = sdr.optimize(static, moving)
warped_by_cc = mapping.transform(moving)
"""


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)
    pyplot.close("all")


def run(imports, body, **given):
    names = {"np": np, **given}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(imports + body, names)
    return names


def correlation(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


def test_three_dimensions(tmp_path):
    pair = brain_pair((40, 44, 40), voxel_size=4.5)
    files = {"static_fname": str(tmp_path / "static.nii.gz"), "moving_fname": str(tmp_path / "moving.nii.gz")}
    given = {"folder": str(tmp_path), "pre_align": pair.transform.parts[-1].matrix, **files}
    series = type(pair.fixed)(np.repeat(pair.fixed.data[..., None], 2, axis=3), pair.fixed.grid)
    for image, name in zip((series, pair.moving), files.values(), strict=True):
        write_image(image, name)
    real, mine = (run(IMPORTS_3D[key], BODY_3D, **given) for key in ("dipy", "warpline"))
    np.testing.assert_array_equal(mine["static_mask"], real["static_mask"])
    np.testing.assert_allclose(mine["resampled"], real["resampled"], atol=1e-6)
    start, theirs, ours = (
        correlation(real["static"], image)
        for image in (real["resampled"], real["warped_moving"], mine["warped_moving"])
    )
    assert ours >= theirs > start
    assert mine["warped_static"].shape == real["warped_static"].shape
    assert mine["saved_mapping"].codomain_shape == mine["static"].shape
    again = mine["saved_mapping"].transform(mine["moving"])
    np.testing.assert_allclose(again, mine["warped_moving"], atol=1e-3)


def test_two_dimensions(tmp_path):
    pair = brain_pair((48, 56, 48), voxel_size=3.5)
    static = pair.fixed.data[:, :, 24].astype(np.float64)
    moving = np.roll(np.roll(static, 2, axis=0), -1, axis=1) ** 0.9
    runs = {key: run(IMPORTS_2D[key], BODY_2D, static=static, moving=moving, folder=str(tmp_path), seen=[])
            for key in ("dipy", "warpline")}  # fmt: skip
    mine, real = runs["warpline"], runs["dipy"]
    for name in ("warped_moving", "warped_by_cc"):
        assert correlation(static, mine[name]) >= correlation(static, real[name]) > correlation(static, moving)
    assert mine["warped_static"].shape == moving.shape
    assert mine["seen"] == real["seen"] == [(2, True)] * 3
