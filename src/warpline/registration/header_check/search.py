"""Maps between two images under every orientation and several voxel sizes of one of them, compared alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.images.intensity import Normalised
from warpline.recipe import Linear
from warpline.registration.affine_parameters import AffineParameters, shared_plane
from warpline.registration.header_check.orientations import nearest_orientation, orientations
from warpline.registration.header_check.spacings import UNCHANGED, Factors, stretched
from warpline.registration.judgement import Agreement, ObjectComparison
from warpline.registration.length_unit import LengthUnit
from warpline.registration.multi_start import MultiStartBfgs
from warpline.registration.objective import affine_objective
from warpline.registration.pyramid import build_pyramid
from warpline.space import Affine
from warpline.space.grid import Grid, Matrix

SPACING, FINE_SPACING = 8.0, 4.0
"""Voxel sizes in mm of a head, see `LengthUnit`, at which all orientations are compared, and the best ones again."""
SAMPLES, FINE_SAMPLES = 4000, 20_000
"""Points on which they are; fewer rank them by chance, more take time for each."""
ITERATIONS, FINE_ITERATIONS = 20, 40
RADIUS = 60.0
"""Scale of rotations in the coarse search, in mm of a head per radian."""
FINALISTS = 3
"""Orientations of each candidate that are compared at the fine spacing, besides the header's own and mirror images."""
LEAST_SHARED = 0.5
"""Least voxels that are compared under a map, as a share of the most under another, for its agreement to count."""
UNLIKE_SIZES = 1.3
"""Ratio of two voxel sizes from which exchanged axes are tried with their voxel sizes exchanged and not."""


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One reading of a header and the best map under it.

    Parameters
    ----------
    orientation : (3, 3)
        Signed permutation of the voxel axes; the identity is the header's own.
    factors : three floats
        By what its voxel sizes were multiplied before the search.
    to_header : (4, 4)
        Reference world to the world of the header.
    similarity : float
        Mutual information under the map at the coarse spacing, weighted by overlap; larger is better.
    agreement : Agreement
        Of the images under the map.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.registration.header_check.search import Hypothesis
    >>> from warpline.registration.judgement import Agreement
    >>> agreement = Agreement(correlation=0.4, voxels=12000, overlap=0.95, coverage=1.0)
    >>> Hypothesis(np.eye(3), (1.0, 1.0, 1.0), np.eye(4), 0.9, agreement).is_header
    True
    """

    orientation: Matrix
    factors: Factors
    to_header: Matrix
    similarity: float
    agreement: Agreement

    @property
    def is_header(self) -> bool:
        """Whether it reads the header as it is."""
        return self.factors == UNCHANGED and self.orientation.trace() == 3


def hypotheses(
    images: tuple[Normalised, Normalised],
    candidates: tuple[Factors, ...],
    comparison: ObjectComparison,
    *,
    in_plane: bool,
    backend: Backend,
) -> list[Hypothesis]:
    """The best map of every orientation that was looked into: the header's own, mirror images, and promising others.

    1. Under each candidate for the voxel sizes, refine a rigid map from every orientation, at the coarse spacing.
    2. Refine the best few, rigid and affine, at the fine one, and measure how the images agree.
    3. Unless other voxel sizes are likelier, start the header's own orientation and mirror images again from the best
       map, turned back: of two orientations one may have been found and the other missed.

    Parameters
    ----------
    images : pair of Normalised
        Reference and image.
    candidates : tuple of Factors
        For the voxel sizes of the image, see `spacings.candidates`.
    comparison : ObjectComparison
        Of the two images.
    in_plane : bool
        Whether they are 2-D.
    backend : Backend
        Where they are.

    Returns
    -------
    list of Hypothesis
        One for each orientation and candidate, the best agreement first; one of them is the header's own.
    """
    found: list[Hypothesis] = []
    for factors in candidates:
        search = _Search(images, factors, comparison, in_plane=in_plane, backend=backend)
        first = search.refined(search.promising())
        found += first
        if factors != UNCHANGED or len(candidates) == 1:
            found += search.refined(search.again_from(max(first, key=_correlation)))
        found += [search.unsearched()] if factors == UNCHANGED else []
    best: dict[tuple[Factors, bytes], Hypothesis] = {}
    for one in sorted(found, key=_correlation, reverse=True):
        best.setdefault((one.factors, one.orientation.tobytes()), one)
    return list(best.values())


def _correlation(hypothesis: Hypothesis) -> float:
    return hypothesis.agreement.correlation


class _Search:
    """The search under one candidate for the voxel sizes; its maps go to the world of the grid with these sizes."""

    def __init__(
        self,
        images: tuple[Normalised, Normalised],
        factors: Factors,
        comparison: ObjectComparison,
        *,
        in_plane: bool,
        backend: Backend,
    ) -> None:
        self._factors, self._comparison, self._in_plane = factors, comparison, in_plane
        self._header, self._unit = images[1].grid, LengthUnit.of(images[0])
        moving = replace(images[1], grid=stretched(self._header, factors))
        pair = [self._unit.image(one, backend) for one in (images[0], moving)]
        self._grid = pair[1].grid
        self._plane = shared_plane(pair[0].grid, self._grid) if in_plane else None
        levels = [build_pyramid(one, (SPACING, FINE_SPACING), backend) for one in pair]
        (self._coarse, self._fine), (self._coarse_image, self._fine_image) = levels
        self._objective = affine_objective(self._coarse, self._coarse_image, Linear(samples=SAMPLES))

    def promising(self) -> list[Matrix]:
        """Rigid maps of the best few orientations, of the header's own, and of mirror images of both."""
        middles = self._coarse.centre_of_mass, self._coarse_image.centre_of_mass
        every = orientations(in_plane=self._in_plane)
        starts = [_start(grid, self._grid, *middles) for one in every for grid in read_as(self._grid, one)]
        starts += [np.eye(4)] if self._factors == UNCHANGED else []
        parameters = AffineParameters.named("rigid", middles[0], RADIUS, self._plane)
        maps = MultiStartBfgs(self._objective, parameters, np.stack(starts)).run(ITERATIONS)
        best: dict[bytes, Matrix] = {}
        for number in np.argsort(self._objective.values(maps), kind="stable"):
            best.setdefault(self._orientation(maps[number]).tobytes(), maps[number])
        ranked = [np.frombuffer(key).reshape(3, 3) for key in best]
        own = orientations()[0]
        chosen = [own, *ranked[:FINALISTS], *_flipped(ranked[0]), *_flipped(own)]
        return [best[key] for key in dict.fromkeys(one.tobytes() for one in chosen) if key in best]

    def again_from(self, best: Hypothesis) -> list[Matrix]:
        """Starts of the header's own orientation and of mirror images, made of the best map."""
        own = orientations()[0]
        targets = [one for one in (own, *_flipped(own), *_flipped(best.orientation)) if (one != best.orientation).any()]
        directions = self._grid.affine[:3, :3] / self._grid.voxel_size
        found, middle = self._unit.from_mm(Affine(self._to_grid @ best.to_header)).matrix, self._coarse.centre_of_mass
        starts = []
        for target in {one.tobytes(): one for one in targets}.values():
            turn, start = directions @ target.T @ best.orientation @ np.linalg.inv(directions), found.copy()
            start[:3, :3] = turn @ found[:3, :3]
            start[:3, 3] = (found[:3, :3] @ middle + found[:3, 3]) - start[:3, :3] @ middle
            starts.append(start)
        return starts

    def refined(self, starts: Sequence[Matrix]) -> list[Hypothesis]:
        """The best of each start: as it is, after a rigid search at the fine spacing, and after an affine one."""
        objective = affine_objective(self._fine, self._fine_image, Linear(samples=FINE_SAMPLES))
        centre, radius = self._fine.centre_and_radius()
        stages = [np.stack(starts)]
        for model in ("rigid", "affine"):
            parameters = AffineParameters.named(model, centre, radius, self._plane)
            stages.append(MultiStartBfgs(objective, parameters, stages[-1]).run(FINE_ITERATIONS))
        return [self._best(*maps) for maps in zip(*stages, strict=True)]

    def unsearched(self) -> Hypothesis:
        """The header as it is with the centres of mass joined, where every search went elsewhere."""
        shift = np.eye(4)
        shift[:3, 3] = self._coarse_image.centre_of_mass - self._coarse.centre_of_mass
        return self._best(shift)

    @property
    def _to_grid(self) -> Matrix:
        """World of the header to that of the grid whose voxel sizes were changed, in mm."""
        return stretched(self._header, self._factors).affine @ self._header.inverse_affine

    def _best(self, *maps: Matrix) -> Hypothesis:
        """The map under which the images agree best; one that shrinks the image compares too few voxels to count."""
        back = np.linalg.inv(self._to_grid)
        agreements = [self._comparison.at(back @ self._unit.to_mm(Affine(matrix)).matrix) for matrix in maps]
        most = max(one.voxels for one in agreements)
        enough = [one.correlation if one.voxels >= LEAST_SHARED * most else -1.0 for one in agreements]
        best = int(np.argmax(enough))
        to_header = back @ self._unit.to_mm(Affine(maps[best])).matrix
        similarity = -float(self._objective.values(maps[best][None])[0])
        return Hypothesis(self._orientation(maps[best]), self._factors, to_header, similarity, agreements[best])

    def _orientation(self, to_image: Matrix) -> Matrix:
        directions = self._grid.affine[:3, :3] / self._grid.voxel_size
        turned = np.linalg.solve(directions, np.linalg.solve(to_image[:3, :3], directions))
        return nearest_orientation(turned, in_plane=self._in_plane)


