from __future__ import annotations

import re

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


# -- folders of fMRIPrep and Clinica ------------------------------------------------------------------------------


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


def test_an_image_of_fmriprep_is_taken_in_its_own_space_with_its_mask_and_segmentation(tmp_path):
    folder = made(tmp_path, *(f"sub-{n}/anat/sub-{n}{end}" for n in (1, 2) for end in FMRIPREP))
    pairs = scan(folder, fixed="t.nii")
    assert [pair.id for pair in pairs] == ["sub-1", "sub-2"]
    ends = [path.rpartition("sub-1")[2] for path in (pairs[0].moving, pairs[0].moving_mask, pairs[0].moving_labels)]
    assert ends == ["_desc-preproc_T1w.nii.gz", "_desc-brain_mask.nii.gz", "_dseg.nii.gz"]
    assert place_of(pairs[0]).sidecar == "sub-1/anat/sub-1_space-t_desc-registration_qc.json"  # no entity twice
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
def test_a_folder_of_clinica_says_what_there_is_and_is_taken_when_asked_for(tmp_path, name):
    folder = made(tmp_path, f"subjects/sub-1/ses-M00/t1_linear/{name}")
    with pytest.raises(InputError, match="there is space-MNI_res-1x1x1_desc-Crop; choose it with --entity space=MNI"):
        scan(folder, fixed="t.nii")
    (pair,) = scan(folder, fixed="t.nii", wanted=Filter({"space": ("MNI",)}))
    assert (pair.id, pair.session) == ("sub-1_ses-M00", "M00") and pair.moving.endswith(name)


def test_subjects_without_an_image_are_named(tmp_path, caplog):
    folder = made(tmp_path, "sub-1/anat/sub-1_T1w.nii", "sub-2/func/sub-2_bold.nii", "sub-3/anat/sub-3_T2w.nii")
    assert [pair.id for pair in scan(folder, fixed="t.nii")] == ["sub-1"]
    assert "no T1w image of sub-2, sub-3; choose what there is with --suffix" in caplog.text


# -- labels and names ---------------------------------------------------------------------------------------------


def test_ids_of_every_alphabet_get_labels_of_their_own():
    labels = [place_of(Pair(id, "m", "f")).folder for id in ("日本", "東京", "Мария", "Maria", "Ünal", "Unal", "sub-é")]
    assert len(set(labels)) == len(labels)
    assert all(re.fullmatch(r"sub-[A-Za-z0-9]+/anat", label) for label in labels)
    assert labels[3] == "sub-Maria/anat" and labels[5] == "sub-Unal/anat"
    composed, decomposed = (place_of(Pair(id, "m", "f")).folder for id in ("caf\u00e9", "cafe\u0301"))
    assert composed == decomposed  # and two such ids are refused
    assert place_of(Pair("sub-", "m", "f")).folder == "sub-sub/anat"


@pytest.mark.parametrize("id", ["x" * 200, "日" * 90])
def test_an_id_that_is_too_long_is_refused_before_anything_runs(id):
    pair = Pair(id, "m", "f")
    with pytest.raises(InputError, match=rf"\({len(id)} letters\) would give files names of more than 255 bytes"):
        check_places([pair], [place_of(pair)])


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("sub-01_t1.nii.gz", "T1w"), ("a_T2.nii", "T2w"), ("flair.mgz", "FLAIR"), ("x_brain.nii", "brain")],
)
def test_suffixes_are_those_of_bids_where_there_is_one(name, suffix):
    assert place_of(Pair("a", name, "f")).source == suffix
