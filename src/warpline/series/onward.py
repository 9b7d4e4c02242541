"""From the grid of the result to the reference of the series: other transforms, the anatomy, another grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from warpline.backends import Backend
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.images import Source
from warpline.io.series_files import Floats, Series
from warpline.io.transform_lists import Entries, as_entries
from warpline.operations import GridLike, grid_of, read, read_chain
from warpline.resampling import SPLINES, Pullback, pull_back
from warpline.resampling.warping import with_voxel_size
from warpline.series.concurrency import Workers
from warpline.space import Affine, Chain
from warpline.space.grid import Grid, Matrix


@dataclass(frozen=True)
class Destination:
    """Where a series is moved to, beyond its own reference.

    Parameters
    ----------
    anatomy : path, nibabel image, Image, array or (array, affine), optional
        Image of the same subject that the reference is registered to, rigidly, across contrasts.
    transforms : transform, path or a sequence of them
        Further transforms, as for `warpline.apply`: points of the destination go through them, to the anatomy, or
        without one to the reference.
    grid : Grid, or like `anatomy`, optional
        Grid of the result.
    spacing : float, optional
        Voxel size of the result in mm.

    Examples
    --------
    >>> from warpline.series import Destination
    >>> Destination(anatomy="sub-01_T1w.nii.gz", spacing=2.0).transforms
    ()
    """

    anatomy: Source | None = None
    transforms: Entries = ()
    grid: GridLike | None = None
    spacing: float | None = None


@dataclass(frozen=True, eq=False)
class Onward:
    """The way from the grid of the result to the reference.

    Parameters
    ----------
    chain : Chain
        World of the result to world of the reference.
    pullback : Pullback
        The same at every voxel of the result.
    coregistration : Affine, optional
        World of the anatomy to world of the reference, where it was registered.
    report : dict
        What the report says about it.
    warnings : tuple of str
        Reasons to doubt the coregistration, and guesses.
    """

    chain: Chain
    pullback: Pullback
    coregistration: Affine | None = None
    report: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def grid(self) -> Grid:
        """Of the result."""
        return self.pullback.grid


@dataclass(frozen=True, eq=False)
class Route:
    """A destination whose files are read.

    Parameters
    ----------
    anatomy : Image, optional
        What the reference is to be registered to.
    further : Chain
        World of the result to world of the anatomy, or without one of the reference.
    grid : Grid
        Of the result.
    names : list of str
        Of the transforms.
    """

    anatomy: Image | None
    further: Chain
    grid: Grid
    names: list[str]


def read_route(destination: Destination, own: Grid, *, backend: Backend, geometry: str | None) -> Route:
    """Read what a destination names, before anything is computed.

    Parameters
    ----------
    destination : Destination
        Where to.
    own : Grid
        Of the reference.
    backend, geometry
        As for `warpline.register`.

    Raises
    ------
    UsageError
        When the grid of the destination is not known.
    InputError
        When a file cannot be used.
    """
    anatomy = None if destination.anatomy is None else read(destination.anatomy, "anatomy", geometry)
    grid = _grid(destination, own, anatomy, geometry)
    place = own if anatomy is None else anatomy.grid
    further = read_chain(destination.transforms, fixed=grid, moving=place, geometry=geometry, backend=backend)
    return Route(anatomy, further, grid, [str(one) for one in as_entries(destination.transforms)])


def find_way(route: Route, reference: Image, *, backend: Backend, threads: int | None) -> Onward:
    """Register the reference to the anatomy, and join all that leads to it.

    Parameters
    ----------
    route : Route
        See `read_route`.
    reference : Image
        Of the series.
    backend, threads
        As for `warpline.register`.
    """
    report: dict[str, Any] = {"transforms": route.names}
    coregistration = None
    warnings: list[str] = []
    if route.anatomy is not None:
        coregistration, report["anatomy"], warnings = _coregister(route.anatomy, reference, backend, threads)
    parts = route.further.parts if coregistration is None else (*route.further.parts, coregistration)
    chain = Chain(parts or (Affine.identity(),))
    return Onward(chain, pull_back(chain, route.grid, backend), coregistration, report, tuple(warnings))


def _coregister(
    anatomy: Image, reference: Image, backend: Backend, threads: int | None
) -> tuple[Affine, dict[str, Any], list[str]]:
    """World of the anatomy to world of the reference, rigid; what the report says, and doubts."""
    from warpline.registration import register

    found = register(anatomy, reference, "rigid", backend=backend, threads=threads)
    said = {"name": anatomy.name, "judgement": found.report["judgement"]["outcome"], "seconds": found.report["seconds"]}
    return found.alignment.affine, said, [f"reference to anatomy: {one}" for one in found.report["warnings"]]


def _grid(destination: Destination, own: Grid, anatomy: Image | None, geometry: str | None) -> Grid:
    """Grid of the result: as asked for; else of the anatomy, with voxels of the size of the series; else its own."""
    spacing = destination.spacing
    if destination.grid is not None:
        grid = grid_of(destination.grid, "grid", geometry)
    elif as_entries(destination.transforms):
        raise UsageError("transforms lead to a space whose grid is not known; name an image on it by --grid (grid=)")
    elif anatomy is not None:
        grid = anatomy.grid
        spacing = spacing or float(np.prod(own.voxel_size) ** (1 / 3))
    else:
        grid = own
    return grid if spacing is None else with_voxel_size(grid, spacing)


def move_volumes(
    series: Series, matrices: Matrix, pullback: Pullback, workers: Workers, *, interpolation: str = "cubic"
) -> Iterator[Floats]:
    """Every volume on the grid of the result, in order, in one interpolation.

    Parameters
    ----------
    series : Series
        The volumes.
    matrices : (T, 4, 4)
        Reference world to volume world.
    pullback : Pullback
        From the result to the reference.
    workers : Workers
        Who interpolates.
    interpolation : str
        In `warpline.resampling.SPLINES`.

    Raises
    ------
    UsageError
        When the interpolation is not offered.
    """
    if interpolation not in SPLINES:
        raise UsageError(f"interpolation is {interpolation!r}; choose from {', '.join(SPLINES)}")
    backend, order, grid = workers.backend, SPLINES[interpolation], pullback.grid
    with backend.session():
        field = None if pullback.field is None else backend.upload(pullback.field)
        if field is not None:
            backend.download(field.reshape(-1)[:1])  # other threads use other streams

    def moved(number: int) -> Floats:
        matrix = grid.voxel_map_to(series.grid, matrices[number] @ pullback.matrix)
        volume = backend.upload(series.volume(number))
        there = backend.sample(volume, matrix, field=field, shape=grid.shape, order=order)
        return np.asarray(backend.download(there))

    return workers.map(moved, range(series.count))