def _flipped(orientation: Matrix) -> list[Matrix]:
    """An orientation with each of its axes flipped; of the 48, the third axis too where images are 2-D."""
    return [orientation * np.where(np.arange(3) == axis, -1.0, 1.0) + 0.0 for axis in range(3)]


def read_as(grid: Grid, orientation: Matrix) -> list[Grid]:
    """A grid about the same middle with its axes along others; twice where voxel sizes may go with them or stay."""
    sizes = grid.voxel_size
    directions = grid.affine[:3, :3] / sizes
    exchanged = np.abs(orientation).T @ sizes
    kept = [sizes] if np.abs(np.log(exchanged / sizes)).max() < np.log(UNLIKE_SIZES) else [sizes, exchanged]
    grids = []
    for lengths in kept:
        affine = np.eye(4)
        affine[:3, :3] = directions @ orientation * lengths
        affine[:3, 3] = grid.centre - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
        grids.append(Grid(grid.shape, affine))
    return grids


def _start(reading: Grid, header: Grid, middle: NDArray[np.float64], target: NDArray[np.float64]) -> Matrix:
    """Reference world to the world of a header that is read otherwise, with the centres of mass joined."""
    start = np.eye(4)
    start[:3, :3] = header.affine[:3, :3] @ np.linalg.inv(reading.affine[:3, :3])
    start[:3, 3] = target - start[:3, :3] @ middle
    return start
