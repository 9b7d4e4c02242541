"""Fronts of overlap against roughness: interpolation, leads, settings, page and picture."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import compare
import front
import front_page
import front_picture
import scoring
from brains import Brain, Job
from front_curves import Lead, Point, dice_at, leads, on_common_pairs, rows_of
from front_curves import front as front_of
from front_settings import DEFAULTS, NAMES, SETTINGS
from peers import TOOLS


def row(tool, setting, pair, bending, dice):
    scores = {"dice": dice, "dice_cortical": dice - 0.1, "dice_subcortical": dice + 0.1, "bending": bending}
    cost = {"contended": False, "wall_s": 10.0, "cpu_s": 20.0, "peak_bytes": 2**30}
    key = {"tool": tool, "setting": setting, "version": "1", "pair": pair, "settings": {}}
    return {**key, "cost": cost, "stages": {}, "scores": {**scores, "log_jacobian_sd": bending**0.5}}


OURS = [row("warpline", name, "01,02", *at) for name, at in {"syn": (0.4, 0.7), "s": (0.1, 0.6)}.items()]
MACHINE = {"cpu": "a processor", "cores": 2, "memory_gib": 8}


def test_a_front_leaves_out_what_a_smoother_setting_equals():
    points = [Point(0.4, 0.70), Point(0.1, 0.60), Point(0.2, 0.59), Point(0.3, 0.70), Point(0.1, 0.58)]
    assert front_of(points) == [Point(0.1, 0.60), Point(0.3, 0.70)]


def test_dice_between_settings_is_not_extrapolated():
    points = [Point(0.4, 0.70), Point(0.1, 0.60)]
    assert dice_at(points, 0.2) == pytest.approx(0.65)
    assert dice_at(points, 0.1) == pytest.approx(0.60)
    assert dice_at(points, 0.9) == 0.70
    assert dice_at(points, 0.09) is None
    assert dice_at([], 0.2) is None


def test_the_lead_is_counted_pair_by_pair():
    second = [row("warpline", "syn", "03,04", 0.4, 0.72), row("warpline", "s", "03,04", 0.1, 0.60)]
    theirs = [row("greedy", "a", "01,02", 0.2, 0.64), row("greedy", "a", "03,04", 0.2, 0.67)]
    (found,) = leads([*OURS, *second, *theirs])
    assert found == Lead("greedy", "a", 0.2, pytest.approx(0.655), pytest.approx(0), pytest.approx(-0.01), 2, 2)


def test_pairs_smoother_than_ours_are_counted_and_not_compared():
    other = [row("warpline", "syn", "03,04", 0.4, 0.7)]
    theirs = [row("dipy", "2", "01,02", 0.2, 0.6), row("dipy", "2", "03,04", 0.2, 0.6)]
    (found,) = leads([*OURS, *other, *theirs])
    assert (found.compared, found.pairs, found.lead) == (1, 2, pytest.approx(0.05))
    assert leads([*other, theirs[1]]) == []


def test_rows_without_scores_are_passed_over():
    failed = {**row("dipy", "2", "01,02", 0.2, 0.6), "error": "no"}
    del failed["scores"]
    unmeasured = row("dipy", "3", "01,02", 0.2, 0.6)
    del unmeasured["scores"]["log_jacobian_sd"]
    assert leads([*OURS, failed, unmeasured], roughness="log_jacobian_sd") == []
    assert [lead.setting for lead in leads([*OURS, failed, unmeasured])] == ["3"]
    assert on_common_pairs([*OURS, failed]) == OURS


def test_means_are_over_the_same_pairs_for_all():
    many = [row("dipy", "2", pair, 0.2, 0.6) for pair in ("01,02", "03,04", "05,06")]
    some = [row("greedy", name, pair, 0.2, 0.6) for name in ("a", "b") for pair in ("01,02", "03,04")]
    one = row("ants-synso", "3/0", "01,02", 0.2, 0.6)
    assert on_common_pairs([*many, *some, one]) == [*many[:2], *some]
    assert on_common_pairs([*OURS, one]) == [*OURS, one]
    assert on_common_pairs([]) == []
    page = front_page.page({"machine": MACHINE, "runs": [*many, *some, one]})
    assert "Means over the pairs 01,02 03,04." in page
    assert "Not on all of these pairs: ants-synso 3/0." in page


def test_a_page_shows_means_and_leads():
    page = front_page.page({"machine": MACHINE, "runs": [*OURS, row("greedy", "a", "01,02", 0.2, 0.64)]})
    assert "| warpline | syn | 0.7000 | 0.6000 | 0.8000 | 0.4000 | 0.632 |" in page
    assert "| greedy | a | 1 | 0.2000 | 0.6400 | +0.0100 | +0.0100 | +0.0100 | +0.0100 |" in page


def test_rows_whose_seconds_are_contended_are_marked():
    crowded = row("greedy", "a", "01,02", 0.2, 0.64)
    crowded["cost"]["contended"] = True
    page = front_page.page({"machine": MACHINE, "runs": [*OURS, crowded]})
    assert "| greedy * | a |" in page
    assert "| warpline | syn |" in page


def test_a_page_says_what_failed():
    failed = {"tool": "dipy", "setting": "2", "pair": "01,02", "error": "no memory"}
    assert "Failed: dipy 2 on 01,02." in front_page.page({"machine": MACHINE, "runs": [*OURS, failed]})


def test_the_picture_is_small_and_the_same_again(tmp_path):
    rows = [*OURS, row("greedy", "1.5/0.5", "01,02", 0.2, 0.64)]
    for name in ("a.svg", "b.svg"):
        front_picture.draw(rows, tmp_path / name)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second
    assert len(first) < 200_000
    assert ElementTree.fromstring(first).tag.endswith("svg")


def test_a_point_is_drawn_only_where_all_its_rows_have_it():
    rows = [row("dipy", "2", pair, 0.2, dice) for pair, dice in {"01,02": 0.6, "03,04": 0.7}.items()]
    spread = front_picture.Panel("log_jacobian_sd", "dice", "", "")
    assert front_picture.means(rows, "dipy", spread) == {"2": Point(0.2**0.5, pytest.approx(0.65))}
    del rows[0]["scores"]["log_jacobian_sd"]
    assert front_picture.means(rows, "dipy", spread) == {}


def test_every_tool_has_settings_a_default_and_a_look():
    assert set(NAMES) == set(SETTINGS) == set(DEFAULTS) == set(front_picture.LOOKS) <= set(TOOLS)
    for tool, names in NAMES.items():
        assert DEFAULTS[tool] in names
        told = [json.dumps(SETTINGS[tool](name), sort_keys=True) for name in names]
        assert len(set(told)) == len(names)


def test_default_settings_are_those_of_the_comparison():
    for tool in ("warpline", "greedy", "dipy", "ants-synso"):
        assert SETTINGS[tool](DEFAULTS[tool]) == TOOLS[tool].settings


def test_settings_by_name_and_any_recipe_of_warpline():
    asked = ["--tools", "warpline,greedy", "--settings", "1.5/0.5", "syn:syn.total_sigma=0.3"]
    assert front.parse_arguments(asked).settings == {"warpline": ["syn:syn.total_sigma=0.3"], "greedy": ["1.5/0.5"]}
    assert front.parse_arguments(["--tools", "dipy"]).settings == {"dipy": list(NAMES["dipy"])}
    changed = SETTINGS["warpline"]("syn:syn.total_sigma=0.3:syn.step=0.4")
    assert (changed["recipe"], changed["set"]) == ("syn", ["syn.total_sigma=0.3", "syn.step=0.4"])


@pytest.mark.parametrize("settings", ["syn:syn.total=0.3", "recipe", "1.5/0.5"])
def test_settings_that_no_tool_has_are_refused(settings, capsys):
    with pytest.raises(SystemExit):
        front.parse_arguments(["--tools", "warpline", "--settings", settings])
    assert f"--settings: {settings} unknown; warpline has syn-fast" in capsys.readouterr().err


def test_rows_with_the_same_settings_are_taken_over():
    runs = [
        {"tool": "greedy-light", "pair": "01,02", "settings": TOOLS["greedy-light"].settings},
        {"tool": "ants-syn", "pair": "01,02", "settings": TOOLS["ants-syn"].settings},
        {"tool": "warpline", "pair": "01,02", "settings": TOOLS["warpline"].settings},
    ]
    taken = front.taken({"machine": MACHINE, "runs": runs})
    assert [(row["tool"], row["setting"]) for row in taken] == [("greedy", "1.5/0.5"), ("warpline", "syn")]
    assert [row["machine"] for row in taken] == [MACHINE] * 2


def test_the_page_says_what_was_run_where_and_when():
    other = {**MACHINE, "cpu": "another processor", "gpus": ["a GPU"]}
    theirs = {**row("fireants-syn", "1/0.5", "01,02", 0.2, 0.6), "machine": other}
    theirs["cost"] = {**theirs["cost"], "date": "2026-11-27T03:00:00+00:00"}
    page = front_page.page({"machine": MACHINE, "runs": [*OURS, theirs]})
    assert "fireants-syn: on another processor, 2 cores, 8 GiB, a GPU, 2026-11-27." in page
    assert "warpline: on a processor, 2 cores, 8 GiB." in page
    assert "on a processor" not in front_page.page({"machine": MACHINE, "runs": OURS})


def test_results_keep_one_row_of_each_identity(tmp_path):
    results = compare.Results(tmp_path / "front.json", keep=False, page=front_page.page, identity=front.IDENTITY)
    for dice in (0.5, 0.7):
        results.put(row("warpline", "syn", "01,02", 0.4, dice))
    results.put(row("warpline", "s", "01,02", 0.1, 0.6))
    assert [r["scores"]["dice"] for r in results.load()["runs"]] == [0.7, 0.6]
    assert results.has({"tool": "warpline", "setting": "syn", "pair": "01,02"})
    assert not results.has({"tool": "warpline", "setting": "syn", "pair": "03,04"})
    text = (tmp_path / "front.json").read_text()
    assert sum(line.startswith('  {"tool"') for line in text.splitlines()) == 2
    assert "# Overlap against smoothness" in (tmp_path / "front.md").read_text()


def test_spread_of_the_log_jacobian_without_folds():
    jacobian = np.zeros((4, 1, 1, 3, 3))
    jacobian[:, 0, 0, 0, 0] = [np.e - 1, 0, 1 / np.e - 1, -3]  # determinants e, 1, 1/e and -2
    found = scoring.jacobian_scores(jacobian, np.ones((4, 1, 1), bool))
    assert found["log_jacobian_sd"] == pytest.approx((2 / 3) ** 0.5)
    assert found["folds"] == 0.25


def test_a_job_carries_its_settings():
    job = Job("dipy", Brain("a", "b"), Brain("c", "d"), "work", 1, SETTINGS["dipy"]("3"))
    again = Job.from_dict(json.loads(json.dumps(job.to_dict())))
    assert again == job
    assert again.settings["metric"] == {"dim": 3, "sigma_diff": 3.0}


SCORES = ("dice", "folds", "inverse_error_mean", "inverse_error_p99", "bending")
README_ROWS = {
    "warpline `--recipe syn`": ("warpline", "syn"),
    "warpline `--recipe syn-fast`": ("warpline", "syn-fast"),
    "warpline `--recipe syn-quality`": ("warpline", "syn-quality"),
    "warpline `--recipe syn-smooth`": ("warpline", "syn-smooth"),
    "Greedy NCC 2x2x2, 100x50x20, smoothing 1.5 / 0.5 voxels": ("greedy", "1.5/0.5"),
    "Greedy NCC 2x2x2, 100x50x20, its own smoothing": ("greedy", "1.732/0.7071"),
}


@pytest.mark.parametrize("name", README_ROWS)
def test_figures_of_the_readme_are_means_over_all_pairs(name):
    root = Path(__file__).parents[2]
    (line,) = [line for line in (root / "README.md").read_text().splitlines() if line.startswith(f"| {name} |")]
    written = [float(cell.replace(" GiB", "")) for cell in line.split("|")[2:-1]]
    rows = rows_of(json.loads((root / "bench/results/front.json").read_text())["runs"], *README_ROWS[name])
    assert len(rows) == 5
    scores = [np.mean([one["scores"][key] for one in rows]) for key in SCORES]
    wall, cpu, peak = (np.mean([one["cost"][key] for one in rows]) for key in ("wall_s", "cpu_s", "peak_bytes"))
    last_digit = np.array([1e-3, 1e-7, 1e-3, 1e-2, 1e-2, 1, 1, 0.1])
    assert (np.abs(np.subtract(written, [*scores, wall, cpu, peak / 2**30])) <= 0.501 * last_digit).all()
