"""From the grid of the result to the reference."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from made_series import grid, rigid
from warpline.backends import select
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.transform_files import write_transform
from warpline.resampling import warp
from warpline.series.onward import Destination, find_way, move_volumes, read_route
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid

NUMPY = select("numpy")
TARGET = Grid((12, 14, 10), np.array([[5.0, 0, 0, -25], [0, 5, 0, -40], [0, 0, 5, -10], [0, 0, 0, 1]]))


def way_to(destination, reference):
    route = read_route(destination, reference.grid, backend=NUMPY, geometry=None)
    return find_way(route, reference, backend=NUMPY, threads=1)


@pytest.fixture
def reference(made):
    return Image(made.data[..., 0], made.grid)


def test_without_a_destination_the_grid_is_that_of_the_series(reference):
    way = way_to(Destination(), reference)
    assert way.grid == reference.grid
    np.testing.assert_array_equal(way.pullback.matrix, np.eye(4))


def test_spacing_alone_changes_the_voxels(reference):
    assert way_to(Destination(spacing=6.0), reference).grid.voxel_size == pytest.approx(6)


def test_motion_and_transforms_are_one_interpolation(made, series, workers, reference, tmp_path):
    """The same as the whole chain in one: template to reference, then reference to volume."""
    field = np.random.default_rng(0).normal(0, 1, (3, *TARGET.shape)).astype(np.float32)
    chain = [Displacement(field, TARGET), Affine(rigid((2, -1, 3), (5, 0, -4)))]
    files = [str(tmp_path / name) for name in ("warp.nii.gz", "affine.mat")]
    for part, file in zip(chain, files, strict=True):
        write_transform(part, file)
    way = way_to(Destination(transforms=files, grid=TARGET), reference)
    volumes = list(move_volumes(series, made.matrices, way.pullback, workers))
    whole = Affine(made.matrices[2]) @ chain[1] @ chain[0]
    expected = warp(Image(made.data[..., 2], made.grid), whole, TARGET, order=3, backend=workers.backend)
    np.testing.assert_allclose(volumes[2], expected.data, atol=0.05)
    assert len(volumes) == series.count


def test_the_way_leads_through_the_anatomy(reference, monkeypatch):
    """Template to anatomy by a given transform, anatomy to reference by the registration, here a known one."""
    found, given = Affine(rigid((3, -2, 2), (4, 3, -2))), Affine(rigid((-1, 5, 0), (0, 2, 1)))
    report = {"judgement": {"outcome": "doubtful"}, "warnings": ["odd"], "seconds": {}}
    asked = []

    def register(*images, **_):
        asked.extend(images)
        return SimpleNamespace(alignment=SimpleNamespace(affine=found), report=report)

    monkeypatch.setattr("warpline.registration.register", register)
    where = grid((36, 40, 34), (2.0, 2.0, 2.0), np.eye(3))
    anatomy = Image(np.zeros(where.shape, np.float32), where)
    way = way_to(Destination(anatomy=anatomy, transforms=given, grid=where), reference)
    assert asked == [anatomy, reference, "rigid"]
    np.testing.assert_allclose(way.pullback.matrix, found.matrix @ given.matrix, atol=1e-12)
    assert (way.coregistration, way.warnings) == (found, ("reference to anatomy: odd",))
    assert way.report["anatomy"]["judgement"] == "doubtful"
    thinned = way_to(Destination(anatomy=anatomy), reference).grid
    assert thinned.voxel_size == pytest.approx(float(np.prod(reference.grid.voxel_size) ** (1 / 3)))


def test_transforms_need_a_grid(reference):
    with pytest.raises(UsageError, match="--grid"):
        way_to(Destination(transforms=Affine.identity()), reference)


def test_unknown_interpolations_are_refused(series, workers, reference):
    way = way_to(Destination(), reference)
    with pytest.raises(UsageError, match="sinc"):
        move_volumes(series, np.stack([np.eye(4)] * 6), way.pullback, workers, interpolation="sinc")
