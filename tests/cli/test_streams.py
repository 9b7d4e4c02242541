"""Readers that go away, and full disks, leave one line at most."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from warpline.cli.streams import open_standard_streams

SCRIPT = "import sys; from warpline.cli.main import main; sys.exit(main(sys.argv[1:]))"
SHIFT = (
    "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\n"
    "Parameters: 1 0 0 0 1 0 0 0 1 2 0 0\nFixedParameters: 0 0 0\n"
)


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


@pytest.mark.skipif(os.name != "posix", reason="closes streams by a POSIX shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_closed_from_the_start_are_done_without(tmp_path, closed):
    shell = f'exec "$0" -c "$1" convert "$2" "$3" {closed}'
    (tmp_path / "shift.txt").write_text(SHIFT, encoding="utf-8")
    paths = [str(tmp_path / name) for name in ("shift.txt", "shift.mat")]
    done = subprocess.run(["sh", "-c", shell, sys.executable, SCRIPT, *paths], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shift.mat", "shift.txt"]
    for arguments in ("--help", "--version", "recipes"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -c "$1" {arguments} {closed}', sys.executable, SCRIPT], timeout=60
        )
        assert done.returncode == 0


def test_names_beyond_the_chosen_encoding_are_escaped(tmp_path):
    source, target = tmp_path / "shift.txt", tmp_path / "\u017c\u00f3.mat"
    source.write_text(SHIFT, encoding="utf-8")
    command = [sys.executable, "-c", SCRIPT, "convert", str(source), str(target)]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "cp1252"}, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u017c\xf3.mat" in done.stdout


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_files_and_pipes_get_utf_8_whatever_the_code_page(monkeypatch, name):
    written = io.BytesIO()
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding="cp1252"))
    open_standard_streams()
    print("Papie\u017c, 2 \u00d7 3, \udcc5", file=getattr(sys, name), flush=True)
    assert written.getvalue() == "Papie\u017c, 2 \u00d7 3, \\udcc5\n".replace("\n", os.linesep).encode()
