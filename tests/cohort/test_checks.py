"""Options and output folders that are refused before anything runs, and results that are not replaced unasked."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from cohort_files import asked, pairs_in
from warpline.cohort import Options, run
from warpline.cohort.checks import OPTION_RULES, check_order, check_output
from warpline.cohort.options import tasks_of
from warpline.errors import UsageError
from warpline.metrics import DEFORMABLE_METRICS
from warpline.recipe import Recipe

pytestmark = pytest.mark.usefixtures("no_pages")

WRONG = (
    *(("shard", value) for value in ((3, 2), (0, 1), (1,), (1, 2.0), "1/2")),
    *(("max_failures", value) for value in (30.0, -0.1, math.nan, "30%", True)),
    *(("allow_failures", value) for value in (-1, 1.5, math.inf, True, "3")),
    *(("warps", value) for value in ("rounde", None, 1)),
    *(("pages", value) for value in ("al", None)),
    *(("time_limit", value) for value in (-5.0, 0, math.nan, math.inf, "60")),
    *(("threads", value) for value in (0, -1, 1.5, True)),
    *(("workers", value) for value in (-1, 2.0)),
    *(("workers_per_gpu", value) for value in (0, None)),
    *(("participants", value) for value in ("02", [2], None)),
    *(("suffix", value) for value in ("", "T1w.nii", 1)),
    *(("entities", value) for value in ("desc=x", None)),
    *(("redo", value) for value in (1, "yes")),
    *(("fixed", value) for value in (3, [])),
)


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value}" for name, value in WRONG])
def test_options_of_python_are_checked(name, value):
    with pytest.raises(UsageError, match=rf"option {name} is .*; .* is needed"):
        Options(**{name: value})


def test_every_option_has_a_rule_but_the_recipe():
    assert set(vars(Options())) - set(OPTION_RULES) == {"recipe"}
    Options(shard=(2, 3), max_failures=0, allow_failures=0.5, participants=("01",), fixed=None, workers=0)


@pytest.fixture
def bids(tmp_path):
    for name in ("sub-01/anat", "derivatives/other"):
        (tmp_path / "bids" / name).mkdir(parents=True)
    return tmp_path / "bids"


@pytest.mark.parametrize("inside", ["sub-01", "sub-01/anat/out", "out", "sourcedata/x"])
def test_nothing_is_written_into_a_dataset(bids, inside):
    with pytest.raises(
        UsageError, match=r"lies in the dataset .*bids, which is never written to.*derivatives/warpline"
    ):
        check_output(bids / inside, bids)
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    with pytest.raises(UsageError, match="lies in the dataset"):
        check_output(bids / inside, bids.parent / "cohort.tsv")  # a manifest that lies elsewhere


def test_derivatives_and_other_folders_are_written_to(bids, tmp_path):
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    for out in (bids / "derivatives", bids / "derivatives" / "w" / "x", tmp_path / "out"):
        check_output(out, bids)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dataset_description.json").write_text(json.dumps({"DatasetType": "derivative"}))
    check_output(tmp_path / "out", bids)


def test_a_table_in_the_place_of_the_output_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"table of pairs comes first, then the output folder, as in: c\.tsv out"):
        check_order(Path("c.tsv"), "out")
    check_order(tmp_path / "out.tsv", "c.tsv")  # a folder of a strange name


def test_a_table_in_the_wrong_place_is_shown_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^c\.tsv is a table, .* as in: c\.tsv folder/out$"):
        run("folder/out", "c.tsv")


def test_a_metric_that_is_unknown_here_is_refused_first(inputs, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DEFORMABLE_METRICS, "own", DEFORMABLE_METRICS["mean_squares"])
        recipe = asked().recipe.with_options('syn.beside=[{metric="own"}]')
        assert run(pairs_in(inputs)[:1], tmp_path / "known", asked(recipe=recipe, workers=0)).counts["done"] == 1
    with pytest.raises(
        UsageError, match=r"metric 'own' is unknown to this process, which knows local_cc, .* workers=0"
    ):
        run(pairs_in(inputs), tmp_path / "out", asked(recipe=recipe))
    assert not (tmp_path / "out").exists()
    assert len(tasks_of(pairs_in(inputs), asked(recipe=recipe, scheduler="tcp://elsewhere:8786"))) == 6


def test_links_lead_to_what_they_stand_for(bids, tmp_path):
    (tmp_path / "link").symlink_to(bids / "sub-01")
    with pytest.raises(UsageError, match="lies in the dataset"):
        check_output(tmp_path / "link" / "out", bids)
    (tmp_path / "same").symlink_to(bids)
    with pytest.raises(UsageError, match="is the input"):
        check_output(tmp_path / "same", bids)


def test_results_of_another_recipe_are_kept_unless_asked(inputs, tmp_path):
    pairs, out = pairs_in(inputs)[:2], tmp_path / "out"
    run(pairs, out, asked())
    before = {path: path.read_bytes() for path in out.glob("sub-*/**/*") if path.is_file()}
    rigid = Recipe.load("rigid").with_options(
        *("initialise.rotations=false", "linear.iterations=[1]", "linear.voxel_sizes=[6.0]", "linear.samples=1000"),
        "linear.refinements=0",
    )
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
