import numpy as np
import pytest

from warpline.errors import UsageError
from warpline.evaluation import folding, inverse_error, landmark_error, overlap, similarity
from warpline.images import Image
from warpline.phantom import brain_pair
from warpline.resampling import warp
from warpline.space import Chain


def test_a_seed_gives_the_same_bytes_another_does_not(pair):
    again, other = brain_pair(), brain_pair((48, 56, 48), seed=1, voxel_size=4.0)
    small = brain_pair((48, 56, 48), seed=0, voxel_size=4.0)
    for name in ("fixed", "moving", "fixed_labels", "moving_labels"):
        assert np.array_equal(getattr(pair, name).data, getattr(again, name).data)
    assert np.array_equal(pair.transform.parts[0].field, again.transform.parts[0].field)
    assert not np.array_equal(small.fixed.data, other.fixed.data)


def test_grids_differ_in_orientation_and_voxel_size(pair):
    assert np.argmax(np.abs(pair.moving.grid.affine[:3, :3]), axis=0).tolist() == [1, 2, 0]
    assert not np.allclose(np.sort(pair.moving.grid.voxel_size), np.sort(pair.fixed.grid.voxel_size), rtol=0.02)


def test_the_map_is_smooth_and_its_inverse_is_known(pair):
    jacobian = folding(pair.transform.parts[0], backend="numpy")
    assert jacobian.minimum > 0.2
    back = pair.transform.inverse()
    assert inverse_error(pair.transform, back, pair.fixed.grid, pair.fixed).largest < 0.05
    assert inverse_error(back, pair.transform, pair.moving.grid, pair.moving).largest < 0.05


def test_the_true_map_carries_moving_onto_fixed(pair, numpy_backend):
    def scores(transform):
        grid = pair.fixed.grid
        labels = warp(pair.moving_labels, transform, grid, order=0, backend=numpy_backend)
        warped = warp(pair.moving, transform, grid, backend=numpy_backend)
        return overlap(pair.fixed_labels, labels).mean, similarity(pair.fixed, warped, backend=numpy_backend).ncc

    (start, _), (linear, _), (truth, ncc) = scores(Chain()), scores(pair.transform.parts[1]), scores(pair.transform)
    assert start < 0.3 < linear < 0.7 < 0.85 < truth
    assert ncc > 0.92


def test_landmarks_are_a_problem_that_the_true_map_solves(pair):
    assert len(pair.fixed_points) > 40
    assert landmark_error(pair.fixed_points, pair.moving_points, Chain()).mean > 8
    assert landmark_error(pair.fixed_points, pair.moving_points, pair.transform).maximum < 1e-9
    inside = Image(pair.fixed.data > 0, pair.fixed.grid)
    voxels = np.rint((pair.fixed_points - inside.grid.affine[:3, 3]) / 2).astype(int)
    assert inside.data[tuple(voxels.T)].mean() > 0.9


@pytest.mark.parametrize(("shape", "voxel_size"), [((96, 96), 2.0), ((96, 112, 8), 2.0), ((96, 112, 96), 0.0)])
def test_sizes_that_hold_no_brain_are_refused(shape, voxel_size):
    with pytest.raises(UsageError, match="phantom of shape"):
        brain_pair(shape, voxel_size=voxel_size)
