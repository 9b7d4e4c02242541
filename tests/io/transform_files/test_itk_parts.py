"""ITK's rarer classes, splines and fields, in each of its containers: points as SimpleITK maps them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import SimpleITK

from made_transforms import LPS
from warpline.errors import InputError
from warpline.io.transform_files import FORMATS, identify, itk_parts, itk_splines, read_transform
from warpline.space import Affine, Chain, Displacement

CLASSES = {
    "ScaleSkewVersor3DTransform_double_3_3": 15,
    "ComposeScaleSkewVersor3DTransform_double_3_3": 12,
    "CenteredAffineTransform_double_3_3": 15,
    "CenteredEuler3DTransform_double_3_3": 9,
    "FixedCenterOfRotationAffineTransform_double_3_3": 12,
    "ScalableAffineTransform_double_3_3": 12,
    "ScaleLogarithmicTransform_double_3_3": 3,
    "QuaternionRigidTransform_double_3_3": 7,
    "CenteredRigid2DTransform_double_2_2": 5,
    "CenteredSimilarity2DTransform_double_2_2": 6,
    "CenteredAffineTransform_double_2_2": 8,
}
"""Name to number of parameters of classes that SimpleITK does not make, but maps points through."""

COMPOSITE = "#Insight Transform File V1.0\n#Transform 0\nTransform: CompositeTransform_double_{0}_{0}\n"
MESH = {2: (4, 5), 3: (4, 5, 3)}
TURN = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])


def mapped(theirs, points):
    """World RAS points (N, d) through a transform of SimpleITK."""
    flip = LPS[: points.shape[1]]
    return np.array([theirs.TransformPoint(point) for point in (points * flip).tolist()]) * flip


def through(ours, points):
    """World RAS points (N, 2 or 3) through a transform; of 2-D points the third coordinate must stay."""
    deep = np.column_stack([points, np.full((len(points), 3 - points.shape[1]), 7.5)])
    moved = ours.map_points(deep)
    assert points.shape[1] == 3 or (moved[:, 2] == 7.5).all()
    return moved[:, : points.shape[1]]


@pytest.mark.parametrize("name", CLASSES)
def test_rare_linear_classes(tmp_path, name):
    rng, dimension = np.random.default_rng(len(name)), int(name[-1])
    parameters = rng.uniform(0.2, 0.6, CLASSES[name])
    if name.startswith("Quaternion"):
        parameters[:4] /= np.linalg.norm(parameters[:4])
    numbers = [" ".join(map(repr, map(float, values))) for values in (parameters, rng.uniform(3, 9, 3))]
    text = f"#Transform 1\nTransform: {name}\nParameters: {numbers[0]}\nFixedParameters: {numbers[1]}\n"
    (tmp_path / "t.tfm").write_text(COMPOSITE.format(dimension) + text)
    ours, points = read_transform(tmp_path / "t.tfm"), rng.uniform(-50, 50, (10, dimension))
    assert isinstance(ours, Affine) and ours.flat == (dimension == 2)
    theirs = SimpleITK.ReadTransform(str(tmp_path / "t.tfm"))
    np.testing.assert_allclose(through(ours, points), mapped(theirs, points), atol=1e-10)


def made_spline(dimension, order, size):
    spline = SimpleITK.BSplineTransform(dimension, order)
    spline.SetTransformDomainOrigin((-80.0, -100, -50)[:dimension])
    spline.SetTransformDomainPhysicalDimensions((160.0, 200, 120)[:dimension])
    spline.SetTransformDomainDirection(TURN[:dimension, :dimension].ravel().tolist())
    spline.SetTransformDomainMeshSize(MESH[dimension])
    spline.SetParameters(np.random.default_rng(order).normal(0, size, len(spline.GetParameters())).tolist())
    return spline


def inside(dimension, count=200):
    """World RAS points within the domain of `made_spline`."""
    shares = np.random.default_rng(0).uniform(0.02, 0.98, (count, dimension)) * (160, 200, 120)[:dimension]
    lps = np.array((-80.0, -100, -50))[:dimension] + shares @ TURN[:dimension, :dimension].T
    return lps * LPS[:dimension]


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


def test_splines_that_bend_too_sharply_say_by_how_much_they_are_missed(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(itk_splines, "MOST_SAMPLES", 2**14)
    theirs, points = made_spline(3, 3, 6.0), inside(3)
    SimpleITK.WriteTransform(theirs, str(tmp_path / "t.h5"))
    with caplog.at_level(logging.WARNING, "warpline"):
        ours = read_transform(tmp_path / "t.h5")
    missed = float(caplog.messages[0].split("read to ")[1].split(" mm")[0])
    assert np.abs(through(ours, points) - mapped(theirs, points)).max() < missed < 1
    assert ours.field[0].size <= 2**14


def made_field(dimension):
    shape = (7, 6, 5)[:dimension]
    vectors = np.random.default_rng(0).normal(size=(*shape[::-1], dimension))
    image = SimpleITK.GetImageFromArray(vectors, isVector=True)
    image.SetSpacing((2.0, 3.0, 4.0)[:dimension])
    image.SetOrigin((4.0, -6.0, 9.0)[:dimension])
    image.SetDirection(TURN[:dimension, :dimension].ravel().tolist())
    return SimpleITK.DisplacementFieldTransform(image)


@pytest.mark.parametrize("container", ["mat", "tfm", "txt", "h5"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_fields(tmp_path, dimension, container):
    theirs, path = made_field(dimension), tmp_path / f"t.{container}"
    SimpleITK.WriteTransform(theirs, str(path))
    ours = read_transform(path)
    lps = np.array((4.0, -6, 9))[:dimension] + np.random.default_rng(1).uniform(0, 9, (30, dimension)) @ (
        TURN[:dimension, :dimension].T
    )
    points = lps * LPS[:dimension]
    np.testing.assert_allclose(through(ours, points), mapped(theirs, points), atol=1e-5)
    assert ours.flat == (dimension == 2) and np.abs(through(ours, points) - points).max() > 0.1


@pytest.mark.parametrize("container", ["tfm", "h5"])
def test_a_composite_of_all_kinds(tmp_path, container):
    parts = [made_field(3), SimpleITK.TranslationTransform(3, (1.0, 2, 3)), made_spline(3, 3, 0.5)]
    theirs = SimpleITK.CompositeTransform(parts)
    SimpleITK.WriteTransform(theirs, str(tmp_path / f"t.{container}"))
    ours, points = read_transform(tmp_path / f"t.{container}"), inside(3)
    assert isinstance(ours, Chain)
    assert [type(part) for part in ours.parts] == [Displacement, Affine, Displacement]
    np.testing.assert_allclose(through(ours, points), mapped(theirs, points), atol=0.01)


@pytest.mark.parametrize(
    "name", ["InverseDisplacementFieldTransform", "GaussianExponentialDiffeomorphicTransform", "x"]
)
def test_classes_that_are_not_known_are_refused(tmp_path, name):
    text = f"Transform: {name}_double_3_3\nParameters: 0 0 0\nFixedParameters: 1 1 1 0 0 0 1 1 1 1 0 0 0 1 0 0 0 1\n"
    (tmp_path / "t.tfm").write_text(f"#Insight Transform File V1.0\n#Transform 0\n{text}")
    with pytest.raises(InputError, match=f"holds a {name}_double_3_3.* these can be read, in 3-D: Affine.*BSpline"):
        read_transform(tmp_path / "t.tfm")


@pytest.mark.parametrize(
    ("name", "sizes", "count", "message"),
    [
        ("BSplineTransform_double_3_3", "3 6 6", 324, "splines of order 3 on .* more knots than that"),
        ("BSplineTransform_double_3_3_0", "6 6 6", 648, "splines of order 0 .* orders 1 to 5 can be read"),
        ("BSplineTransform_double_3_3", "6 6 6", 647, "647 numbers are no finite coefficients of 3 x"),
        ("BSplineTransform_double_3_3", "6 6 1e12", 648, "648 numbers are no finite coefficients of 3 x"),
        ("BSplineTransform_double_3_3", "6 6 nan", 648, "18 finite ones are needed"),
        ("DisplacementFieldTransform_double_3_3", "6 6 6", 648 - 3, "645 numbers are no field of 3 x"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(tmp_path, name, sizes, count, message):
    fixed = f"{sizes} 0 0 0 1 1 1 1 0 0 0 1 0 0 0 1"
    text = f"Transform: {name}\nParameters: {'0 ' * count}\nFixedParameters: {fixed}\n"
    (tmp_path / "t.tfm").write_text(f"#Insight Transform File V1.0\n#Transform 0\n{text}")
    with pytest.raises(InputError, match=message):
        read_transform(tmp_path / "t.tfm")


def test_what_can_be_read_is_described(tmp_path):
    SimpleITK.WriteTransform(made_field(2), str(tmp_path / "t.tfm"))
    assert identify(tmp_path / "t.tfm").format == "itk-text-2d"
    assert FORMATS["itk-text-2d"].flat and set(itk_parts.SPLINES) & set(itk_parts.FIELDS) == set()


def test_splines_that_bend_without_end_are_sampled_as_far_as_maps_make_sense(tmp_path, caplog):
    parameters = np.zeros(648)
    parameters[300] = 1e13
    fixed = "6 6 6 0 0 0 1 1 1 1 0 0 0 1 0 0 0 1"
    numbers = " ".join(map(str, parameters))
    text = f"Transform: BSplineTransform_double_3_3\nParameters: {numbers}\nFixedParameters: {fixed}\n"
    (tmp_path / "t.tfm").write_text(f"#Insight Transform File V1.0\n#Transform 0\n{text}")
    assert read_transform(tmp_path / "t.tfm").grid.shape == (97, 97, 97)
    assert "bends so sharply that it is read to" in caplog.text and "32 32 32" in caplog.text
