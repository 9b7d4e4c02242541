"""Transforms of SimpleITK, and points through them and through ours."""

from __future__ import annotations

import numpy as np
import SimpleITK

from made_transforms import LPS

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


def made_field(dimension):
    shape = (7, 6, 5)[:dimension]
    vectors = np.random.default_rng(0).normal(size=(*shape[::-1], dimension))
    image = SimpleITK.GetImageFromArray(vectors, isVector=True)
    image.SetSpacing((2.0, 3.0, 4.0)[:dimension])
    image.SetOrigin((4.0, -6.0, 9.0)[:dimension])
    image.SetDirection(TURN[:dimension, :dimension].ravel().tolist())
    return SimpleITK.DisplacementFieldTransform(image)


def seen_by_itk(path):
    """ITK's voxel-to-world matrix in RAS+ mm, None where it refuses the file."""
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError:
        return None
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    return np.diag((-1, -1, 1, 1)) @ lps
