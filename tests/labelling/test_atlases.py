"""Atlases as they are given."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.labelling.atlases import Atlas, listed, load_atlas, read_atlases, repeated_images

TARGET = Image.from_array(np.eye(8))
SHOWN = np.arange(64.0).reshape(8, 8)


def test_names_are_those_of_files_where_they_differ():
    given = [
        ("a/sub-01.nii.gz", "l"),
        ("a/t1.nii", "l"),
        ("b/t1.nii", "l"),
        (SHOWN, SHOWN),
        Atlas("c.nii", "l", "mine"),
    ]
    assert [one.name for one in listed(given)] == ["sub-01", "a/t1.nii", "b/t1.nii", "atlas 4", "mine"]


@pytest.mark.parametrize(
    ("given", "message"),
    [([], "no atlas"), (["a.nii"], "pair"), ([("a.nii", "l"), ("a.nii", "l")], "two atlases are called a.nii")],
)
def test_what_is_no_list_of_atlases_is_refused(given, message):
    with pytest.raises(UsageError, match=message):
        listed(given)


def test_paths_of_a_table_are_relative_to_its_folder(tmp_path):
    (tmp_path / "atlases.tsv").write_text("labels\timage\tage\nl.nii\ti.nii\t31\n")
    (one,) = read_atlases(tmp_path / "atlases.tsv")
    assert (one.image, one.labels) == (str(tmp_path / "i.nii"), str(tmp_path / "l.nii"))
    assert listed(str(tmp_path / "atlases.tsv"))[0].name == "i"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "ends in .tsv"),
        ("a.tsv", "image\tlabels\n", "no rows"),
        ("a.tsv", "image\tlabel\na\tb\n", "no column labels"),
        ("a.csv", "image,labels\na,\n", "line 2"),
    ],
)
def test_tables_that_lack_something_are_refused(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_atlases(tmp_path / name)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.tsv cannot be read"):
        read_atlases(tmp_path / "none.tsv")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones((4, 4)), "does not lie on the grid"),
        (np.ones((8, 8, 1, 2)), "one volume of labels"),
        (np.full((8, 8), 0.5), "whole numbers"),
        (np.full((8, 8), np.nan), "holds nan"),
        (np.full((8, 8), 1e300), "up to 2"),
        (np.zeros((8, 8)), "0 everywhere"),
    ],
)
def test_labels_that_fit_no_image_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        load_atlas(Atlas(SHOWN, labels, "one"), TARGET)


@pytest.mark.parametrize(
    ("given", "kind"),
    [(np.float32, np.int32), (np.bool_, np.uint8), (np.int16, np.int16)],
)
def test_labels_are_integers(given, kind):
    labels = (SHOWN > 30).astype(given)
    read = load_atlas(Atlas(SHOWN, labels, "one"), TARGET).labels.data
    assert read.dtype == kind
    assert (read[..., 0] == labels).all()


def test_large_labels_of_floats_stay_exact():
    labels = np.where(SHOWN > 30, 312782574.0 * 100, 0)
    assert load_atlas(Atlas(SHOWN, labels, "one"), TARGET).labels.data.max() == 31278257400


def test_images_that_are_given_twice_are_named():
    one, two, other = (
        load_atlas(Atlas(SHOWN + by, SHOWN, name), TARGET) for name, by in (("a", 0), ("b", 0), ("c", 1))
    )
    first, second = repeated_images(one.described["image"], [one, other, two])
    assert first.startswith("atlas a has the same image as the one to label")
    assert second.startswith("atlas b has the same image as the one to label")
    assert repeated_images({"sha256": ""}, [one, other, two])[0].startswith("atlas b has the same image as atlas a")


def test_a_raised_slice_is_taken_in_the_plane_of_the_image():
    raised = np.eye(4)
    raised[2, 3] = 9
    loaded = load_atlas(Atlas((SHOWN, raised), (np.ones((8, 8), np.uint8), raised), "one"), TARGET)
    assert loaded.labels.grid == loaded.image.grid == TARGET.grid
