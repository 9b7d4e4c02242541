"""Who counts: verdicts, decisions of people, one fixed image."""

from __future__ import annotations

import json

import pytest

from made_cohort import write_cohort
from warpline.cohort.group.subjects import check_one_fixed, choose_subjects
from warpline.cohort.manifest import Pair, read_manifest, write_manifest
from warpline.cohort.plan import plan_of
from warpline.errors import InputError


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("mixed"), ["pass", "review", "fail", "pass"])


def chosen(root, **more):
    subjects, left_out = choose_subjects(plan_of(root), root, **more)
    return [subject.id for subject in subjects], {one.id: one for one in left_out}


def test_accepted_pairs_count_in_the_order_of_the_manifest(mixed):
    ids, left_out = chosen(mixed)
    assert ids == ["sub-001", "sub-004"]
    assert left_out["sub-002"].verdict == "review" and left_out["sub-002"].reason.startswith("review: ")
    assert left_out["sub-003"].reason.startswith("fail: ") and not left_out["sub-003"].decided


def test_doubtful_pairs_count_when_asked_for(mixed):
    assert chosen(mixed, include_doubtful=True)[0] == ["sub-001", "sub-002", "sub-004"]


def test_decisions_of_people_replace_verdicts(mixed, tmp_path):
    table = tmp_path / "d.tsv"
    table.write_text("id\tdecision\nsub-001\tfail\nsub-003\tpass\nsub-002\t\n")
    ids, left_out = chosen(mixed, decisions=table)
    assert ids == ["sub-003", "sub-004"]
    assert left_out["sub-001"].reason == "called fail by a person" and left_out["sub-001"].decided


def test_pairs_without_a_result_are_left_out(tmp_path):
    root = write_cohort(tmp_path, ["pass", "pass"])
    next(root.glob("sub-002/anat/*qc.json")).unlink()
    ids, left_out = chosen(root)
    assert ids == ["sub-001"] and left_out["sub-002"].reason == "not registered yet"


def test_pairs_whose_outputs_have_changed_are_left_out(tmp_path):
    root = write_cohort(tmp_path, ["pass", "pass"])
    next(root.glob("sub-002/anat/*registered_T1w.nii.gz")).write_bytes(b"cut short")
    ids, left_out = chosen(root)
    assert ids == ["sub-001"] and left_out["sub-002"].reason.startswith("outputs have changed: sub-002_")


def test_nobody_left_is_an_error(tmp_path):
    root = write_cohort(tmp_path, ["fail"])
    with pytest.raises(InputError, match=r"no pair that counts \(sub-001: fail: .*--include-doubtful"):
        chosen(root)


def test_pairs_of_two_fixed_images_are_refused(tmp_path):
    root = write_cohort(tmp_path, ["pass", "pass"])
    first, second = read_manifest(root / "manifest.tsv")
    other = Pair(second.id, second.moving, f"{tmp_path}/in/other.nii", space="fixed")
    write_manifest([first, other], root / "manifest.tsv")
    subjects, _ = choose_subjects(plan_of(root), root)
    with pytest.raises(InputError, match=r"pairs of 2 fixed images \(.*fixed.nii, .*other.nii\); voxels of one place"):
        list(check_one_fixed(subjects, root))


def test_another_content_of_the_fixed_image_is_refused(tmp_path):
    root = write_cohort(tmp_path, ["pass", "pass"])
    sidecar = next(root.glob("sub-002/anat/*qc.json"))
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "sha256": {"fixed": "other"}}))
    subjects, _ = choose_subjects(plan_of(root), root)
    with pytest.raises(InputError, match="has changed between sub-001 and sub-002"):
        list(check_one_fixed(subjects, root))
