"""Drivers that are killed or asked to stop: the same command resumes, and the bytes are those of an undisturbed run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import faults
from cohort_files import COUNT, asked, outputs, pairs_in
from warpline.cohort import run
from warpline.io.drafts import Draft

pytestmark = pytest.mark.usefixtures("no_pages")
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
