from __future__ import annotations

import pytest

from warpline.cohort.bids import scan
from warpline.cohort.entities import Filter
from warpline.cohort.layout import check_places, place_of
from warpline.cohort.manifest import Pair
from warpline.errors import InputError, UsageError

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


@pytest.mark.parametrize(
    ("pair", "sidecar"),
    [
        (
            Pair("sub-01", "x/sub-01_T1w.nii.gz", "tpl-MNI152NLin2009cAsym_res-01_T1w.nii.gz"),
            "sub-01/anat/sub-01_space-MNI152NLin2009cAsym_desc-registration_qc.json",
        ),
        (
            Pair("sub-02_ses-b_run-1", "sub-02_ses-b_run-1_FLAIR.nii", "MNI152_T1_2mm.nii.gz"),
            "sub-02/ses-b/anat/sub-02_ses-b_run-1_space-MNI152T12mm_desc-registration_qc.json",
        ),
        (
            Pair("1234", "brain.mgz", "t.nii", session="2"),
            "sub-1234/ses-2/anat/sub-1234_ses-2_space-t_desc-registration_qc.json",
        ),
        (
            Pair("sub-01-to-02", "a.nii", "b.nii", space="x y"),
            "sub-01to02/anat/sub-01to02_space-xy_desc-registration_qc.json",
        ),
    ],
)
def test_places_are_bids_names(pair, sidecar):
    assert place_of(pair).sidecar == sidecar


def test_two_pairs_of_one_name_are_refused():
    pairs = [Pair("a-1", "m", "f"), Pair("A1", "m", "f")]
    with pytest.raises(UsageError, match=r"ids 'a-1' and 'A1' would both write sub-A1/anat/sub-A1_\*; rename one"):
        check_places(pairs, [place_of(pair) for pair in pairs])
