"""What is compared with and without a GPU, tables, memory, and fields that hold a whole map."""

from __future__ import annotations

import sys

import nibabel as nib
import numpy as np
import pytest

import compare
import mappings
import scoring
import tables
from memory import peak_of
from peers import ON_CPU, ON_GPU, TOOLS
from warpline import write_transform
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid, apply_affine


def test_the_tools_follow_the_flag_and_can_be_named():
    assert compare.parse_arguments([]).tools == list(ON_CPU)
    assert compare.parse_arguments(["--gpu"]).tools == list(ON_GPU)
    assert compare.parse_arguments(["--gpu"]).out.name == "compare-gpu.json"
    assert compare.parse_arguments(["--gpu", "--tools", "dipy,warpline"]).tools == ["dipy", "warpline"]
    assert set(ON_CPU) | set(ON_GPU) == set(TOOLS)


def test_an_unknown_tool_is_refused_with_the_choices(capsys):
    with pytest.raises(SystemExit):
        compare.parse_arguments(["--tools", "warpline,abacus"])
    assert "abacus unknown; choose from greedy" in capsys.readouterr().err


def test_a_tool_may_have_a_python_of_its_own(monkeypatch):
    monkeypatch.delenv("FIREANTS_PYTHON", raising=False)
    assert TOOLS["fireants-syn"].python() == sys.executable
    monkeypatch.setenv("FIREANTS_PYTHON", "/opt/other/bin/python")
    assert TOOLS["fireants-syn"].python() == "/opt/other/bin/python"
    assert TOOLS["warpline"].python() == sys.executable


def row(**stages):
    cost = {"contended": False, "wall_s": 2.0, "device_bytes": stages.pop("device", None)}
    return {"tool": "t", "version": "1", "pair": "01,02", "cost": cost, "stages": stages, "scores": {"dice": 0.5}}


def test_columns_without_a_value_are_left_out():
    assert [column.heading for column in tables.columns([row(affine=1.0)])] == ["Dice", "affine s", "wall s"]
    shown = tables.by_tool([row(first=3.0, device=2**30)])
    assert "| first run s | wall s | GPU GiB |" in shown.splitlines()[0]
    assert "| 3.00 | 2.0 | 1.00 |" in shown


def test_labels_without_cortex_have_no_cortical_score():
    labels = np.array([0, 1, 1, 2])
    assert scoring.mean_dice(labels, labels, labels) == {"dice": 1.0, "dice_subcortical": 1.0}


def test_the_peak_is_the_most_seen_and_growth_is_from_before():
    readings = iter([100, 900])
    with peak_of(lambda: next(readings, 300)) as peak:
        pass
    assert (peak.before, peak.highest, peak.grown) == (100, 900, 800)


def test_a_field_of_the_whole_map_is_split_into_its_two_parts(tmp_path):
    grid_affine = np.array([[-1.1, 0, 0, 9], [0, 1.2, 0.1, -8], [0, -0.1, 0.9, 4], [0, 0, 0, 1]])
    image = nib.Nifti1Image(np.zeros((7, 6, 5), np.float32), grid_affine)
    nib.save(image, tmp_path / "fixed.nii.gz")
    matrix = np.array([[1.1, 0.1, 0, 3], [-0.1, 0.9, 0.05, -2], [0, 0.02, 1.05, 1], [0, 0, 0, 1]])
    whole = np.random.default_rng(0).normal(size=(3, 7, 6, 5)).astype(np.float32)
    write_transform(Affine(matrix), tmp_path / "affine.mat")
    write_transform(Displacement(whole, Grid((7, 6, 5), grid_affine)), tmp_path / "warp.nii.gz")
    files = (str(tmp_path / name) for name in ("fixed.nii.gz", "affine.mat", "warp.nii.gz"))
    mapping = mappings.whole_map_mapping(*files)
    world = apply_affine(grid_affine, np.moveaxis(np.indices((7, 6, 5)), 0, -1))
    mapped = apply_affine(mapping.affine, world + mapping.displacement)
    np.testing.assert_allclose(mapped, world + np.moveaxis(whole, 0, -1), atol=1e-4)
    assert mapping.inverse is None
