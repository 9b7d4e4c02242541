"""Options and output folders that are refused before anything runs."""

from __future__ import annotations

import json
import math

import pytest

from warpline.cohort import Options
from warpline.cohort.checks import _RULES, check_output
from warpline.errors import UsageError

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
    *(("compute", value) for value in ("x",)),
)


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value}" for name, value in WRONG])
def test_options_of_python_are_checked(name, value):
    with pytest.raises(UsageError, match=rf"option {name} is .*; .* is needed"):
        Options(**{name: value})


def test_every_option_has_a_rule_but_the_recipe():
    assert set(vars(Options())) - set(_RULES) == {"recipe"}
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


def test_links_lead_to_what_they_stand_for(bids, tmp_path):
    (tmp_path / "link").symlink_to(bids / "sub-01")
    with pytest.raises(UsageError, match="lies in the dataset"):
        check_output(tmp_path / "link" / "out", bids)
    (tmp_path / "same").symlink_to(bids)
    with pytest.raises(UsageError, match="is the input"):
        check_output(tmp_path / "same", bids)
