"""Several runs on one output folder: shards, participants, and who is refused."""

from __future__ import annotations

import json
import shutil
import threading

import pytest

from cohort_files import asked, pairs_in
from warpline.cohort import Options, run
from warpline.cohort.lock import FolderLock
from warpline.errors import BusyError
from warpline.recipe import Recipe

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


def test_a_refusal_ends_with_a_code_that_schedulers_try_again():
    assert BusyError.exit_code == 75


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


# -- what is replaced ---------------------------------------------------------------------------------------------


def test_finished_pairs_of_another_recipe_are_kept_unless_asked_for(inputs, tmp_path):
    pairs, out = pairs_in(inputs)[:2], tmp_path / "out"
    run(pairs, out, asked())
    before = {path: path.read_bytes() for path in out.glob("sub-*/**/*") if path.is_file()}
    rigid = Recipe.load("rigid").with_options("linear.iterations=[1]", "linear.voxel_sizes=[6.0]")
    with pytest.raises(ValueError, match=r"2 finished pairs \(sub-01, sub-02\).*recipe quick then, rigid.* --redo"):
        run(pairs, out, asked(recipe=rigid))  # fields would be lost
    with pytest.raises(ValueError, match="recipe quick then, syn now"):
        run(pairs, out, Options(backend="numpy", threads=1))  # a forgotten --recipe
    with pytest.raises(ValueError, match="displacements were kept otherwise than --warp none"):
        run(pairs, out, asked(warps="none"))
    assert {path: path.read_bytes() for path in before} == before
    said = []
    run(pairs, out, asked(recipe=asked().recipe.with_options("syn.radius=3")), say=said.append)
    assert "; they are replaced" in said[0] and "syn.radius" in said[0] and "3 now" in said[0], said
    assert run(pairs, out, asked(recipe=rigid, redo=True)).finished == 2


def test_a_retry_with_another_recipe_leaves_other_pairs_alone(inputs, tmp_path):
    pairs, out = pairs_in(inputs)[:3], tmp_path / "out"
    run(pairs, out, asked())
    (tmp_path / "seen.tsv").write_text("id\tdecision\nsub-02\treview\n")
    better = asked().recipe.with_options("name=better", "syn.radius=3")
    summary = run(pairs, out, asked(recipe=better, retry_from=tmp_path / "seen.tsv"))
    assert (summary.finished, summary.counts["done"]) == (1, 3)


def test_decisions_about_strangers_are_named(inputs, tmp_path, caplog):
    (tmp_path / "seen.tsv").write_text("id\tdecision\nsub-99\tfail\n")
    run(pairs_in(inputs)[:1], tmp_path / "out", asked(exclude_from=tmp_path / "seen.tsv"))
    assert "--exclude-from names sub-99, no pairs of this cohort" in caplog.text


def test_what_was_asked_stands_in_the_record_before_pages_are_written(inputs, tmp_path, monkeypatch):
    import sys

    seen = []

    def look(root, **_):
        seen.append(json.loads((root / "run.json").read_text()))
        return root / "report" / "index.html"

    monkeypatch.setattr(sys.modules["warpline.cohort.pages"], "write", look)
    run(pairs_in(inputs)[:1], tmp_path / "out", asked())
    assert seen[0]["recipes"].keys() == {"quick"} and seen[0]["exit_code"] == 0
