"""Labels and their files."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.images import read_image
from warpline.labelling.result import Labelling

MATRIX = np.diag([2.0, 1.0, 3.0, 1.0])


@pytest.fixture
def labelled():
    """Two labels on a volume with voxels of 6 mm3."""
    data = np.zeros((4, 5, 6), np.int16)
    data[0, 0, :2], data[3] = -4, 9
    sure = np.full(data.shape, 0.5, np.float32)
    sure[3] = 0.75
    shown = Image.from_array(np.random.default_rng(0).random(data.shape), MATRIX, "shown")
    images = (Image.from_array(data, MATRIX), Image.from_array(sure, MATRIX))
    return Labelling(shown, *images, {"inputs": {"image": {"path": None}}, "seconds": {}}, {9: "nine"})


def test_volumes_are_in_millimetres(labelled):
    small, large = labelled.volumes
    assert (small.label, small.voxels, small.volume, small.confidence) == (-4, 2, 12.0, 0.5)
    assert (large.name, large.voxels, large.volume, large.confidence) == ("nine", 30, 180.0, 0.75)
    assert labelled.table().splitlines()[:2] == ["label\tname\tvoxels\tmm3\tconfidence", "-4\tn/a\t2\t12\t0.5000"]


def test_areas_of_slices_are_in_their_plane():
    flat = Image.from_array(np.ones((3, 3), np.uint8), np.diag([2.0, 2.0, 1.0]))
    found = Labelling(flat, flat, None, {}, {})
    assert found.table().splitlines() == ["label\tname\tvoxels\tmm2\tconfidence", "1\tn/a\t9\t36\tn/a"]


def test_saved_labels_are_read_back(labelled, tmp_path):
    paths = labelled.save(f"{tmp_path}/new/a_")
    read = read_image(paths["labels"])
    assert read.data.dtype == np.int16
    assert (read.data == labelled.labels.data).all()
    assert np.allclose(read.affine, MATRIX)
    assert np.allclose(read_image(paths["confidence"]).data, labelled.confidence.data)
    assert paths["picture"].read_bytes().startswith(b"\x89PNG")


def test_an_older_confidence_does_not_stay(labelled, tmp_path):
    labelled.save(f"{tmp_path}/")
    paths = Labelling(labelled.image, labelled.labels, None, labelled.report, {}).save(f"{tmp_path}/")
    assert "confidence" not in paths
    assert not (tmp_path / "confidence.nii.gz").exists()


def test_an_input_is_never_overwritten(labelled, tmp_path):
    inputs = {"atlases": [{"labels": {"path": str(tmp_path / "labels.nii.gz")}}]}
    with pytest.raises(UsageError, match="overwrite"):
        Labelling(labelled.image, labelled.labels, None, {"inputs": inputs}, {}).save(f"{tmp_path}/")
