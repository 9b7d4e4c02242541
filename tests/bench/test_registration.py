"""Cases of every size, comparisons bit for bit, and a whole small run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import cases
import registration
from warpline.backends import select
from warpline.recipe import Recipe
from warpline.registration.alignment import align

SETTINGS = ("initialise.rotations=false", "syn.iterations=[3,2,1]", "linear.iterations=[3,2,1]", "linear.refinements=0")


@pytest.mark.parametrize(
    ("size", "shape"), [("2", (96, 112, 96)), ("0.7", (275, 320, 275)), ("0.5", (384, 448, 384)), ("512^3", (512,) * 3)]
)
def test_a_size_is_a_voxel_size_or_a_number_of_voxels(size, shape):
    assert cases.shape_of(size) == shape


def test_a_phantom_of_another_shape_covers_the_same_box():
    backend = select("numba", 2)
    drawn, refined = cases.phantom("8", backend), cases.phantom("32^3", backend)
    assert refined.fixed.grid.shape == (32, 32, 32)
    for image in (refined.fixed_labels, refined.moving_labels):
        assert image.data.dtype == np.uint8
    extent = refined.fixed.grid.shape * refined.fixed.grid.voxel_size
    assert extent == pytest.approx([192, 228, 192], rel=0.02)
    assert set(np.unique(refined.fixed_labels.data)) <= set(np.unique(cases._drawn(6.0).fixed_labels.data))
    assert drawn.fixed.grid.shape == (24, 28, 24)


@pytest.fixture(scope="module")
def found():
    case = cases.phantom("8", select("numba", 2))
    recipe = Recipe.load("syn").with_options(*SETTINGS)
    return align(case.fixed, case.moving, recipe, backend=select("numba", 2))


def test_one_bit_of_difference_is_seen(found):
    assert registration.identical(found, replace(found))
    field = found.warp.inverse_field.copy()
    field[0, 3, 4, 5] = np.nextafter(field[0, 3, 4, 5], np.float32(np.inf))
    assert not registration.identical(found, replace(found, warp=replace(found.warp, inverse_field=field)))
    assert not registration.identical(found, replace(found, warp=None))


def test_a_run_measures_cases_and_a_failure_is_a_row(tmp_path, monkeypatch, capsys):
    out = tmp_path / "registration.json"
    options = ["--backend", "numba", "--sizes", "8", "--repeats", "1", "--at-once", "2", "--at-once-size", "8"]
    settings = [text for setting in SETTINGS for text in ("--set", setting)]
    monkeypatch.setattr("sys.argv", ["registration.py", *options, *settings, "--json", str(out)])
    registration.main()
    document = json.loads(out.read_text())
    (row,) = document["cases"]
    assert row["same_bits"] is True
    assert row["dice"] > row["dice_before"]
    assert set(row["stages"]) == set(registration.STAGES)
    assert row["files"]["wall_s"] > 0
    assert [level["shape"] for level in row["levels"] if level["stage"] == "syn"][-1] == [24, 28, 24]
    assert document["at_once"][0]["same_bits"] is True
    assert "phantom 8 mm" in capsys.readouterr().out


def test_a_case_that_fails_says_why_and_the_others_go_on(monkeypatch, capsys):
    def fail(*_, **__):
        raise MemoryError("no room for 3 bytes")

    monkeypatch.setattr(registration, "align", fail)
    arguments = ["--backend", "numba", "--sizes", "8", "32^3", "--at-once"]
    document = registration.run(registration.parse_arguments(arguments))
    assert [row["error"] for row in document["cases"]] == ["MemoryError: no room for 3 bytes"] * 2
    assert "no room for 3 bytes" in registration.page(document)


def test_what_was_measured_stays_when_the_files_fail(monkeypatch):
    monkeypatch.setattr(registration, "from_files", lambda *_: 1 / 0)
    arguments = ["--backend", "numba", "--sizes", "12", "--repeats", "0", "--at-once"]
    settings = [text for setting in SETTINGS for text in ("--set", setting)]
    document = registration.run(registration.parse_arguments([*arguments, *settings]))
    (row,) = document["cases"]
    assert row["first_s"] > 0
    assert "files" not in row
    assert row["error"] == "ZeroDivisionError: division by zero"
    assert "division by zero" in registration.page(document)


def test_a_case_that_cannot_be_made_is_a_row_too(monkeypatch, tmp_path):
    monkeypatch.setattr(registration, "measure_case", lambda case, *_: {"case": case.name, "voxels": np.inf})
    arguments = ["--backend", "numba", "--sizes", "tiny", "8", "--at-once"]
    document = registration.run(registration.parse_arguments([*arguments, "--data", str(tmp_path), "--pairs", "01,02"]))
    assert [row["case"] for row in document["cases"]] == ["phantom tiny", "phantom 8 mm", "brains 01,02"]
    assert ["error" in row for row in document["cases"]] == [True, False, True]
