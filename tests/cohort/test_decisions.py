"""Tables of decisions: who is left out, who runs again, and tables that are refused."""

from __future__ import annotations

import pytest

import faults
from cohort_files import asked, pairs_in, rows
from warpline.cohort import run
from warpline.cohort.decisions import read_decisions, read_verdicts
from warpline.cohort.plan import plan_of
from warpline.errors import InputError

pytestmark = pytest.mark.usefixtures("no_pages")


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


def test_decisions_of_people_leave_out_and_run_again(inputs, tmp_path):
    pairs, out = pairs_in(inputs)[:4], tmp_path / "out"
    (tmp_path / "seen.tsv").write_text("id\tdecision\tnote\nsub-01\tfail\tmoved\nsub-02\treview\t\nsub-03\tpass\t\n")
    summary = run(pairs, out, asked(exclude_from=tmp_path / "seen.tsv"))
    assert (summary.counts["done"], summary.counts["excluded"]) == (3, 1)
    assert rows(out)["sub-01"]["status"] == "excluded"
    assert plan_of(out).states["sub-01"] == "excluded"  # so that status and report know it, too
    assert run(pairs, out, asked(retry_from=tmp_path / "seen.tsv")).finished == 2
    assert faults.calls(inputs) == ["sub-02", "sub-03", "sub-04", "sub-01", "sub-02"]
    (tmp_path / "seen.tsv").write_text("id\tdecision\nsub-01\tmaybe\n")
    with pytest.raises(InputError, match=r"seen\.tsv has the decision 'maybe'; pass, review, fail"):
        run(pairs, out, asked(exclude_from=tmp_path / "seen.tsv"))


def test_decisions_find_the_pair_again(tmp_path):
    (tmp_path / "d.tsv").write_text("id\tdecision\tnote\n'=sub-1\tfail\t'=1\n")
    assert read_decisions(tmp_path / "d.tsv", ("fail",)) == ["=sub-1"]


def test_decisions_on_every_pair_are_read(tmp_path, caplog):
    (tmp_path / "d.tsv").write_text("id\tdecision\na\tpass\nb\t\nc\tfail\n")
    assert read_verdicts(tmp_path / "d.tsv", ["a", "b"]) == {"a": "pass", "c": "fail"}
    assert "--decisions names c, no pairs of this cohort" in caplog.text
    (tmp_path / "d.tsv").write_text("id\na\n")
    with pytest.raises(InputError, match="has no column decision; pass, review, fail are allowed"):
        read_verdicts(tmp_path / "d.tsv", ["a"])
