"""Pages written from what a run left in its folder."""

from __future__ import annotations

import json
import shutil

import pytest

from cohort_files import asked, pairs_in
from warpline.cohort import report, run
from warpline.cohort.pages import cohort_key, output_of, read_thumbnail, write
from warpline.cohort.results import read_results
from warpline.errors import InputError


@pytest.fixture(scope="module")
def finished(brains, tmp_path_factory):
    """A run with a damaged image, a missing one, and its pages."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(brains, folder / "in")
    path = folder / "in" / "sub-02_T1w.nii"
    path.write_bytes(path.read_bytes()[:400])
    summary = run(pairs_in(folder / "in"), folder / "out", asked(pages="all"))
    assert summary.counts["done"] == 5
    return folder / "out"


@pytest.fixture
def out(finished, tmp_path):
    return shutil.copytree(finished.parent, tmp_path / "all") / "out"


def data_of(folder):
    text = (folder / "report" / "data.js").read_text().removeprefix("const COHORT = JSON.parse('").removesuffix("');\n")
    return json.loads(text.replace("\\'", "'").replace("\\\\", "\\"))


def test_failures_come_first_with_their_message(finished):
    data = data_of(finished)
    assert data["ids"][0] == "sub-02"
    assert data["verdicts"]["values"][data["verdicts"]["codes"][0]] == "error"
    assert "sub-02_T1w.nii" in data["reasons"]["0"]
    assert data["groups"][0]["kind"] == "input_error"
    assert data["groups"][0]["rows"] == [0]


def test_pages_of_few_pairs_say_they_are_not_compared(finished):
    told = "5 pairs: not compared with each other (that takes 10)"
    data = data_of(finished)
    assert told in (finished / "report" / "index.html").read_text() and {*data["scores"].split(",")} == {"null"}
    script = (finished / "report" / data["pages"]["1"].replace(".html", ".js")).read_text()
    assert f'"not_compared":"{told}"' in script
    assert {one.score for one in read_results(finished)} == {None}


def test_every_done_pair_has_a_page_a_thumbnail_and_numbers(finished):
    data = data_of(finished)
    assert set(data["pages"]) == {str(row) for row in range(1, 6)}
    names = [column["name"] for column in data["columns"]]
    for name in ("ncc_after", "local_ncc_gain", "coverage", "rotation", "jacobian_min", "inverse_error_p99", "seconds"):
        numbers = json.loads(f"[{data['values'][names.index(name)]}]")
        assert numbers[0] is None
        assert all(isinstance(number, (int, float)) for number in numbers[1:])
    pictures = (finished / "report" / "thumbs" / "0.js").read_text()
    assert pictures.count("UklG") == 5


def test_pages_of_pairs_lead_to_each_other_and_back(finished):
    data = data_of(finished)
    addresses = [data["pages"][str(row)] for row in range(1, 6)]
    script = (finished / "report" / addresses[1].replace(".html", ".js")).read_text()
    place = json.loads(script.removeprefix("const STANDING = ").removesuffix(";\n"))
    assert place["previous"] == addresses[0].removeprefix("pairs/")
    assert place["next"] == addresses[2].removeprefix("pairs/")
    assert place["index"] == f"../index.html#id={data['ids'][2]}"
    assert all(0 <= measure["percentile"] <= 100 for measure in place["measures"])
    page = (finished / "report" / addresses[1]).read_text()
    assert 'data-layer="jacobian"' in page and "percentile" not in page.partition("<script")[0]


def test_only_pages_that_changed_are_written_again(out):
    pages = sorted((out / "report" / "pairs").glob("*.html"))
    pages[0].unlink()
    marked = pages[1].read_text() + "<!-- kept -->"
    pages[1].write_text(marked)
    write(out, read_results(out), pages="all")
    assert pages[0].exists()
    assert pages[1].read_text() == marked


def test_which_pairs_get_a_page(out):
    write(out, read_results(out), pages="none")
    assert list((out / "report" / "pairs").glob("*.html")) == []
    assert data_of(out)["pages"] == {}
    said = []
    write(out, read_results(out), pages="flagged", say=said.append)
    assert len(data_of(out)["pages"]) == 5
    assert "5 of them with a page" in said[-1]


def test_an_image_that_went_away_costs_its_page_only(out):
    shutil.rmtree(out / "report" / "pairs")
    sidecar = next(out.glob("sub-03/anat/*_qc.json"))
    (out / json.loads(sidecar.read_text())["outputs"]["warped"]).unlink()
    said = []
    write(out, read_results(out), pages="all", say=said.append)
    assert len(data_of(out)["pages"]) == 4
    assert any(line.startswith("no page for sub-03: ") for line in said)


@pytest.fixture(scope="module")
def two_pages(brains, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair pages")
    shutil.copytree(brains, folder / "in")
    run(pairs_in(folder / "in")[:2], folder / "out", asked(pages="all"))
    return folder


@pytest.fixture
def there(two_pages, tmp_path):
    return shutil.copytree(two_pages, tmp_path / "all")


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


def test_a_sidecar_embeds_no_file_from_outside(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    picture = b"RIFF\0\0\0\0WEBP"
    (tmp_path / "secret").write_bytes(picture)
    (out / "link").symlink_to(tmp_path / "secret")
    (out / "own.webp").write_bytes(picture)
    (out / "own.txt").write_bytes(b"text")
    for name in ("../secret", str(tmp_path / "secret"), "link", "own.txt", "none", 5, None, "\0"):
        (out / "qc.json").write_text(json.dumps({"outputs": {"thumbnail": name}}))
        assert read_thumbnail(out, "qc.json") == b""
    (out / "qc.json").write_text(json.dumps({"outputs": {"thumbnail": "own.webp"}}))
    assert read_thumbnail(out, "qc.json") == picture
    with pytest.raises(InputError, match="names no warped inside the output folder"):
        output_of(out, {"outputs": {"warped": "../secret"}}, "warped")


def test_the_page_of_a_pair_shows_its_uncertainty(inputs, tmp_path):
    recipe = asked().recipe.with_options("uncertainty.runs=2")
    run(pairs_in(inputs)[:1], tmp_path / "out", asked(pages="all", recipe=recipe))
    pages = tmp_path / "out" / "report" / "pairs"
    assert '<img data-layer="uncertainty"' in (pages / "sub-01_space-fixed.html").read_text()
    assert "Median spread of perturbed runs in the object" in (pages / "sub-01_space-fixed.js").read_text()
