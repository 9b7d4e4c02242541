"""BIDS folders: names, filters and the images that are found."""

from __future__ import annotations

import json

import pytest

from warpline.cohort.bids import BidsName, Filter, read_entities, scan
from warpline.cohort.layout import output_paths
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


FILES = (
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-01/anat/sub-01_T1w.json",
    "sub-01/anat/sub-01_desc-brain_mask.nii.gz",
    "sub-01/func/sub-01_task-rest_bold.nii.gz",
    "sub-02/ses-a/anat/sub-02_ses-a_run-1_T1w.nii",
    "sub-02/ses-b/anat/sub-02_ses-b_T1w.nii.gz",
    "sub-02/ses-b/anat/sub-02_ses-b_FLAIR.nii.gz",
    "sub-02/ses-b/anat/sub-02_ses-b_dseg.nii.gz",
    "derivatives/x/sub-03/anat/sub-03_T1w.nii.gz",
)


@pytest.fixture
def dataset(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_anatomy_is_found_with_its_mask_and_labels(dataset):
    pairs = {pair.id: pair for pair in scan(dataset, fixed="/t.nii.gz")}
    assert list(pairs) == ["sub-01", "sub-02_ses-a_run-1", "sub-02_ses-b"]
    assert pairs["sub-01"].moving_mask == f"{dataset}/sub-01/anat/sub-01_desc-brain_mask.nii.gz"
    assert pairs["sub-02_ses-b"].moving_labels.endswith("sub-02_ses-b_dseg.nii.gz")
    assert pairs["sub-02_ses-b"].session == "b"


@pytest.mark.parametrize("label", ["02", "sub-02"])
def test_participants_sessions_and_suffixes_are_chosen(dataset, label):
    assert len(scan(dataset, fixed="t", participants=[label])) == 2
    assert [pair.id for pair in scan(dataset, fixed="t", sessions=["a"])] == ["sub-02_ses-a_run-1"]
    assert [pair.id for pair in scan(dataset, fixed="t", wanted=Filter(suffix="FLAIR"))] == ["sub-02_ses-b"]


def test_what_is_not_there_is_named(dataset, tmp_path):
    with pytest.raises(InputError, match="has no sub-07; it has sub-01, sub-02"):
        scan(dataset, fixed="t", participants=["01", "07"])
    with pytest.raises(InputError, match=r"anat/\*_T2w"):
        scan(dataset, fixed="t", wanted=Filter(suffix="T2w"))
    with pytest.raises(InputError, match=r"has no folders sub-\*"):
        scan(dataset / "sub-01", fixed="t")


def made(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


FMRIPREP = (
    "_desc-preproc_T1w.nii.gz",
    "_space-MNI_desc-preproc_T1w.nii.gz",
    "_space-MNI_res-2_desc-preproc_T1w.nii.gz",
    "_desc-brain_mask.nii.gz",
    "_space-MNI_desc-brain_mask.nii.gz",
    "_dseg.nii.gz",
    "_desc-aparcaseg_dseg.nii.gz",
)


def test_images_of_fmriprep_are_taken_in_their_own_space(tmp_path):
    folder = made(tmp_path, *(f"sub-{n}/anat/sub-{n}{end}" for n in (1, 2) for end in FMRIPREP))
    pairs = scan(folder, fixed="t.nii")
    assert [pair.id for pair in pairs] == ["sub-1", "sub-2"]
    ends = [path.rpartition("sub-1")[2] for path in (pairs[0].moving, pairs[0].moving_mask, pairs[0].moving_labels)]
    assert ends == ["_desc-preproc_T1w.nii.gz", "_desc-brain_mask.nii.gz", "_dseg.nii.gz"]
    assert output_paths(pairs[0]).sidecar == "sub-1/anat/sub-1_space-t_desc-registration_qc.json"  # no entity twice
    (placed,) = scan(folder, fixed="t.nii", wanted=Filter({"space": ("MNI",), "res": (None,)}), participants=["1"])
    assert placed.moving.endswith("sub-1_space-MNI_desc-preproc_T1w.nii.gz")
    assert placed.moving_mask.endswith("sub-1_space-MNI_desc-brain_mask.nii.gz") and placed.moving_labels == ""


def test_images_of_one_scan_are_never_guessed_between(tmp_path):
    folder = made(tmp_path, "sub-1/anat/sub-1_desc-preproc_T1w.nii", "sub-1/anat/sub-1_desc-denoised_T1w.nii")
    with pytest.raises(InputError, match="images of one scan; choose one with --entity, such as --entity desc=preproc"):
        scan(folder, fixed="t.nii")
    made(tmp_path / "b", "sub-1/anat/sub-1_T1w.nii", "sub-1/anat/sub-1_T1w.nii.gz")
    with pytest.raises(InputError, match="images of one scan; remove one"):
        scan(tmp_path / "b", fixed="t.nii")


@pytest.mark.parametrize("name", ["sub-1_ses-M00_T1w_space-MNI_desc-Crop_res-1x1x1_T1w.nii.gz"])
def test_a_folder_of_clinica_is_read_when_asked_for(tmp_path, name):
    folder = made(tmp_path, f"subjects/sub-1/ses-M00/t1_linear/{name}")
    with pytest.raises(InputError, match="there is space-MNI_res-1x1x1_desc-Crop; choose it with --entity space=MNI"):
        scan(folder, fixed="t.nii")
    (pair,) = scan(folder, fixed="t.nii", wanted=Filter({"space": ("MNI",)}))
    assert (pair.id, pair.session) == ("sub-1_ses-M00", "M00") and pair.moving.endswith(name)


def test_subjects_without_an_image_are_named(tmp_path, caplog):
    folder = made(tmp_path, "sub-1/anat/sub-1_T1w.nii", "sub-2/func/sub-2_bold.nii", "sub-3/anat/sub-3_T2w.nii")
    assert [pair.id for pair in scan(folder, fixed="t.nii")] == ["sub-1"]
    assert "no T1w image of sub-2, sub-3; choose what there is with --suffix" in caplog.text
