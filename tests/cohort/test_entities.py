from __future__ import annotations

import json

import pytest

from warpline.cohort.entities import BidsName, Filter, read_entities
from warpline.errors import InputError, UsageError


def test_names_are_taken_apart():
    name = BidsName.parse("sub-01_ses-M00_space-MNI_res-2_desc-preproc_T1w.nii.gz")
    assert name.entities == {"sub": "01", "ses": "M00", "space": "MNI", "res": "2", "desc": "preproc"}
    assert name.suffix == "T1w" and dict(name.without("space", "res", "desc")) == {"sub": "01", "ses": "M00"}
    middle = BidsName.parse("sub-01_ses-M00_T1w_space-MNI_desc-Crop_T1w.nii")  # as older versions of Clinica have it
    assert middle.entities["space"] == "MNI" and middle.suffix == "T1w"


@pytest.mark.parametrize(
    "name", ["T1w.nii.gz", "sub-01_T1w.json", "ses-1_sub-01_T1w.nii", "sub-_T1w.nii", "x-1_T1w.nii"]
)
def test_other_names_are_none(name):
    assert BidsName.parse(name) is None


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ({"description": "preproc"}, True),
        ({"desc": ["preproc", "brain"]}, True),
        ({"desc": None}, False),
        ({"desc": "Query.NONE"}, False),
        ({"desc": "*"}, True),
        ({"run": 1}, True),
        ({"run": "1"}, True),
        ({"run": 2}, False),
        ({"acquisition": None, "datatype": "anat"}, True),
        ({"acq": "Query.OPTIONAL"}, True),
        ({"acq": "*"}, False),
    ],
)
def test_filters_are_those_of_fmriprep(tmp_path, wanted, taken):
    (tmp_path / "filter.json").write_text(json.dumps({"t1w": {**wanted, "suffix": "T1w"}}))
    name = BidsName.parse("sub-01_run-01_desc-preproc_T1w.nii.gz")
    assert Filter.of("T1w", {}, tmp_path / "filter.json").takes(name) is taken


def test_wrong_filters_are_named(tmp_path):
    (tmp_path / "f.json").write_text('{"bold": {}}')
    with pytest.raises(InputError, match="has no 't1w', for --suffix T1w; it has bold"):
        Filter.of("T1w", {}, tmp_path / "f.json")
    (tmp_path / "f.json").write_text('{"t1w": {"aquisition": "x"}}')
    with pytest.raises(UsageError, match="entity 'aquisition' is unknown; acq,"):
        Filter.of("T1w", {}, tmp_path / "f.json")
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        Filter.of("T1w", {}, tmp_path / "none.json")
    with pytest.raises(UsageError, match="'desc' is not allowed; KEY=VALUE"):
        read_entities(["desc"])
    assert read_entities(["space=none", "desc=preproc"]) == {"space": None, "desc": "preproc"}


def test_filters_with_numbers_of_thousands_of_digits_are_read(tmp_path):
    (tmp_path / "f.json").write_text('{"t1w": {"run": ["%s", "01"]}}' % ("9" * 5000))
    wanted = Filter.of("T1w", {}, tmp_path / "f.json")
    assert wanted.takes(BidsName.parse("sub-01_run-1_T1w.nii"))
    assert not wanted.takes(BidsName.parse("sub-01_run-2_T1w.nii"))
