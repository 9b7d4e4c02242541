"""ITK's B-spline transforms, put on a dense grid."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import SimpleITK

from itk_peers import inside, made_spline, mapped, through
from warpline.io.transform_files import itk_splines, read_transform
from warpline.space import Displacement


@pytest.mark.parametrize("container", ["mat", "tfm", "txt", "h5"])
@pytest.mark.parametrize(("dimension", "order"), [(3, 3), (3, 2), (3, 1), (2, 3)])
def test_splines_keep_to_their_tolerance(tmp_path, dimension, order, container):
    theirs, path, points = made_spline(dimension, order, 0.5), tmp_path / f"t.{container}", inside(dimension)
    SimpleITK.WriteTransform(theirs, str(path))
    ours = read_transform(path)
    assert isinstance(ours, Displacement) and ours.flat == (dimension == 2)
    np.testing.assert_allclose(through(ours, points), mapped(theirs, points), atol=40 * itk_splines.TOLERANCE)
    assert np.abs(mapped(theirs, points) - points).max() > 0.4
    beyond = np.full((1, dimension), 400.0)
    np.testing.assert_array_equal(through(ours, beyond), mapped(theirs, beyond))


def test_sharp_splines_say_how_far_the_field_misses_them(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(itk_splines, "MOST_SAMPLES", 2**14)
    theirs, points = made_spline(3, 3, 6.0), inside(3)
    SimpleITK.WriteTransform(theirs, str(tmp_path / "t.h5"))
    with caplog.at_level(logging.WARNING, "warpline"):
        ours = read_transform(tmp_path / "t.h5")
    missed = float(caplog.messages[0].split("read to ")[1].split(" mm")[0])
    assert np.abs(through(ours, points) - mapped(theirs, points)).max() < missed < 1
    assert ours.field[0].size <= 2**14


def test_extreme_splines_are_sampled_within_bounds(tmp_path, caplog):
    parameters = np.zeros(648)
    parameters[300] = 1e13
    fixed = "6 6 6 0 0 0 1 1 1 1 0 0 0 1 0 0 0 1"
    numbers = " ".join(map(str, parameters))
    text = f"Transform: BSplineTransform_double_3_3\nParameters: {numbers}\nFixedParameters: {fixed}\n"
    (tmp_path / "t.tfm").write_text(f"#Insight Transform File V1.0\n#Transform 0\n{text}")
    assert read_transform(tmp_path / "t.tfm").grid.shape == (97, 97, 97)
    assert "bends so sharply that it is read to" in caplog.text and "32 32 32" in caplog.text
