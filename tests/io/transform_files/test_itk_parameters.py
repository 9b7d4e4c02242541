"""ITK's linear classes in its three containers: points as SimpleITK maps them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from made_transforms import LPS
from warpline.errors import InputError
from warpline.io.transform_files import identify, read_transform
from warpline.space import Affine, Chain

POINTS = np.random.default_rng(1).uniform(-90, 90, (20, 3))
CENTRE = (12.5, -40.0, 7.0)
VERSOR = (0.1, -0.2, 0.15, np.sqrt(0.9275))
SHIFT = (4.0, -5.0, 6.5)
CONTAINERS = ("mat", "tfm", "txt", "h5")


def general(kind, size, dimension=3):
    rng = np.random.default_rng(3)
    transform = getattr(SimpleITK, kind)(dimension)
    matrix = np.eye(dimension) + rng.normal(scale=0.2, size=(dimension, dimension))
    transform.SetParameters([*matrix.ravel().tolist(), *rng.normal(scale=20, size=size).tolist()])
    return transform


def euler(order_zyx):
    transform = SimpleITK.Euler3DTransform(CENTRE, 0.3, -0.4, 0.2, SHIFT)
    transform.SetComputeZYX(order_zyx)
    return transform


CLASSES = {
    "Affine": lambda: general("AffineTransform", 3),
    "Euler": lambda: euler(False),
    "EulerZYX": lambda: euler(True),
    "Versor": lambda: SimpleITK.VersorTransform(VERSOR, CENTRE),
    "VersorRigid": lambda: SimpleITK.VersorRigid3DTransform(VERSOR, SHIFT, CENTRE),
    "Similarity": lambda: SimpleITK.Similarity3DTransform(1.2, VERSOR, SHIFT, CENTRE),
    "ScaleVersor": lambda: SimpleITK.ScaleVersor3DTransform((1.1, 0.9, 1.3), VERSOR, SHIFT, CENTRE),
    "Scale": lambda: SimpleITK.ScaleTransform(3, (1.1, 0.9, 1.3)),
    "Translation": lambda: SimpleITK.TranslationTransform(3, SHIFT),
}
FLAT = {
    "Affine2D": lambda: general("AffineTransform", 2, 2),
    "Euler2D": lambda: SimpleITK.Euler2DTransform(CENTRE[:2], 0.4, SHIFT[:2]),
    "Similarity2D": lambda: SimpleITK.Similarity2DTransform(1.2, 0.4, SHIFT[:2], CENTRE[:2]),
    "Translation2D": lambda: SimpleITK.TranslationTransform(2, SHIFT[:2]),
}


def with_centre(transform):
    if hasattr(transform, "SetCenter"):
        transform.SetCenter(CENTRE[: transform.GetDimension()])
    return transform


def mapped(transform, points):
    dimension = transform.GetDimension()
    flat = points.copy()
    inside = [transform.TransformPoint(point) for point in (points * LPS)[:, :dimension].tolist()]
    flat[:, :dimension] = np.array(inside) * LPS[:dimension]
    return flat


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", [*CLASSES, *FLAT])
def test_points_go_where_itk_takes_them(tmp_path, name, container):
    theirs = with_centre({**CLASSES, **FLAT}[name]())
    path = tmp_path / f"t.{container}"
    SimpleITK.WriteTransform(theirs, str(path))
    ours = read_transform(path)
    assert isinstance(ours, Affine)
    np.testing.assert_allclose(ours.map_points(POINTS), mapped(theirs, POINTS), atol=1e-10)
    assert np.abs(mapped(theirs, POINTS) - POINTS).max() > 1


@pytest.mark.parametrize("container", ["tfm", "txt", "h5"])
def test_the_last_part_of_a_composite_comes_first(tmp_path, container):
    theirs = SimpleITK.CompositeTransform([with_centre(CLASSES[name]()) for name in ("Affine", "Euler", "Translation")])
    path = tmp_path / f"t.{container}"
    SimpleITK.WriteTransform(theirs, str(path))
    ours = read_transform(path)
    assert isinstance(ours, Chain) and len(ours.parts) == 3
    np.testing.assert_array_equal(ours.parts[0].matrix[:3, 3], SHIFT * LPS)
    np.testing.assert_allclose(ours.map_points(POINTS), mapped(theirs, POINTS), atol=1e-10)
    assert len(identify(path).parts) == 3


def test_a_composite_in_matlab_form_is_refused(tmp_path):
    SimpleITK.WriteTransform(
        SimpleITK.CompositeTransform([CLASSES["Euler"](), CLASSES["Affine"]()]), str(tmp_path / "t.mat")
    )
    with pytest.raises(InputError, match=r"t\.mat holds a CompositeTransform_double_3_3, whose parts ITK does not"):
        read_transform(tmp_path / "t.mat")
