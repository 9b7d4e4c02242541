"""ITK's rarer classes, splines and fields, in each of its containers: points as SimpleITK maps them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from itk_peers import inside, made_field, made_spline, mapped, through
from warpline.errors import InputError
from warpline.io.transform_files import FORMATS, identify, itk_parts, read_transform
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
