"""``warpline cite``: methods of a registration and of a cohort."""

from __future__ import annotations

import json

from cohort_fixtures import brains, finished_run
from made_reports import report_of, report_of_labels, report_of_points, report_of_series, report_of_template
from warpline.cli.main import main

__all__ = ["brains", "finished_run"]


def test_a_report_is_described(tmp_path, call, capsys):
    (tmp_path / "report.json").write_text(json.dumps(report_of()))
    text = call("cite", f"{tmp_path}/report.json")["methods"]
    assert "was registered to `fixed.nii.gz` with warpline 0.1.0" in text
    assert main(["cite", f"{tmp_path}/report.json"]) == 0
    assert capsys.readouterr().out == text


def test_time_points_are_described(tmp_path, call):
    (tmp_path / "report.json").write_text(json.dumps(report_of_points()))
    assert "carried to a middle" in call("cite", f"{tmp_path}/report.json")["methods"]


def test_a_series_is_described(tmp_path, call):
    (tmp_path / "report.json").write_text(json.dumps(report_of_series()))
    assert "Motion in the series `bold.nii.gz`" in call("cite", f"{tmp_path}/report.json")["methods"]


def test_labels_are_described(tmp_path, call):
    (tmp_path / "report.json").write_text(json.dumps(report_of_labels()))
    assert "The image `t1.nii.gz` was labelled" in call("cite", f"{tmp_path}/report.json")["methods"]


def test_a_template_is_described_by_its_folder(tmp_path, call):
    (tmp_path / "template.json").write_text(json.dumps(report_of_template()))
    assert "A template of 3 subjects" in call("cite", str(tmp_path))["methods"]


def test_a_cohort_is_described_as_its_run_did(finished_run, call):
    assert call("cite", str(finished_run))["methods"] == (finished_run / "CITATION.md").read_text()


def test_what_is_no_report_is_named(tmp_path, refused):
    (tmp_path / "other.json").write_text("{}")
    assert f"{tmp_path}/other.json: the report has no 'recipe'" in refused(5, "cite", f"{tmp_path}/other.json")
    assert "does not exist; give report.json" in refused(5, "cite", f"{tmp_path}/none.json")
    assert "no cohort was run there" in refused(5, "cite", str(tmp_path))
