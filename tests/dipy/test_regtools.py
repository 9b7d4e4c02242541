"""Pictures against DIPY's own, pixel by pixel."""

from __future__ import annotations

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from warpline import dipy as ours
from warpline.dipy import regtools
from warpline.errors import InputError, UsageError

matplotlib.use("Agg")
theirs = pytest.importorskip("dipy.viz.regtools")
from matplotlib import pyplot  # noqa: E402 - after the choice of its backend


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    pyplot.close("all")


def volume(seed, shape=(9, 8, 7)):
    return np.random.default_rng(seed).normal(size=shape) * 30 + 7


def assert_same_figure(mine, real):
    assert len(mine.axes) == len(real.axes)
    for a, b in zip(mine.axes, real.axes, strict=True):
        assert a.get_title() == b.get_title()
        np.testing.assert_array_equal(a.images[0].get_array(), b.images[0].get_array())
        assert a.images[0].origin == b.images[0].origin


@pytest.mark.parametrize("slice_type", [0, 1, 2])
@pytest.mark.parametrize("index", [None, 2])
def test_overlay_slices_as_dipy(slice_type, index):
    how = {"slice_index": index, "slice_type": slice_type, "ltitle": "a", "rtitle": "b"}
    pair = volume(0), volume(1)
    assert_same_figure(regtools.overlay_slices(*pair, **how), theirs.overlay_slices(*pair, **how))


def test_other_pictures_as_dipy():
    first, second = volume(0, (9, 8)), volume(1, (9, 8))
    assert_same_figure(
        regtools.overlay_images(first, second, "a", "b", "c"),
        theirs.overlay_images(first, second, title0="a", title_mid="b", title1="c"),
    )
    for indices in (None, (1, 2, 3)):
        assert_same_figure(
            regtools.plot_slices(volume(2), indices), theirs.plot_slices(volume(2), slice_indices=indices)
        )
    np.testing.assert_array_equal(regtools.draw_lattice_2d(3, 2, 4), theirs.draw_lattice_2d(3, 2, 4))


@pytest.mark.parametrize("is_inverse", [False, True])
def test_lattices_as_dipy(is_inverse, tmp_path):
    from dipy.align.imwarp import DiffeomorphicMap

    shapes = {"disp_shape": (30, 26), "domain_shape": (28, 32), "codomain_shape": (30, 26)}
    field = np.random.default_rng(0).uniform(-1, 1, (30, 26, 2)).astype(np.float32)
    lattices = []
    for kind, module in ((ours.DiffeomorphicMap, regtools), (DiffeomorphicMap, theirs)):
        mapping = kind(2, domain_grid2world=np.diag([1.1, 0.9, 1]), **shapes)
        mapping.forward, mapping.backward, mapping.is_inverse = field, -field, is_inverse
        file = tmp_path / f"{kind.__module__}.png"
        lattices.append(module.plot_2d_diffeomorphic_map(mapping, delta=4, fname=str(file)))
        assert file.stat().st_size > 1000
        lattices[-1] += module.plot_2d_diffeomorphic_map(
            mapping,
            delta=5,
            direct_grid_shape=np.int32([20, 20]),
            inverse_grid_shape=np.int32([21, 19]),
            show_figure=False,
        )
    for mine, real in zip(*lattices, strict=True):
        np.testing.assert_allclose(mine, real, atol=1e-3)


def test_none_is_the_identity_grid():
    mapping = ours.DiffeomorphicMap(2, (12, 12), domain_grid2world=np.diag([2.0, 2.0, 1.0]), codomain_shape=(12, 12))
    mapping.allocate()
    forward, _ = regtools.plot_2d_diffeomorphic_map(mapping, 3, None, (12, 12), None, None, None, show_figure=False)
    np.testing.assert_array_equal(forward, regtools.draw_lattice_2d(3, 3, 3)[:12, :12])


def test_pictures_are_saved_with_positional_arguments(tmp_path):
    regtools.overlay_slices(volume(0), volume(1), None, 1, "Static", "Moving", tmp_path / "a.png", dpi=40)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_calls_are_refused():
    with pytest.raises(UsageError, match="slice_type is 3"):
        regtools.overlay_slices(volume(0), volume(1), slice_type=3)
    with pytest.raises(InputError, match="resample one onto the grid"):
        regtools.overlay_images(np.zeros((3, 3)), np.zeros((3, 4)))


def test_a_constant_image_is_drawn():
    figure = regtools.overlay_images(np.ones((3, 3)), np.ones((3, 3)))
    assert not figure.axes[1].images[0].get_array().any()


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    volume = np.arange(27.0).reshape(3, 3, 3)
    with pytest.raises(UsageError, match=r'not installed; pip install "warpline\[plots\]"'):
        regtools.overlay_slices(volume, volume)


def test_matplotlib_is_not_imported_before_a_picture():
    code = "import sys, warpline.dipy; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
