"""Files of a finished template."""

from __future__ import annotations

import numpy as np

from warpline import read_image


def test_labels_lie_on_the_template(built):
    image, labels = read_image(built.image), read_image(built.labels)
    assert labels.grid == image.grid
    assert np.unique(labels.data).tolist() == [0, 1, 2, 3]
    assert image.data[labels.data == 2].mean() > 1.5 * image.data[labels.data == 1].mean()
