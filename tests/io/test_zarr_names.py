"""What names of OME-Zarr images say."""

from __future__ import annotations

from pathlib import Path

import pytest

from warpline.errors import UsageError
from warpline.io.zarr_names import is_zarr, parse, store_of


@pytest.mark.parametrize(
    ("name", "store", "level", "chosen"),
    [
        ("a.ome.zarr", "a.ome.zarr", 0, {}),
        ("in/a.zarr/", "in/a.zarr", 0, {}),
        ("a.ome.zarr:2", "a.ome.zarr", 2, {}),
        ("a.ome.zarr:1,c=3,t=4", "a.ome.zarr", 1, {"c": 3, "t": 4}),
        ("a.OME.ZARR:t=4", "a.OME.ZARR", 0, {"t": 4}),
        ("a.zarr.zip:1", "a.zarr.zip", 1, {}),
        ("well.zarr/A/1.zarr", "well.zarr/A/1.zarr", 0, {}),
    ],
)
def test_a_name_has_a_store_a_level_and_a_choice(name, store, level, chosen):
    found = parse(name)
    assert is_zarr(name) and (found.store, found.level, found.chosen) == (Path(store), level, chosen)
    assert store_of(name).rstrip("/") == store


@pytest.mark.parametrize("name", ["a.ome.zarr:x", "a.ome.zarr:-1", "a.ome.zarr:1,z=2"])
def test_another_choice_is_refused(name):
    with pytest.raises(UsageError, match="LEVEL,c=CHANNEL"):
        parse(name)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.zarr.nii", "zarr", "a.zarr/0/labels.nii"])
def test_other_names_are_none(name):
    assert not is_zarr(name) and store_of(name) == name
