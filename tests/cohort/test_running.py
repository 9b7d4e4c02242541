"""Whole runs in one process: files, shards, participants, full disks, signals. Judged by bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

import faults
from cohort_files import COUNT, asked, outputs, pairs_in, rows
from warpline.cohort import run, running
from warpline.errors import OutputError
from warpline.io.drafts import Draft

pytestmark = pytest.mark.usefixtures("no_pages")


def test_a_run_leaves_bids_names_tables_and_no_other_file(finished_run, undisturbed):
    first = "sub-01/anat/sub-01_"
    assert {name.removeprefix(first) for name in undisturbed if name.startswith(first)} == {
        "from-T1w_to-fixed_mode-image_desc-affine_xfm.mat",
        "from-T1w_to-fixed_mode-image_desc-warp_xfm.nii.gz",
        "from-fixed_to-T1w_mode-image_desc-warp_xfm.nii.gz",
        "space-fixed_desc-registered_T1w.nii.gz",
        "space-fixed_desc-registered_T1w.json",
        "space-fixed_desc-registration_qc.json",
    }
    assert "sub-01/figures/sub-01_space-fixed_desc-registered_T1w.webp" in undisturbed
    made = {path.name for path in (finished_run).iterdir()} - {f"sub-{n:02d}" for n in range(1, COUNT + 1)}
    tables = {"results.tsv", "failures.tsv", "progress.json", "run.json", "manifest.tsv"}
    assert made == tables | {"dataset_description.json", ".bidsignore", "CITATION.md", "work"}
    description = json.loads((finished_run / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert [row["status"] for row in rows(finished_run).values()] == ["ok"] * COUNT
    assert json.loads((finished_run / "progress.json").read_text())["ok"] == COUNT


def test_shards_share_the_work_and_the_last_writes_all_rows(inputs, undisturbed, tmp_path):
    pairs, out = pairs_in(inputs), tmp_path / "out"
    for index in (1, 2, 3):
        assert run(pairs, out, asked(shard=(index, 3))).finished == 2
    assert outputs(out) == undisturbed
    assert [row["status"] for row in rows(out).values()] == ["ok"] * COUNT


def test_tables_of_a_shard_know_what_others_did_meanwhile(inputs, undisturbed, tmp_path):
    pairs, out, begun = pairs_in(inputs), tmp_path / "out", []

    def other_first(*arguments, **more):
        if not begun:
            begun.append(run(pairs, out, asked(shard=(2, 2))))
        return faults.compute(*arguments, **more)

    summary = run(pairs, out, asked(shard=(1, 2), compute=other_first))
    assert begun[0].finished == summary.finished == COUNT // 2
    assert begun[0].counts["done"] == COUNT // 2 and summary.counts["done"] == COUNT
    assert [row["status"] for row in rows(out).values()] == ["ok"] * COUNT
    assert {path.name for path in (out / "work").glob("progress-*")} == {"progress-1of2.json", "progress-2of2.json"}


def test_a_page_that_fails_does_not_cost_the_run(inputs, tmp_path, monkeypatch, caplog):
    def fails(root, results, **_):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(sys.modules["warpline.cohort.pages"], "write", fails)
    summary = run(pairs_in(inputs)[:1], tmp_path / "out", asked())
    assert summary.exit_code == 0 and summary.page is None
    assert "could not be written: ZeroDivisionError: oh; try again: warpline cohort report" in caplog.text


def test_a_run_that_fails_everywhere_is_stopped(inputs, tmp_path):
    faults.plan(inputs, **{f"sub_{number:02d}": "puzzling" for number in range(1, 31)})
    for number in range(COUNT + 1, 31):
        shutil.copy2(inputs / "sub-01_T1w.nii", inputs / f"sub-{number:02d}_T1w.nii")
    summary = run(pairs_in(inputs), tmp_path / "out", asked(max_failures=0.3))
    assert summary.exit_code == 4
    assert "20 of the first 20 pairs failed, more than 30%" in summary.stop_reason.reason
    assert 20 <= summary.finished < 30 and summary.counts["new"] == 30 - summary.finished


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own; `resize(options)` mounts it anew."""
    folder = tmp_path / "out"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=224k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: root is needed")
    yield folder, lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_stops_the_run_and_leaves_whole_pairs(inputs, undisturbed, small_disk):
    out, resize = small_disk
    summary = run(pairs_in(inputs), out, asked())
    assert summary.exit_code == 5 and "No space left" in summary.stop_reason.reason
    done = outputs(out)
    assert 0 < summary.counts["done"] < COUNT and summary.counts["failed"] == 0
    assert done == {name: undisturbed[name] for name in done} and len(done) == 7 * summary.counts["done"]
    resize("size=64m")
    assert run(pairs_in(inputs), out, asked()).exit_code == 0
    assert outputs(out) == undisturbed


