"""Group summaries as a whole: memory, disk, all or nothing."""

from __future__ import annotations

import json
import shutil
import tracemalloc

import nibabel
import numpy as np
import pytest

from cohort_files import table
from made_cohort import write_cohort
from warpline import cohort
from warpline.cohort.group import folder
from warpline.cohort.group.running_statistics import RunningStatistics
from warpline.cohort.group.summarise import summarise
from warpline.errors import InputError, OutputError

OPTIONS = cohort.GroupOptions(backend="numpy")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("whole"), ["pass", "fail", "pass"])


@pytest.fixture
def root(made, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(made.parent, tmp_path / "copy") / "out"


def test_a_summary_names_who_counts_and_who_does_not(root):
    said = []
    summary = summarise(root, OPTIONS, say=said.append)
    assert summary.subjects == ("sub-001", "sub-003") and [one.id for one in summary.left_out] == ["sub-002"]
    assert summary.exit_code == 3 and summary.folder == root / "summary"
    assert said[0].startswith("2 subjects count, 1 are left out") and said[1].strip().startswith("log_jacobian.nii: ")
    (left,) = table(root / "summary" / "left_out.tsv")
    assert left["id"] == "sub-002" and left["verdict"] == "fail"
    assert json.loads((root / "summary" / "summary.json").read_text())["jacobian"] == "of the whole map"
    assert "summary" in (root / ".bidsignore").read_text().splitlines()


def test_as_many_as_are_allowed_may_be_left_out(root):
    assert summarise(root, cohort.GroupOptions(backend="numpy", allow_left_out=1)).exit_code == 0
    assert summarise(root, cohort.GroupOptions(backend="numpy", allow_left_out=0.2)).exit_code == 3


def test_the_mask_is_that_of_the_fixed_image(root):
    summarise(root, OPTIONS)
    mask, fixed = nibabel.load(root / "summary" / "mask.nii.gz"), nibabel.load(root.parent / "in" / "fixed.nii")
    assert np.array_equal(mask.get_fdata(), fixed.get_fdata()) and mask.get_data_dtype() == np.uint8


def test_a_damaged_file_leaves_the_earlier_summary(root):
    summarise(root, OPTIONS)
    before = {path.name: path.read_bytes() for path in (root / "summary").iterdir()}
    warp = next(root.glob("sub-003/anat/*from-T1w*warp_xfm.nii.gz"))
    content = warp.read_bytes()
    warp.write_bytes(content[:300] + b"\xff" * (len(content) - 300))  # no deflate block begins so; the size stays
    with pytest.raises(InputError, match=r"sub-003: .*warp_xfm.nii.gz .*damaged.*; --decisions with fail leaves"):
        summarise(root, OPTIONS)
    assert {path.name: path.read_bytes() for path in (root / "summary").iterdir()} == before
    assert [path.name for path in root.iterdir() if path.name.startswith(".") and path.name != ".bidsignore"] == []


def test_a_full_disk_is_found_before_anything_is_written(root, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(OutputError, match=r"0\.0 GB free"):
        summarise(root, cohort.GroupOptions(target=root / "new" / "folder", backend="numpy"))
    assert not (root / "new").exists()


def test_a_folder_that_is_no_summary_is_not_replaced(root, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="another file or folder of that name exists"):
        summarise(root, cohort.GroupOptions(target=tmp_path / "mine", backend="numpy"))


def test_participants_are_appended_to_the_subjects(root, tmp_path):
    (tmp_path / "p.tsv").write_text("participant_id\tage\nsub-003\t71\nsub-009\t5\n")
    summarise(root, cohort.GroupOptions(participants=tmp_path / "p.tsv", backend="numpy"))
    assert [row["age"] for row in table(root / "summary" / "subjects.tsv")] == ["n/a", "71"]


def test_arrays_do_not_add_up_with_the_subjects(tmp_path, monkeypatch):
    """What is held while the 40th and while the 160th of them is counted."""
    shape, held = (40, 50, 2), {40: 0, 160: 0}

    class Probe(RunningStatistics):
        def add(self, volume):
            super().add(volume)
            if self.count in held:
                held[self.count] = bytes_of_arrays()

    monkeypatch.setattr(folder, "RunningStatistics", Probe)
    root = write_cohort(tmp_path, ["pass"] * 160, shape=shape, labels=(), link=True)
    tracemalloc.start()
    summarise(root, cohort.GroupOptions(maps=["warped"], fwhm=[4], backend="numpy"))
    tracemalloc.stop()
    volume = np.prod(shape) * 4
    assert held[40] > 2 * volume  # those of the subject, and the mean
    assert held[160] - held[40] < 120 * volume / 20


def bytes_of_arrays():
    """Bytes of all arrays that live."""
    traces = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
    return sum(trace.size for trace in traces.traces)
