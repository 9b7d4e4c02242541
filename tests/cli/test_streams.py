"""Readers that go away, and full disks, leave one line at most."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = "import sys; from warpline.cli.main import main; sys.exit(main(sys.argv[1:]))"


def ended(*arguments, **streams):
    return subprocess.run([sys.executable, "-c", SCRIPT, *arguments], text=True, timeout=60, **streams)


@pytest.mark.parametrize("arguments", [("cohort", "--help"), ("recipes",)])
def test_a_reader_that_has_gone_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = ended(*arguments, stdout=closed, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [("--version",), ("recipes",)])
def test_a_full_disk_is_told_in_one_line(arguments):
    with open("/dev/full", "w") as full:
        done = ended(*arguments, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 5
    (line,) = done.stderr.splitlines()
    assert "standard output cannot be written: No space left on device" in line


def test_notes_that_nobody_reads_do_not_end_the_work(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        assert ended("cohort", "report", str(tmp_path), stdout=closed, stderr=closed).returncode == 5  # no cohort there
