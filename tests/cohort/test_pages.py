"""Pages written from what a run left in its folder."""

import json
import shutil

import pytest

from cohort_files import asked, pairs_in
from warpline.cohort import run
from warpline.cohort.pages import write
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
    write(out, pages="all")
    assert pages[0].exists()
    assert pages[1].read_text() == marked


def test_which_pairs_get_a_page(out):
    write(out, pages="none")
    assert list((out / "report" / "pairs").glob("*.html")) == []
    assert data_of(out)["pages"] == {}
    said = []
    write(out, pages="flagged", say=said.append)
    assert len(data_of(out)["pages"]) == 5
    assert "5 of them with a page" in said[-1]


def test_an_image_that_went_away_costs_its_page_only(out):
    shutil.rmtree(out / "report" / "pairs")
    sidecar = next(out.glob("sub-03/anat/*_qc.json"))
    (out / json.loads(sidecar.read_text())["outputs"]["warped"]).unlink()
    said = []
    write(out, pages="all", say=said.append)
    assert len(data_of(out)["pages"]) == 4
    assert any(line.startswith("no page for sub-03: ") for line in said)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(InputError, match=r"results\.tsv cannot be read.*output folder of a cohort"):
        write(tmp_path)


def test_a_column_of_the_manifest_may_be_called_like_a_measure(out):
    lines = (out / "results.tsv").read_text().splitlines()
    more = [lines[0] + "\tseconds", *(f"{line}\tslow" for line in lines[1:])]
    (out / "results.tsv").write_text("\n".join(more) + "\n")
    write(out, pages="none")
    assert data_of(out)["free"]["manifest seconds"]["values"] == ["slow"]
    assert "seconds" in [column["name"] for column in data_of(out)["columns"]]


def test_a_table_that_was_cut_off_is_named(out):
    (out / "results.tsv").write_bytes((out / "results.tsv").read_bytes()[:-40])
    with pytest.raises(InputError, match="damaged; write it anew"):
        write(out)


def test_a_word_among_the_numbers_is_named(out):
    text = (out / "results.tsv").read_text()
    (out / "results.tsv").write_text(text.replace("\t0\t", "\tnone\t", 1))
    with pytest.raises(InputError, match="holds 'none' where a number is needed"):
        write(out)
