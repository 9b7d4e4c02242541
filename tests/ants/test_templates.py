"""Templates under ANTsPy's name."""

from __future__ import annotations

import inspect

import nibabel
import numpy as np
import pytest

from template_files import strangers, subjects
from warpline import ants
from warpline.errors import UsageError


def test_the_signature_is_that_of_antspy():
    peer = pytest.importorskip("ants")
    ours, theirs = (inspect.signature(one.build_template).parameters for one in (ants, peer))
    named = [name for name in theirs if name != "kwargs"]
    assert [name for name in ours if name != "options"] == named
    assert [ours[name].default for name in named] == [theirs[name].default for name in named]


def test_images_of_any_kind_make_a_template(slices, tmp_path, caplog):
    paths = [one.moving for one in (*subjects(slices, 3), strangers(slices)[1])]
    images = [nibabel.load(paths[0]), *paths[1:]]
    made = ants.build_template(image_list=images, iterations=1, type_of_transform="Rigid", output_dir=tmp_path)
    assert np.asarray(made.dataobj).max() > 0.5 and (tmp_path / "template.json").exists()
    assert "image0003 is left out: does not fit" in caplog.text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs image_list"),
        ({"image_list": ["a.nii", "b.nii"], "weights": (2, 1)}, "equal weights only"),
        ({"image_list": ["a.nii", "b.nii"], "type_of_transform": "SyM"}, "type_of_transform is 'SyM'"),
        ({"image_list": ["a.nii", "b.nii"], "smoothing_in_mm": True}, "smoothing_in_mm is not offered"),
    ],
)
def test_what_is_not_offered_is_refused(given, message):
    with pytest.raises(UsageError, match=message):
        ants.build_template(**given)
