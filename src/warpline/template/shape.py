"""The mean of the maps from a template to its subjects, and its inverse, which takes the mean shape out of it.

With ``y = A_i(x + u_i(x))`` from the template to subject i, the mean map is ``Z(x) = A(x + u(x))``: A the log-Euclidean
mean of the affines (Arsigny et al. 2006, doi:10.1007/11866565_113), u the mean of the displacements, or the exponential
of the mean velocity where maps have one. Seen through ``Z^-1`` the mean map of a template is the identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.io.transform_files import read_transform
from warpline.space import Affine, Chain, Displacement, exponential
from warpline.space.grid import Grid, Matrix, apply_affine
from warpline.space.inversion import invert

MOST_TURNED = 120.0
"""Rotation in degrees beyond which a subject has no place in a mean of poses."""

NEAR_IDENTITY, MOST_HALVINGS = 0.1, 60
"""Distance from the identity at which the series of the logarithm begins; most roots that are taken before."""

TERMS, ROOT_STEPS = 12, 12
"""Terms of that series, steps of a square root: both are exact to double precision then."""

Field = NDArray[np.float32]


@dataclass(frozen=True)
class MapFiles:
    """The map from a template to one subject, as files.

    Parameters
    ----------
    affine : Path
        Its affine.
    warp, velocity : Path, optional
        Its displacement before the affine, and the velocity field of that; None where there is none.
    """

    affine: Path
    warp: Path | None = None
    velocity: Path | None = None

    def matrix(self) -> Matrix:
        """The affine (4, 4), template world to subject world, in mm."""
        affine = read_transform(self.affine)
        assert isinstance(affine, Affine)
        return affine.matrix

    def chain(self) -> Chain:
        """Template world to subject world."""
        files = [path for path in (self.warp, self.affine) if path is not None]
        return Chain.of(*(read_transform(path) for path in files))

    def field(self, name: str) -> Displacement:
        """The displacement called ``"warp"`` or ``"velocity"``."""
        field = read_transform(getattr(self, name))
        assert isinstance(field, Displacement)
        return field


@dataclass(frozen=True, eq=False)
class MeanMap:
    """The mean map of a template.

    Parameters
    ----------
    affine : Affine
        A, see above.
    back : Chain
        Inverse of the mean displacement; empty without one.
    length : NDArray
        How far each voxel of the template is moved by the mean map, in mm, on its grid.
    """

    affine: Affine
    back: Chain
    length: NDArray[np.float64]

    @property
    def inverse(self) -> Chain:
        """The mean space to the template: ``Z^-1``."""
        return Chain.of(~self.affine, self.back)


def mean_map(
    maps: Sequence[MapFiles],
    weights: Sequence[float],
    grid: Grid,
    backend: Backend,
    *,
    symmetric: bool = False,
    step: float = 1.0,
) -> MeanMap:
    """The mean map of all subjects.

    Parameters
    ----------
    maps : sequence of MapFiles
        From the template to each subject.
    weights : sequence of float
        Of each; those of 0 are not read.
    grid : Grid
        Of the template.
    backend : Backend
        Where fields are inverted.
    symmetric : bool
        Whether every map counts a second time, mirrored in the middle plane of the grid.
    step : float
        Share of the mean displacement that counts.
    """
    counted = [(one, weight) for one, weight in zip(maps, weights, strict=True) if weight]
    matrices = [one.matrix() for one, _ in counted]
    given = np.array([weight for _, weight in counted])
    if symmetric:
        matrices = [*matrices, *(mirrored_matrix(one, grid) for one in matrices)]
        given = np.concatenate((given, given))
    affine = Affine(mean_affine(matrices, given), grid.flat)
    name = "velocity" if all(one.velocity for one, _ in counted) else "warp"
    if any(getattr(one, name) is None for one, _ in counted):
        return MeanMap(affine, Chain(), _lengths(affine, None, grid))
    field = mean_field(((one.field(name).field, weight) for one, weight in counted), grid)
    if symmetric:
        field = (field + mirrored_field(field)) / np.float32(2)
    field = np.multiply(field, np.float32(step))
    if name == "velocity":
        there = exponential(Displacement(field, grid), backend=backend)
        return MeanMap(affine, Chain.of(there.inverse()), _lengths(affine, there.field, grid))
    back = Chain.of(invert(Displacement(field, grid), backend=backend))
    return MeanMap(affine, back, _lengths(affine, field, grid))


def mean_affine(matrices: Sequence[Matrix], weights: NDArray[np.float64]) -> Matrix:
    """Log-Euclidean mean of affines (4, 4), none of which turns by half a turn."""
    from scipy.linalg import expm

    total = np.zeros((4, 4))
    for matrix, weight in zip(matrices, weights, strict=True):
        total += weight * logarithm(matrix)
    mean: Matrix = expm(total / weights.sum())
    mean[3] = 0, 0, 0, 1
    return mean


def logarithm(matrix: Matrix) -> Matrix:
    """The principal logarithm of an affine (4, 4), by inverse scaling and squaring.

    That of SciPy takes a hundred times as long where its linear algebra starts threads for sixteen numbers.
    """
    root, halvings = matrix, 0
    while np.abs(root - np.eye(4)).max() > NEAR_IDENTITY and halvings < MOST_HALVINGS:
        root, halvings = _square_root(root), halvings + 1
    ratio = (root - np.eye(4)) @ np.linalg.inv(root + np.eye(4))  # log M = 2 artanh((M - 1) / (M + 1))
    total, power = np.zeros((4, 4)), ratio
    for n in range(TERMS):
        total = total + power / (2 * n + 1)
        power = power @ ratio @ ratio
    found: Matrix = 2.0 ** (halvings + 1) * total
    return found


def _square_root(matrix: Matrix) -> Matrix:
    """By the iteration of Denman and Beavers."""
    root, inverse = matrix, np.eye(4)
    for _ in range(ROOT_STEPS):
        root, inverse = (root + np.linalg.inv(inverse)) / 2, (inverse + np.linalg.inv(root)) / 2
    return root


def mean_field(fields: Iterable[tuple[Field, float]], grid: Grid) -> Field:
    """Weighted mean of fields (3, I, J, K) on one grid; sums in their order, in double precision."""
    total, weights = np.zeros((3, *grid.shape)), 0.0
    for field, weight in fields:
        total += weight * field
        weights += weight
    return (total / weights).astype(np.float32)


def rotation_angle(matrix: Matrix) -> float:
    """Angle in degrees of the rotation in an affine (4, 4)."""
    left, _, right = np.linalg.svd(matrix[:3, :3])
    trace = float(np.trace(left @ right))
    return float(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))


# -- left and right exchanged -----------------------------------------------------------------------------------------


def mirror(grid: Grid) -> Matrix:
    """The reflection (4, 4) of world points in the middle plane of a grid along world axes: x to 2c - x."""
    matrix = np.diag([-1.0, 1.0, 1.0, 1.0])
    matrix[0, 3] = 2 * grid.centre[0]
    return matrix


def mirrored_matrix(matrix: Matrix, grid: Grid) -> Matrix:
    """The affine (4, 4) of a subject that is mirrored as the template is."""
    plane = mirror(grid)
    mirrored: Matrix = plane @ matrix @ plane
    return mirrored


def mirrored_field(field: Field) -> Field:
    """The displacement (3, I, J, K) of a subject that is mirrored as the template is."""
    signs = np.array([-1, 1, 1], np.float32).reshape(3, 1, 1, 1)
    mirrored: Field = signs * field[:, ::-1]
    return mirrored


def _lengths(affine: Affine, field: Field | None, grid: Grid) -> NDArray[np.float64]:
    points = apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    moved = points if field is None else points + np.moveaxis(field, 0, -1)
    lengths: NDArray[np.float64] = np.linalg.norm(affine.map_points(moved) - points, axis=-1)
    return lengths
