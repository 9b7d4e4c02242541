"""The scripts in examples/ do what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from scipy import ndimage

from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.phantom import brain_pair
from warpline.resampling import resample
from warpline.space.grid import Grid, apply_affine

matplotlib.use("Agg")
FOLDER = Path(__file__).resolve().parents[1] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STRUCTURAL = Grid((40, 44, 36), np.array([[2.0, 0, 0, -39], [0, 2, 0, -43], [0, 0, 2, -35], [0, 0, 0, 1]]))
BOLD = Grid((30, 26, 24), np.array([[-3.0, 0.2, 0, 44], [0.2, 3, 0.1, -37], [0, -0.1, 3, -34], [0, 0, 0, 1]]))
SHIFT = np.array([4.0, -6.0, 8.0])


def blob(points):
    """A smooth brain-like intensity at world points (..., 3)."""
    return 1000 * np.exp(-((points / (18, 22, 16)) ** 2).sum(axis=-1)) * (1.5 + np.sin(points / 7).sum(axis=-1) / 3)


def at_world(grid, shift=0.0):
    points = apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    return blob(points - shift)


@pytest.fixture
def pair():
    """A structural image, and a series of five volumes whose header places the same brain shifted in the world."""
    noise = np.random.default_rng(0).normal(scale=10, size=(*BOLD.shape, 5))
    series = (at_world(BOLD)[..., None] + noise).astype(np.int16)
    shifted = BOLD.affine.copy()
    shifted[:3, 3] += SHIFT
    return Image(at_world(STRUCTURAL).astype(np.float32), STRUCTURAL), Image(series, Grid(BOLD.shape, shifted))


def test_both_ways_of_resampling_bold_agree(pair, numpy_backend):
    lesson = example("resample_bold")
    structural, bold = pair
    mean = lesson.mean_volume(bold)
    np.testing.assert_allclose(mean.data, bold.data.astype(float).mean(axis=3))
    long_way, short_way = lesson.by_coordinates(mean, structural), lesson.by_matrix(mean, structural)
    np.testing.assert_allclose(long_way, short_way, atol=1e-8)

    to_bold = np.linalg.inv(bold.affine) @ structural.affine
    expected = ndimage.affine_transform(
        mean.data, to_bold[:3, :3], to_bold[:3, 3], output_shape=structural.grid.shape, order=1
    )
    np.testing.assert_allclose(short_way, expected, atol=1e-8)

    inside = expected != 0
    in_one_call = resample(mean, like=structural, backend=numpy_backend)
    assert in_one_call.grid is structural.grid
    np.testing.assert_allclose(in_one_call.data[inside], expected[inside], rtol=1e-4, atol=0.02)


def test_the_bold_brain_lands_where_its_header_says(pair):
    lesson = example("resample_bold")
    structural, bold = pair
    landed = lesson.by_matrix(lesson.mean_volume(bold), structural)
    truth = at_world(STRUCTURAL, SHIFT)
    inside = landed != 0
    assert inside.mean() > 0.4
    assert np.corrcoef(landed[inside], truth[inside])[0, 1] > 0.995
    assert np.corrcoef(landed[inside], structural.data[inside])[0, 1] < 0.9


def test_the_lesson_runs_on_files(pair, tmp_path, capsys):
    names = [str(tmp_path / f"{name}.nii.gz") for name in ("structural", "bold", "result")]
    for image, name in zip(pair, names[:2], strict=True):
        write_image(image, name)
    example("resample_bold").main(names)
    assert "two ways differ by at most" in capsys.readouterr().out
    assert read_image(names[2]).grid == STRUCTURAL


def test_the_lesson_makes_a_pair_up():
    structural, bold = example("resample_bold").made_up_pair()
    assert bold.data.ndim == 4 and bold.grid != structural.grid and bold.data.std() > 0.1


def test_the_tutorial_runs_on_files(tmp_path, capsys):
    pair = brain_pair((40, 44, 40), voxel_size=4.5)
    names = [str(tmp_path / name) for name in ("static.nii.gz", "moving.nii.gz")]
    for image, name in zip((pair.fixed, pair.moving), names, strict=True):
        write_image(image, name)
    example("dipy_tutorial").main([*names, str(tmp_path / "out")])
    lines = capsys.readouterr().out.splitlines()
    before, after = (float(line.split()[-1]) for line in lines if line.startswith("correlation"))
    assert after > before + 0.01
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made >= {"input_3d.png", "warped_moving.png", "warped_static.png", "mapping.nii.gz", "warped_moving.nii.gz"}


def test_the_pages_of_a_cohort_are_built(tmp_path, monkeypatch):
    pages = example("cohort_pages")
    monkeypatch.setattr(pages, "SUBJECTS", 2)
    monkeypatch.setattr(pages, "VOXEL_SIZE", 8.0)
    assert pages.main([str(tmp_path / "cohort"), str(tmp_path / "no data")]) == 0
    assert (tmp_path / "cohort" / "report" / "index.html").exists()
    assert len(list((tmp_path / "cohort" / "report" / "pairs").glob("*.html"))) == 1
