"""Names of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from warpline.errors import UsageError
from warpline.longitudinal.output_files import Outputs, check_outputs


def test_consecutive_points_have_files_and_others_none():
    outputs = Outputs.of(Path("out"), ["a", "b", "c"], dated=True)
    assert {"a_to_b", "b_to_a", "b_to_c_per_year", "c_velocity"} <= outputs.paths.keys()
    assert "a_to_c" not in outputs.paths
    assert list(outputs.paths)[-1] == "report"
    assert outputs.paths["a_to_b_log_jacobian"] == Path("out/a_to_b_LogJacobian.nii.gz")
    assert "a_to_b_per_year" not in Outputs.of(Path("out"), ["a", "b"], dated=False).paths


def test_outputs_do_not_replace_inputs(tmp_path):
    outputs = Outputs.of(tmp_path, ["a", "b"], dated=False)
    with pytest.raises(UsageError, match=r"Middle\.nii\.gz"):
        check_outputs(outputs, [tmp_path / "Middle.nii.gz"])
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match="give a folder"):
        check_outputs(Outputs.of(file, ["a", "b"], dated=False), [])
