import numpy as np
import pytest

from warpline.errors import UsageError
from warpline.evaluation import folding, inverse_error, landmark_error, overlap, similarity
from warpline.images import Image
from warpline.phantom import LABELS, brain_pair
from warpline.resampling import warp
from warpline.space import Chain


@pytest.fixture(scope="module")
def pair():
    return brain_pair()


def test_a_seed_gives_the_same_bytes_another_does_not(pair):
    again, other = brain_pair(), brain_pair((48, 56, 48), seed=1, voxel_size=4.0)
    small = brain_pair((48, 56, 48), seed=0, voxel_size=4.0)
    for name in ("fixed", "moving", "fixed_labels", "moving_labels"):
        assert np.array_equal(getattr(pair, name).data, getattr(again, name).data)
    assert np.array_equal(pair.transform.parts[0].field, again.transform.parts[0].field)
    assert not np.array_equal(small.fixed.data, other.fixed.data)


def test_every_structure_is_in_both_images(pair):
    for labels in (pair.fixed_labels, pair.moving_labels):
        assert labels.data.dtype == np.uint8
        assert set(np.unique(labels.data)) == {0, *LABELS}


def test_tissues_have_t1_contrast_and_the_background_is_zero(pair):
    def level(*labels):
        return pair.fixed.data[np.isin(pair.fixed_labels.data, labels)].mean()

    assert level(4, 43) < level(3, 42) < level(10, 49) < level(2, 41)
    assert pair.fixed.data.dtype == np.float32
    assert (pair.fixed.data[pair.fixed_labels.data > 0] > 0).all()
    assert pair.fixed.data[[0, -1]].max() == 0
    assert 0.12 < (pair.fixed.data > 0).mean() < 0.4


def test_halves_have_one_size_and_lie_on_their_sides(pair):
    right = pair.fixed.grid.affine[0, 0] * np.arange(96) + pair.fixed.grid.affine[0, 3] > 0
    for left_label, right_label in ((2, 41), (3, 42), (12, 51), (17, 53)):
        on_left, on_right = pair.fixed_labels.data == left_label, pair.fixed_labels.data == right_label
        assert not on_left[right].any()
        assert not on_right[~right].any()
        assert on_left.sum() == pytest.approx(on_right.sum(), rel=0.1)


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
