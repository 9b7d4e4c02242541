"""The last lines of a registration."""

from __future__ import annotations

from made_reports import budget_report, preparation_steps, report_of, uncertainty_report
from warpline.cli.summary import commands_after, facts_of
from warpline.registration import Job


def lines_of(**changed):
    """The facts of a made report, each entry replaced or, where it is a dictionary, changed."""
    report = {**report_of(), "outputs": {}, "outside": {"moving": 0.0, "fixed": 0.0}}
    for name, value in changed.items():
        report[name] = {**report.get(name, {}), **value} if isinstance(value, dict) else value
    return facts_of(Job("fixed.nii.gz", "moving.nii.gz", "out/"), report)


def begins(lines, word):
    return [line for line in lines if line.startswith(word)]


def test_images_of_one_contrast_need_no_further_words():
    lines = lines_of()
    assert not begins(lines, "contrast")
    assert begins(lines, "similarity")[0].endswith("in small windows 0.110 and 0.560")
    assert begins(lines, "inverse error")[0].endswith("0.031 voxels")


def test_grey_values_that_hardly_predict_each_other_are_said():
    (line,) = begins(
        lines_of(contrast={"line": 0.12, "curve": 0.37, "is_alike": True, "is_predictable": False}), "contrast"
    )
    assert "0.370 along a curve" in line and "edges" in line


def test_contrasts_that_differ_are_said_beside_the_correlation():
    (line,) = begins(
        lines_of(contrast={"line": 0.2, "curve": 0.8, "is_alike": False, "is_predictable": True}), "contrast"
    )
    assert "curve (0.800), not along a line (0.200)" in line
    assert not begins(lines_of(contrast=None), "contrast")


def test_the_share_that_was_measured_is_said():
    assert begins(lines_of(measured=0.123), "similarity")[0].endswith("; of 12% of the voxels")


def test_what_inverse_errors_are_counted_in_is_said():
    assert begins(lines_of(quality={"units": [2.0, 2.0, 1.0]}), "inverse error")[0].endswith("times 2 voxels in plane")


def test_what_a_budget_asked_and_got_is_one_line():
    assert not begins(lines_of(), "budget")
    (line,) = begins(lines_of(budget=budget_report()), "budget")
    assert "kept: bending 0.2471 of 0.25 (without it 0.3535)" in line
    assert "Jacobian 0.3125 to 3.2 within 0.25 to 4 (without it 0.0625 to 15.5)" in line
    (line,) = begins(lines_of(budget=budget_report(kept=False, max_bending=None, jacobian=None)), "budget")
    assert "NOT KEPT: strain 0.2471 of 1.5" in line


def test_files_of_an_earlier_run_are_one_line():
    assert not begins(lines_of(replaced=None), "replaced")
    (line,) = begins(lines_of(replaced={"files": ["out/report.json"], "removed": []}), "replaced")
    assert line.endswith("replaced       1 file of an earlier run")
    gone = {"files": ["out/a", "out/b"], "removed": ["out/1Warp.nii.gz", "out/Grid.png"]}
    (line,) = begins(lines_of(replaced=gone), "replaced")
    assert line.endswith("2 files of an earlier run, removed 2 that this one does not make: 1Warp.nii.gz, Grid.png")


def test_how_much_robust_weights_leave_out_is_one_line():
    assert not begins(lines_of(robust=None), "robust")
    (line,) = begins(lines_of(robust={"left_out": 0.0312}), "robust")
    assert line.endswith("3.1% of the fixed object count by less than a half")


def test_the_distances_of_landmarks_are_one_line():
    assert not begins(lines_of(), "landmarks")
    told = {"count": 7, "start": {"mean": 2.125, "max": 4.5}, "result": {"mean": 1.0625, "max": 2.25}}
    (line,) = begins(lines_of(landmarks=told), "landmarks")
    assert line.endswith("7, 1.06 mm apart on average, 2.25 mm at most; at the start 2.12 and 4.5 mm")


def test_the_distances_of_surfaces_are_a_line_each():
    assert not begins(lines_of(), "surfaces")
    start, result = ({"mean": mean, "p95": 4.5, "matched": 0.96875} for mean in (2.125, 0.625))
    pair = {"files": [], "points": [1200, 900], "start": start, "result": result}
    lines = begins(lines_of(surfaces={"model": None, "pairs": [pair, pair]}), "surfaces")
    assert [line.split()[1] for line in lines] == ["1", "2"]
    assert lines[0].endswith(
        "0.625 mm apart on average, 95 % within 4.5 mm; at the start 2.12 and 4.5 mm; 97% of 2100 points matched"
    )


def test_what_was_prepared_is_one_line():
    assert not begins(lines_of(preparation=[]), "prepared")
    (line,) = begins(lines_of(preparation=preparation_steps()), "prepared")
    assert line.endswith("moving 2 by n4 (SimpleITK 2.5.7); the images written are as given")


def test_the_spread_of_perturbed_runs_is_one_line():
    assert not begins(lines_of(uncertainty=None), "uncertainty")
    (line,) = begins(lines_of(uncertainty=uncertainty_report()), "uncertainty")
    assert line.endswith("median 0.719 mm, 95 % within 2.53 mm, 6.34 mm at most, by 8 perturbed runs")


def test_what_follows_a_wrong_map_tells_why():
    job = Job("my fixed.nii.gz", "moving.nii.gz", "out/")
    report = {**report_of(), "outputs": {"page": "out/report.html"}}
    report["judgement"] = {**report["judgement"], "outcome": "failed"}
    page, check = commands_after(job, report)
    assert "out/report.html" in page and check == "  warpline check-header 'my fixed.nii.gz' moving.nii.gz"
