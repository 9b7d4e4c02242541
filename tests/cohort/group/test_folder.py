"""The files of a group summary, in the order of the table."""

from __future__ import annotations

import threading
import time

import nibabel
import numpy as np
import pytest

from cohort_files import table
from made_cohort import GROWTH, write_cohort
from warpline.cohort.group import GroupOptions
from warpline.cohort.group.folder import FolderWriter, in_order, planned_sizes
from warpline.cohort.group.summarise import gather


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("folder"), ["pass", "pass", "review", "pass"])


def filled(root, folder, readers=1, **more):
    group = gather(root, GroupOptions(backend="numpy", **more))
    folder.mkdir()
    writer = FolderWriter(group, readers)
    writer.fill(folder)
    return writer


def test_volumes_stand_in_the_order_of_the_table(root, tmp_path):
    filled(root, tmp_path / "s", fwhm=[0, 5])
    ids = [row["id"] for row in table(tmp_path / "s" / "subjects.tsv")]
    assert ids == ["sub-001", "sub-002", "sub-004"]
    volumes = nibabel.load(tmp_path / "s" / "log_jacobian.nii").get_fdata()
    strengths = np.exp(volumes.mean(axis=(0, 1, 2))) / GROWTH
    assert strengths.tolist() == pytest.approx([1.1, 1.2, 1.4], rel=1e-4)
    assert nibabel.load(tmp_path / "s" / "log_jacobian_fwhm-5.nii").shape == volumes.shape


def test_means_are_those_of_the_registered_images(root, tmp_path):
    filled(root, tmp_path / "s")
    paths = [next(root.glob(f"{id}/anat/*registered_T1w.nii.gz")) for id in ("sub-001", "sub-002", "sub-004")]
    images = np.stack([nibabel.load(path).get_fdata() for path in paths])
    for name, exact in (("mean", images.mean(axis=0)), ("sd", images.std(axis=0, ddof=1))):
        found = nibabel.load(tmp_path / "s" / f"warped_{name}.nii.gz")
        np.testing.assert_allclose(found.get_fdata(), exact, rtol=1e-6, atol=1e-5)
        assert np.array_equal(found.affine, nibabel.load(paths[0]).affine)


def test_slices_have_three_axes_in_every_file(tmp_path):
    root = write_cohort(tmp_path / "flat", ["pass", "pass"], shape=(16, 14, 1), flat=True)
    filled(root, tmp_path / "s")
    shapes = {path.name: nibabel.load(path).shape for path in (tmp_path / "s").glob("*.nii*")}
    assert shapes.pop("log_jacobian.nii") == (16, 14, 1, 2) and shapes.pop("label_probabilities.nii") == (16, 14, 1, 1)
    assert set(shapes.values()) == {(16, 14, 1)} and "mask.nii.gz" in shapes


def test_several_readers_write_the_same_bytes(root, tmp_path):
    filled(root, tmp_path / "one", labels=[3])
    filled(root, tmp_path / "three", readers=3, labels=[3])
    one, three = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "three"))
    assert one == three and "label_probabilities.nii" in one


def test_labels_that_nobody_has_are_named(root, tmp_path):
    assert filled(root, tmp_path / "has", labels=[3]).warnings == []
    said = filled(root, tmp_path / "lacks", labels=[3, 999]).warnings
    assert said == ["no subject has the labels 999: their maps are 0 everywhere"]


def test_planned_sizes_are_those_of_the_files(root, tmp_path):
    filled(root, tmp_path / "s", maps=["warped"], fwhm=[3])
    sizes = planned_sizes(gather(root, GroupOptions(maps=["warped"], fwhm=[3])))
    assert sizes["warped_fwhm-3.nii"] == (tmp_path / "s" / "warped_fwhm-3.nii").stat().st_size - 352


def test_tissues_that_lie_elsewhere_are_named(root, tmp_path):
    far = np.eye(4)
    far[0, 3] = 900
    for id in ("sub-001", "sub-002", "sub-004"):
        nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 3), np.float32), far), tmp_path / f"{id}.nii")
    (warning,) = filled(root, tmp_path / "s", tissues={"gm": f"{tmp_path}/{{id}}.nii"}).warnings
    assert warning.startswith("tissues of sub-001, sub-002, sub-004: ") and "shows nothing on the fixed grid" in warning


def test_calls_are_answered_in_order_and_few_at_once():
    running, most, lock = set(), [], threading.Lock()

    def call(number):
        with lock:
            running.add(number)
            most.append(len(running))
        time.sleep(0.002 * (3 - number % 3))  # later ones end first
        running.discard(number)
        return number

    assert list(in_order((lambda number=number: call(number) for number in range(12)), 3)) == list(range(12))
    assert max(most) <= 3
