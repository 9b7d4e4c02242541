"""The option --pair: how it is written, and what is registered with it."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pytest

from made_registrations import made_pair
from warpline.cli.pairs import FORM, MARKS, image_pairs, read_pair
from warpline.errors import UsageError
from warpline.io.images import write_image

QUICK = (
    *("--set", "initialise.rotations=false", "--set", "linear.stages=['rigid']", "--set", "linear.voxel_sizes=[4.0]"),
    *("--set", "linear.iterations=[10]", "--set", "syn.factors=[2, 1]", "--set", "syn.iterations=[5, 2]"),
    *("--threads", "1"),
)


def options(*pairs, fixed=None, moving=None, **marks):
    return Namespace(pairs=list(pairs), fixed=fixed, moving=moving, **dict.fromkeys(MARKS) | marks)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Small images and label maps, as --pair takes them."""
    folder, texts = tmp_path_factory.mktemp("files"), {}
    images = made_pair()
    labels = [type(image)((image.data > 0.9).astype(np.float32) + (image.data > 0), image.grid) for image in images]
    for kind, pair in (("image", images), ("labels", labels)):
        paths = [folder / f"{side}_{kind}.nii.gz" for side in ("fixed", "moving")]
        for image, path in zip(pair, paths, strict=True):
            write_image(image, path)
        texts[kind] = ",".join(map(str, paths))
    return texts


def test_two_files_are_a_pair():
    pair = read_pair("a.nii,b.nii")
    assert (pair.fixed, pair.moving, pair.metric, pair.weight) == ("a.nii", "b.nii", None, 1.0)
    assert pair.contrast is None and all(getattr(pair, mark) is None for mark in MARKS)


def test_a_pair_has_options_in_any_order():
    pair = read_pair("a.nii,b.nii,weight=0.5,moving_mask=m.nii,metric=labels,fixed_mask=f=1.nii")
    assert (pair.metric, pair.weight, pair.fixed_mask, pair.moving_mask) == ("labels", 0.5, "f=1.nii", "m.nii")
    other = read_pair("a.nii,b.nii,contrast=predicted,moving_weights=w.nii,fixed_weights=v.nii")
    assert (other.contrast, other.fixed_weights, other.moving_weights) == ("predicted", "v.nii", "w.nii")


@pytest.mark.parametrize("text", ["", "a.nii", "a.nii,", ",b.nii", "a.nii,b.nii,", "a,b,c", "a,b,weigth=1", "a,b,=1"])
def test_what_is_no_pair_is_told_the_form(text):
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_pair(text)
    assert FORM in str(caught.value)


def test_a_weight_is_a_number():
    with pytest.raises(UsageError, match="weight must be a number"):
        read_pair("a.nii,b.nii,weight=heavy")


def test_an_unknown_metric_is_told_the_known_ones():
    with pytest.raises(UsageError, match=r"metric 'dice' of a pair is unknown; choose from .*local_cc"):
        read_pair("a.nii,b.nii,metric=dice")


@pytest.mark.parametrize("weight", ["0", "-1", "1e9", "nan"])
def test_a_weight_has_limits(weight):
    with pytest.raises(UsageError, match=r"between 0\.001 and 1000 is needed"):
        read_pair(f"a.nii,b.nii,weight={weight}")


def test_all_pairs_are_beside_the_images():
    given = options("c.nii,d.nii,weight=0.5", fixed="a.nii", moving="b.nii", fixed_mask="m.nii")
    main, (further,) = image_pairs(given)
    assert (main.fixed, main.moving, main.marks["fixed_mask"], main.settings) == ("a.nii", "b.nii", "m.nii", ())
    assert (further.fixed, further.weight) == ("c.nii", 0.5)


def test_without_images_the_first_pair_is_registered():
    first = "a.nii,b.nii,metric=mean_squares,weight=2,fixed_mask=f.nii,moving_mask=m.nii"
    given = options(first + ",moving_weights=w.nii", "c.nii,d.nii,weight=0.5", moving_mask="n.nii")
    main, (further,) = image_pairs(given)
    marks = {"fixed_mask": "f.nii", "moving_mask": "n.nii", "fixed_weights": None, "moving_weights": "w.nii"}
    assert (main.fixed, main.moving, main.marks) == ("a.nii", "b.nii", marks)
    assert main.settings == ("syn.metric=mean_squares",)
    assert further.weight == 0.25


@pytest.mark.parametrize("given", [options(), options("a.nii,b.nii", fixed="c.nii"), options(fixed="c.nii")])
def test_missing_images_are_asked_for(given):
    with pytest.raises(UsageError, match="two images are needed"):
        image_pairs(given)


def test_label_maps_are_not_registered_alone():
    with pytest.raises(UsageError, match="the first pair is registered as a whole and needs grey values"):
        image_pairs(options("a.nii,b.nii,metric=labels"))


def test_pairs_alone_are_registered(files, call, tmp_path):
    pairs = ("--pair", f"{files['image']},metric=mean_squares,weight=2", "--pair", f"{files['labels']},metric=labels")
    report = call("register", *pairs, "-o", f"{tmp_path}/", *QUICK)
    compared = [(term["metric"], term["weight"]) for term in report["terms"]]
    assert compared == [("mean_squares", 1.0), ("labels", 0.5)]
    assert report["recipe"]["syn"]["metric"] == "mean_squares"
    paths = [report["inputs"][name]["path"] for name in ("fixed", "moving", "fixed_2", "moving_2")]
    assert ",".join(paths[:2]) == files["image"] and ",".join(paths[2:]) == files["labels"]


def test_no_image_at_all_is_refused(refused, tmp_path):
    assert "two images are needed" in refused(2, "register", "-o", f"{tmp_path}/out/")
    assert list(tmp_path.iterdir()) == []


def test_labels_first_are_refused(files, refused, tmp_path):
    pair = f"{files['labels']},metric=labels"
    assert "needs grey values" in refused(2, "register", "--pair", pair, "-o", f"{tmp_path}/out/")
    assert list(tmp_path.iterdir()) == []