def test_a_read_only_folder_is_refused_before_computing(inputs, small_disk):
    out, resize = small_disk
    resize("ro")
    with pytest.raises(OutputError, match=r"cannot be written: Read-only file system; choose a folder"):
        run(pairs_in(inputs), out, asked())
    assert faults.calls(inputs) == []


def test_a_folder_that_cannot_be_made_is_refused(inputs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        run(pairs_in(inputs), tmp_path / "file" / "out", asked())


def dataset(inputs, folder, count):
    for number in range(1, count + 1):
        name = f"sub-{number:02d}"
        (folder / name / "anat").mkdir(parents=True)
        shutil.copy(inputs / f"{name}_T1w.nii", folder / name / "anat")
    return folder


def test_participants_at_once_all_arrive(inputs, tmp_path):
    bids, out, codes = dataset(inputs, tmp_path / "bids", 3), tmp_path / "out", {}

    def one(label):
        codes[label] = run(bids, out, asked(fixed=str(inputs / "fixed.nii"), participants=[label])).exit_code

    threads = [threading.Thread(target=one, args=(f"{number:02d}",)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {"01": 0, "02": 0, "03": 0}
    for table in ("manifest.tsv", "results.tsv"):
        ids = [line.split("\t")[0] for line in (out / table).read_text().splitlines()[1:]]
        assert sorted(ids) == ["sub-01", "sub-02", "sub-03"], table
    assert {path.name for path in (out / "work").glob("results-*")} == {"results-1of1.jsonl"}
    assert not list((out / "work").glob("part-*")) and not list((out / "work").glob("progress-*"))


def test_the_record_of_a_run_is_written_before_its_pages(inputs, tmp_path, monkeypatch):
    import sys

    seen = []

    def look(root, results, **_):
        seen.append(json.loads((root / "run.json").read_text()))
        return root / "report" / "index.html"

    monkeypatch.setattr(sys.modules["warpline.cohort.pages"], "write", look)
    run(pairs_in(inputs)[:1], tmp_path / "out", asked())
    assert seen[0]["recipes"].keys() == {"quick"} and seen[0]["exit_code"] == 0


TESTS = Path(__file__).parents[1]


SCRIPT = """
import sys
sys.path[:0] = {paths!r}
from cohort_files import asked, leave_pages_out, pairs_in
from warpline.cohort import run
import pytest
if __name__ == "__main__":
    leave_pages_out(pytest.MonkeyPatch())
    summary = run(pairs_in({inputs!r}), {out!r}, asked({options}))
    sys.exit(summary.exit_code)
"""


def start(tmp_path, options=""):
    """A driver in a process of its own."""
    script = tmp_path / "drive.py"
    text = SCRIPT.format(paths=[str(TESTS)], inputs=str(tmp_path / "in"), out=str(tmp_path / "out"), options=options)
    script.write_text(text)
    return subprocess.Popen([sys.executable, str(script)])


def wait_until(ready, process, seconds=60):
    end = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)


def sidecars(out):
    return list(out.glob("sub-*/anat/sub-*_qc.json"))  # and no drafts, whose names begin with a dot


def test_a_driver_killed_in_the_middle_is_resumed(inputs, undisturbed, tmp_path):
    out = tmp_path / "out"
    faults.plan(inputs, sub_04="hang")
    process = start(tmp_path)
    wait_until(lambda: "sub-04" in faults.calls(inputs) and len(sidecars(out)) >= 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (out / "sub-05" / "anat").mkdir(parents=True)  # as a kill while writing leaves it
    Draft(out / "sub-05/anat/sub-05_space-fixed_desc-registered_T1w.nii.gz").temporary.write_bytes(b"half")
    (inputs / faults.FILE).unlink()
    summary = run(pairs_in(inputs), out, asked())
    assert summary.exit_code == 0 and summary.finished == COUNT - 3
    assert outputs(out) == undisturbed


def test_a_signal_lets_pairs_in_flight_finish(inputs, undisturbed, tmp_path):
    out = tmp_path / "out"
    faults.plan(inputs, sub_03="pause")
    process = start(tmp_path)
    wait_until(lambda: "sub-03" in faults.calls(inputs), process)
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    (inputs / "go").touch()
    assert process.wait(60) == 75
    assert 3 <= len(sidecars(out)) <= COUNT
    done = outputs(out)
    assert done == {name: undisturbed[name] for name in done} and len(done) == 7 * len(sidecars(out))
    assert run(pairs_in(inputs), out, asked()).exit_code == 0
    assert outputs(out) == undisturbed


def test_signals_that_a_system_lacks_are_left_out(monkeypatch):
    """Windows has no SIGUSR1."""
    monkeypatch.delattr(signal, "SIGUSR1")
    before, driver = signal.getsignal(signal.SIGTERM), Mock()
    with running._interruptible(driver):
        signal.raise_signal(signal.SIGTERM)
    assert driver.stop.call_args.args[0].reason == "stopped by SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is before
