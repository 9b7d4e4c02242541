"""Who may work on an output folder at the same time."""

from __future__ import annotations

import os

import pytest

from cohort_files import asked, pairs_in
from warpline.cohort import lock as lock_module
from warpline.cohort import run
from warpline.cohort.lock import FolderLock
from warpline.errors import BusyError, UsageError
from warpline.io.file_locks import Lock

pytestmark = pytest.mark.usefixtures("no_pages")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "out" / "work").mkdir(parents=True)
    return tmp_path / "out"


def lock(root, what):
    """A lock of a shard (i, n), of folders of subjects, or of everything."""
    if isinstance(what, tuple):
        return FolderLock(root, what)
    return FolderLock(root, folders=what)


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        ((1, 2), (2, 2), True),
        ((1, 2), (1, 2), False),
        ((1, 2), (1, 3), False),
        ((1, 2), ["sub-01/anat"], False),
        (["sub-01/anat"], (1, 2), False),
        (["sub-01/anat"], ["sub-02/anat", "sub-03/anat"], True),
        (["sub-01/ses-a/anat"], ["sub-01/ses-b/anat"], True),
        (["sub-01/anat", "sub-02/anat"], ["sub-02/anat"], False),
        (None, ["sub-01/anat"], False),
        ((1, 2), None, False),
        ([f"sub-{n}/anat" for n in range(300)], ["sub-x/anat"], False),  # too many to claim one by one
    ],
)
def test_who_may_share_a_folder(root, first, second, fits):
    with lock(root, first):
        if fits:
            with lock(root, second):
                pass
        else:
            with pytest.raises(BusyError, match="in use by another run"), lock(root, second):
                pass
    with lock(root, second):  # nothing is left of the first
        pass


def test_the_last_run_to_end_is_alone(root):
    with lock(root, ["sub-01/anat"]) as first:
        with lock(root, ["sub-02/anat"]) as second:
            assert not first.alone()  # and gives up its share
            assert second.alone()
        with pytest.raises(BusyError), lock(root, ["sub-01/anat"]):
            pass


def test_a_refusal_names_who_holds_the_part(root):
    with (
        lock(root, (1, 2)),
        pytest.raises(BusyError, match=rf'"pid": {os.getpid()}}}\), which holds part-of-2-1; wait'),
        lock(root, None),
    ):
        pass


def test_a_run_leaves_no_files_of_its_locks(root):
    for what in (None, (1, 2), ["sub-01/anat"]):
        with lock(root, what):
            assert list((root / "work").glob("*.owner"))
    assert [path.name for path in (root / "work").iterdir()] == ["starting.lock"]


def test_a_file_system_without_locks_is_said_once(root, monkeypatch, caplog):
    monkeypatch.setattr(lock_module, "try_lock", lambda file: Lock.UNKNOWN)
    with lock(root, ["sub-01/anat", "sub-02/anat"]):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        f"{root}: this file system has no locks; start no second run on this folder"
    ]


def test_a_refusal_ends_with_a_code_that_schedulers_try_again():
    assert BusyError.exit_code == 75


def test_a_second_driver_is_refused(inputs, tmp_path):
    (tmp_path / "out" / "work").mkdir(parents=True)
    with FolderLock(tmp_path / "out"), pytest.raises(UsageError, match=rf"in use by another run \(.*{os.getpid()}"):
        run(pairs_in(inputs), tmp_path / "out", asked())
    with FolderLock(tmp_path / "out", (1, 2)):
        with pytest.raises(UsageError, match="in use"):
            run(pairs_in(inputs), tmp_path / "out", asked())
        with pytest.raises(UsageError, match="in use"):
            run(pairs_in(inputs), tmp_path / "out", asked(shard=(1, 2)))
        assert run(pairs_in(inputs)[:1], tmp_path / "out", asked(shard=(2, 2))).exit_code == 0
