"""Pages of pairs: drawn once, told their place anew, moved with their folder."""

from __future__ import annotations

import json
import shutil

import pytest

from cohort_files import asked, pairs_in
from warpline.cohort import report, run
from warpline.cohort.pages import cohort_key


@pytest.fixture(scope="module")
def finished(brains, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair pages")
    shutil.copytree(brains, folder / "in")
    run(pairs_in(folder / "in")[:2], folder / "out", asked(pages="all"))
    return folder


@pytest.fixture
def there(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "all")


def pages_in(out):
    return {path.name: path.stat().st_mtime_ns for path in (out / "report" / "pairs").glob("*.html")}


def test_a_cohort_that_grows_leaves_its_pages_as_they_are(there):
    before = pages_in(there / "out")
    script = (there / "out" / "report" / "pairs" / "sub-02_space-fixed.js").read_text()
    run(pairs_in(there / "in")[:3], there / "out", asked(pages="all"))
    after = pages_in(there / "out")
    assert len(after) == 3 and {name: after[name] for name in before} == before
    assert (there / "out" / "report" / "pairs" / "sub-02_space-fixed.js").read_text() != script


def test_a_folder_moves_with_its_pages_and_its_decisions(there, tmp_path):
    key, before = cohort_key(there / "out"), pages_in(there / "out")
    moved = tmp_path / "elsewhere" / "other name"
    shutil.copytree(there / "out", moved)
    shutil.rmtree(there)  # with the images
    report(moved, pages="all")
    assert pages_in(moved).keys() == before.keys() and cohort_key(moved) == key
    data = (moved / "report" / "data.js").read_text()
    assert key in data and data.count(".html") == 2


def test_pages_of_pairs_wait_for_the_last_pair(there):
    """A run that stops half way leaves the pages that were there, and draws none."""
    (there / "in" / "sub-03_T1w.nii").write_bytes(b"broken")
    pairs = pairs_in(there / "in")
    summary = run(pairs, there / "out", asked(pages="all", shard=(1, 2)))
    assert summary.counts["new"] > 0 and pages_in(there / "out").keys() == {
        "sub-01_space-fixed.html",
        "sub-02_space-fixed.html",
    }
    run(pairs, there / "out", asked(pages="all", shard=(2, 2)))
    assert len(pages_in(there / "out")) == len(pairs) - 1


def test_the_page_names_source_fixed_image_recipe_and_date(there):
    text = (there / "out" / "report" / "index.html").read_text()
    title = text.partition("<title>")[2].partition("</title>")[0]
    ended = json.loads((there / "out" / "run.json").read_text())["ended"]
    assert "fixed.nii" in title and "quick" in title and ended[:10] in title
