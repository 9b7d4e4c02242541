"""Windowed sinc: separable weights of radius 3."""

from __future__ import annotations

import numpy as np
import pytest

from oblique_pair import FIXED, MOVING, TURN, smooth_image
from warpline.errors import UsageError
from warpline.images import Image
from warpline.resampling import warp_sinc
from warpline.resampling.sinc import WINDOWS
from warpline.space import Affine
from warpline.space.grid import Grid


def shifted(grid, voxels):
    affine = np.array(grid.affine)
    affine[:3, 3] += affine[:3, :3] @ voxels
    return Grid(grid.shape, affine)


def weights(size, shift, window, normalised):
    """Weight of every input voxel along one axis for every output voxel, by the definition."""
    table = np.zeros((size, size))
    for o in range(size):
        for i in range(size):
            distance = o + shift - i
            if -3 < distance <= 3:
                table[o, i] = np.sinc(distance) * WINDOWS[window](distance / 3)
    return table / table.sum(axis=1, keepdims=True) if normalised else table


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("normalised", [True, False])
def test_values_are_those_of_the_definition(window, normalised, numpy_backend):
    image, shift = smooth_image(MOVING), np.array([0.3, -0.25, 0.4])
    warped = warp_sinc(
        image,
        Affine.identity(),
        shifted(MOVING, shift),
        window=window,
        normalised=normalised,
        backend=numpy_backend,
    )
    tables = [weights(n, s, window, normalised) for n, s in zip(MOVING.shape, shift, strict=True)]
    expected = np.einsum("ai,bj,ck,ijk->abc", *tables, image.data.astype(float))
    np.testing.assert_allclose(warped.data, expected, atol=2e-5 * np.abs(image.data).max())


def test_a_constant_stays_constant_up_to_the_faces(numpy_backend):
    image = Image(np.full(MOVING.shape, 100, np.int16), MOVING)
    warped = warp_sinc(image, TURN, FIXED, outside=-1, backend=numpy_backend).data
    inside = warped != -1
    assert inside.any()
    np.testing.assert_allclose(warped[inside], 100, rtol=1e-6)


def test_whole_steps_copy_values(numpy_backend):
    image = smooth_image(MOVING)
    np.testing.assert_allclose(
        warp_sinc(image, Affine.identity(), MOVING, backend=numpy_backend).data, image.data, atol=1e-4
    )


def test_slices_and_series(numpy_backend):
    slice_ = Image.from_array(np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32))
    warped = warp_sinc(slice_, Affine.identity(), slice_.grid, backend=numpy_backend)
    np.testing.assert_allclose(warped.data, slice_.data, atol=1e-6)
    series = np.stack([smooth_image(MOVING, seed).data for seed in (1, 2)], axis=-1)
    both = warp_sinc(Image(series, MOVING), TURN, FIXED, threads=2, backend=numpy_backend).data
    alone = warp_sinc(Image(series[..., 1], MOVING), TURN, FIXED, backend=numpy_backend).data
    np.testing.assert_array_equal(both[..., 1], alone)


def test_unknown_window_is_refused(numpy_backend):
    with pytest.raises(UsageError, match="window is 'hann'; choose from lanczos"):
        warp_sinc(smooth_image(MOVING), TURN, FIXED, window="hann", backend=numpy_backend)
