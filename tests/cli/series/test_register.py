"""``warpline series register``."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from made_series import made_series
from warpline.cli.main import main
from warpline.cli.series import register
from warpline.io.series_files import TYPES
from warpline.resampling import SPLINES
from warpline.series.freedoms import FREEDOMS
from warpline.space import Affine

NUMPY = ("--backend", "numpy", "--threads", "1", "--reference", "first")


@pytest.fixture(scope="module")
def made():
    return made_series(4)


@pytest.fixture
def bold(made, tmp_path):
    nibabel.save(nibabel.Nifti1Image(made.data, made.grid.affine), tmp_path / "bold.nii")
    return str(tmp_path / "bold.nii")


def test_choices_are_those_of_the_rooms_below():
    assert set(register.MODELS) == set(FREEDOMS)
    assert set(register.INTERPOLATIONS) == set(SPLINES)
    assert register.TYPES == TYPES


def test_result_is_the_report(bold, tmp_path, capsys):
    assert main(["series", "register", bold, "-o", f"{tmp_path}/out/", "--json", *NUMPY]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["outputs"]["motion"] == f"{tmp_path}/out/motion.tsv"
    assert json.loads((tmp_path / "out" / "report.json").read_text())["motion"] == record["motion"]


def test_summary_names_volumes_and_files(bold, tmp_path, capsys):
    assert main(["series", "register", bold, "-o", f"{tmp_path}/out/", *NUMPY]) == 0
    captured = capsys.readouterr()
    assert "moved by more than 0.5 mm since the one before: 1, 2, 3" in captured.out
    assert "Moved.nii.gz" in captured.out
    assert "fit: 4 of 4 volumes" in captured.err


def test_diffusion_writes_turned_directions(bold, tmp_path):
    np.savetxt(tmp_path / "bval", np.zeros((1, 4)))
    np.savetxt(tmp_path / "bvec", np.tile([[0], [0], [1.0]], 4))
    tables = ("--bval", str(tmp_path / "bval"), "--bvec", str(tmp_path / "bvec"))
    assert main(["series", "register", bold, "-o", f"{tmp_path}/out/", *tables, *NUMPY]) == 0
    turned = np.loadtxt(tmp_path / "out" / "rotated.bvec")
    np.testing.assert_allclose(turned[:, 0], [0, 0, 1], atol=1e-3)
    assert 0.9 < turned[2, 1] < 1


def test_volumes_that_cannot_be_aligned_are_in_the_exit_code(made, tmp_path, capsys):
    data = made.data.copy()
    data[..., 2] = np.random.default_rng(0).normal(0, 1, made.grid.shape)
    nibabel.save(nibabel.Nifti1Image(data, made.grid.affine), tmp_path / "bold.nii")
    code = main(["series", "register", str(tmp_path / "bold.nii"), "-o", f"{tmp_path}/out/", *NUMPY])
    assert code == register.FAILED
    assert "cannot be aligned, and are moved as their neighbours: 2" in capsys.readouterr().out


@pytest.mark.parametrize("outcome", ["failed", "doubtful"])
def test_a_failed_join_is_in_the_exit_code(bold, tmp_path, monkeypatch, outcome):
    monkeypatch.setattr(
        "warpline.series.onward._coregister", lambda *_: (Affine.identity(), {"name": "t1", "judgement": outcome}, [])
    )
    anatomy = ("--anatomy", str(tmp_path / "t1.nii"))
    nibabel.save(nibabel.load(bold).slicer[..., 0], anatomy[1])
    code = main(["series", "register", bold, "-o", f"{tmp_path}/out/", *anatomy, *NUMPY])
    assert code == (register.FAILED if outcome == "failed" else 0)


def test_wrong_input_leaves_nothing(bold, tmp_path, capsys):
    assert main(["series", "register", bold, "-o", f"{tmp_path}/out/", "--bvec", "x.bvec", *NUMPY]) == 2
    assert main(["series", "register", f"{tmp_path}/no.nii", "-o", f"{tmp_path}/out/", *NUMPY]) == 5
    assert "no.nii does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
