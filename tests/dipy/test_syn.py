"""SyN behind DIPY's optimiser: results no worse than DIPY's own, and its conventions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from conftest import emulated_backend
from warpline import dipy as ours
from warpline.dipy import RegistrationStages as Stage
from warpline.dipy import syn
from warpline.errors import InputError, UsageError
from warpline.io.images import read_image
from warpline.phantom import brain_pair
from warpline.registration.alignment import align_with_half_maps
from warpline.resampling import resample

imwarp = pytest.importorskip("dipy.align.imwarp")

metrics = pytest.importorskip("dipy.align.metrics")


def correlation(a, b):
    inside = (a > 0) | (b > 0)
    return np.corrcoef(a[inside], b[inside])[0, 1]


def local_correlation(a, b, radius=4):
    """Mean squared correlation in windows: what both implementations optimise."""
    size = 2 * radius + 1
    a, b = (np.asarray(x, dtype=float) / np.max(x) for x in (a, b))
    mean_a, mean_b = ndimage.uniform_filter(a, size), ndimage.uniform_filter(b, size)
    cross = ndimage.uniform_filter(a * b, size) - mean_a * mean_b
    spread = [ndimage.uniform_filter(x * x, size) - m * m for x, m in ((a, mean_a), (b, mean_b))]
    valid = (spread[0] > 1e-6) & (spread[1] > 1e-6)
    return (cross[valid] ** 2 / (spread[0] * spread[1])[valid]).sum() / a.size


def assert_no_worse(pair, schedule, metric, share=1.0, inverse=0.9, **how):
    """Register with both packages at one schedule, from one prealignment.

    Local CC reaches `share` of DIPY's, and what the inverse gains in correlation `inverse` of DIPY's.
    """
    static, static_affine, moving, moving_affine, start = pair
    grids = {"static_grid2world": static_affine, "moving_grid2world": moving_affine, "prealign": start}
    warped = []
    for kind, module in ((imwarp, metrics), (ours, ours)):
        sdr = kind.SymmetricDiffeomorphicRegistration(getattr(module, metric)(static.ndim, **how), level_iters=schedule)
        mapping = sdr.optimize(static, moving, **grids)
        warped.append((mapping.transform(moving), mapping.transform_inverse(static)))
    (real, real_back), (mine, mine_back) = warped
    assert mine.shape == real.shape == static.shape and mine_back.shape == real_back.shape == moving.shape
    assert correlation(static, mine) >= correlation(static, real)
    carried = ours.AffineMap(start, static.shape, static_affine, moving.shape, moving_affine).transform_inverse(static)
    gain = [correlation(moving, back) - correlation(moving, carried) for back in (real_back, mine_back)]
    assert gain[1] > inverse * gain[0] > 0
    if metric == "CCMetric":
        assert local_correlation(static, mine) >= share * local_correlation(static, real)


@pytest.fixture(scope="module")
def phantom():
    """A small pair on different grids, with the true affine part as prealignment."""
    pair = brain_pair((40, 44, 40), voxel_size=4.0)
    return pair.fixed.data, pair.fixed.affine, pair.moving.data, pair.moving.affine, pair.transform.parts[-1].matrix


@pytest.mark.parametrize(("metric", "how"), [("CCMetric", {"radius": 2}), ("SSDMetric", {"smooth": 2})])
def test_phantoms_no_worse_than_dipy(phantom, metric, how):
    # Measured on the phantom: 0.9997 of DIPY's local CC at this short schedule, with a higher correlation.
    assert_no_worse(phantom, [20, 20, 10], metric, share=0.999, **how)


def test_brains_no_worse_than_dipy(data_folder):
    names = "mni_icbm152_t1_tal_nlin_asym_09a_masked_222.nii", "ds114_sub009_highres_brain_222.nii"
    static, moving = (resample(read_image(data_folder / "seed" / name), voxel_size=4.0) for name in names)
    arrays = static.data, np.array(static.affine), moving.data, np.array(moving.affine)
    rough = ours.transform_centers_of_mass(*arrays).affine
    affreg = ours.AffineRegistration(level_iters=[100, 50], factors=[2, 1])
    start = affreg.optimize(
        arrays[0], arrays[2], ours.AffineTransform3D(), None, arrays[1], arrays[3], starting_affine=rough
    ).affine
    assert_no_worse((*arrays, start), [10, 10, 5], "CCMetric", inverse=1.0)


def test_slices_no_worse_than_dipy(data_folder):
    static, moving = (
        read_image(data_folder / "oasis-trt-20-slices" / f"sub-{n}_t1.nii.gz").data.squeeze().astype(np.float32)
        for n in ("01", "02")
    )
    start = ours.transform_centers_of_mass(static, None, moving, None).affine
    assert_no_worse((static, np.eye(3), moving, np.eye(3), start), [30, 20, 5], "CCMetric")


def test_the_map_is_set_up_as_dipys(phantom):
    static, static_affine, moving, moving_affine, start = phantom
    sdr = ours.SymmetricDiffeomorphicRegistration(ours.CCMetric(3, 2.0, 2), [5, 5])
    with pytest.raises(InputError, match="call optimize"):
        sdr.get_map()
    mapping = sdr.optimize(static, moving, static_affine, moving_affine, start)
    assert sdr.get_map() is mapping
    assert mapping.is_inverse
    assert mapping.domain_shape == moving.shape and mapping.codomain_shape == static.shape
    assert mapping.forward.shape == mapping.backward.shape == (*static.shape, 3)
    assert mapping.forward.dtype == mapping.backward.dtype == np.float32
    np.testing.assert_allclose(mapping.prealign, np.linalg.inv(start))
    points = np.random.default_rng(0).uniform(-40, 40, (50, 3))
    there = mapping.transform_points(points)
    np.testing.assert_allclose(mapping.transform_points_inverse(there), points, atol=0.5)
    assert np.abs(there - points).max() > 1


def test_the_maps_to_the_middle_make_both_images_alike(phantom):
    static, static_affine, moving, moving_affine, start = phantom
    sdr = ours.SymmetricDiffeomorphicRegistration(ours.CCMetric(3, 2.0, 2), [10, 10])
    with pytest.raises(InputError, match="call optimize"):
        sdr.get_intermediate_maps()
    mapping = sdr.optimize(static, moving, static_affine, moving_affine, start)
    from_static, from_moving = sdr.get_intermediate_maps()
    assert from_static is sdr.static_to_ref and from_moving is sdr.moving_to_ref
    middles = from_static.transform_inverse(static), from_moving.transform_inverse(moving)
    before = ours.AffineMap(start, static.shape, static_affine, moving.shape, moving_affine).transform(moving)
    assert correlation(*middles) > correlation(static, before) + 0.02
    points = np.random.default_rng(0).uniform(-40, 40, (50, 3))
    through = from_moving.transform_points_inverse(from_static.transform_points(points))
    np.testing.assert_allclose(through, mapping.transform_points(points), atol=0.5)
    for half, image in ((from_static, static), (from_moving, moving)):
        assert half.transform(middles[0]).shape == image.shape
        np.testing.assert_allclose(half.transform_points_inverse(half.transform_points(points)), points, atol=0.2)


def test_em_runs_on_the_backend_that_was_asked_for(monkeypatch):
    backend, used = emulated_backend(), []

    def align(*images, backend, **how):
        used.append(backend)
        return align_with_half_maps(*images, backend=backend, **how)

    monkeypatch.setattr(syn, "align_with_half_maps", align)
    image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(24, 20)), 2)
    maps = [
        ours.SymmetricDiffeomorphicRegistration(ours.EMMetric(2), [2], backend=one).optimize(
            image, np.roll(image, 1, axis=0)
        )
        for one in (backend, "numpy")
    ]
    assert used[0] is backend
    np.testing.assert_allclose(maps[0].backward, maps[1].backward, atol=1e-3)
    assert np.abs(maps[0].backward).max() > 0.1


def test_the_smoothing_of_the_levels_is_dipys():
    rng = np.random.default_rng(0)
    static = ndimage.gaussian_filter(rng.normal(size=(40, 40)), 2)
    moving = np.roll(static, 2, axis=1)
    maps = [
        ours.SymmetricDiffeomorphicRegistration(ours.CCMetric(2), [5, 5], ss_sigma_factor=factor).optimize(
            static, moving
        )
        for factor in (0.2, 0.2, 2.0)
    ]
    np.testing.assert_array_equal(maps[0].backward, maps[1].backward)
    assert np.abs(maps[0].backward - maps[2].backward).max() > 0.01


def test_stages_come_in_dipys_order():
    rng = np.random.default_rng(0)
    static = ndimage.gaussian_filter(rng.normal(size=(48, 40)), 3)
    moving = ndimage.shift(static, (1.5, -1.0), order=1)
    told = {}
    for kind, module, names in ((imwarp, metrics, imwarp.RegistrationStages), (ours, ours, Stage)):
        levels, seen = [], []

        def listen(sdr, stage, levels=levels, seen=seen):
            seen.append(int(stage))
            levels.append(sdr.current_level if stage not in (2, 3) else None)

        sdr = kind.SymmetricDiffeomorphicRegistration(module.CCMetric(2), level_iters=[3, 0, 1], callback=listen)
        sdr.optimize(static, moving)
        told[kind] = list(dict.fromkeys(zip(seen, levels, strict=True)))
        assert seen[0] == names.OPT_START and seen[-1] == names.OPT_END
    assert told[ours] == told[imwarp]


def test_energies_are_kept_and_fall():
    rng = np.random.default_rng(0)
    static = np.pad(ndimage.gaussian_filter(rng.normal(size=(40, 36)), 3), 12)  # background, which goes on outside
    moving = ndimage.shift(static, (2.5, -2.0), order=1)
    sdr = ours.SymmetricDiffeomorphicRegistration(ours.CCMetric(2), [30, 30])
    sdr.optimize(static, moving)
    assert len(sdr.full_energy_profile) >= len(sdr.energy_list) > 1
    assert sdr.energy_list[-1] < sdr.energy_list[0] < 0
    first = sdr.full_energy_profile[: -len(sdr.energy_list)]  # those of the coarser level, whose images are smoother
    assert first[-1] < first[0] < 0


def test_a_run_repeats_bit_for_bit(phantom):
    static, static_affine, moving, moving_affine, start = phantom
    maps = [
        ours.SymmetricDiffeomorphicRegistration(ours.CCMetric(3, radius=2), [5, 5]).optimize(
            static, moving, static_affine, moving_affine, start
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(maps[0].backward, maps[1].backward)
    np.testing.assert_array_equal(maps[0].forward, maps[1].forward)


IMAGE = np.random.default_rng(0).normal(size=(20, 20, 20))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ours.CCMetric(4), UsageError, "dim is 4"),
        (lambda: ours.SSDMetric(3, step_type="newton"), UsageError, "choose from demons, gauss_newton"),
        (lambda: ours.EMMetric(3, step_type="newton"), UsageError, "choose from demons, gauss_newton"),
        (lambda: ours.SymmetricDiffeomorphicRegistration(None), UsageError, "metric is None"),
        (lambda: ours.SymmetricDiffeomorphicRegistration(ours.CCMetric(3), []), UsageError, "level_iters is empty"),
        (lambda: optimise(IMAGE, IMAGE, radius=0), UsageError, "radius = 0"),
        (lambda: optimise(IMAGE, IMAGE[..., 0]), UsageError, "moving has 2 axes"),
        (lambda: optimise(IMAGE, np.zeros((20, 20, 20))), InputError, "moving is constant"),
        (lambda: optimise(np.where(IMAGE > 3, np.nan, IMAGE), IMAGE), InputError, "static has .* NaN"),
        (lambda: optimise(IMAGE[:5], IMAGE), InputError, "static has 5 voxels along axis 0"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def optimise(static, moving, **how):
    return ours.SymmetricDiffeomorphicRegistration(ours.CCMetric(3, **how), [2]).optimize(static, moving)
