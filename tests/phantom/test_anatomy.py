import numpy as np
import pytest

from warpline.phantom import LABELS


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
