"""Signs of a wrong map: measured on the images, the affine, the warp and its inverse consistency."""

from __future__ import annotations

import numpy as np

from warpline.backends import Array, Backend
from warpline.images.intensity import Normalised
from warpline.recipe import Linear
from warpline.registration.affine_parameters import AffineParameters, shared_plane
from warpline.registration.budget import Spending
from warpline.registration.judgement.object_comparison import Agreement, ObjectComparison
from warpline.registration.length_unit import LengthUnit
from warpline.registration.objective import affine_objective
from warpline.registration.pyramid import build_pyramid
from warpline.registration.quality import Quality
from warpline.registration.spread import Spread
from warpline.space import Affine
from warpline.space.grid import Grid

LEAST_SHARED = 0.5
"""Least voxels compared under a shifted map for it to count, as a share of those under the map itself.

The correlation of fewer is high by chance more often."""
LEAST_LOCAL_CORRELATION = 0.02
"""Least local correlation whose fall is a sign; below, it is that of noise."""
NEIGHBOUR_STEP = 0.08
"""Distance of the neighbours of a map in its parameters, as a share of the object's radius.

Nearer ones differ too little to show a slope, farther ones may lie beyond the optimum."""
MOST_ROTATION = 45.0
"""Degrees of rotation above which more agreement is asked for: heads lie in scanners within less of each other."""
SAMPLES = 8000
"""Points on which neighbours are compared; with fewer, noise may prefer a neighbour."""
NEIGHBOUR_LEVEL = 1
"""Level of the linear stage at which neighbours are compared, 0 the coarsest, which tells near maps apart badly."""


def affine_signs(
    comparison: ObjectComparison, affine: Affine, agreement: Agreement, headers: Affine
) -> dict[str, float | None]:
    """Signs of an affine map (fixed world to moving world); `agreement` is that of the images under it.

    An affine that rotates the object far against its headers needs more agreement: a wide search finds more by chance.
    """
    lengths = np.linalg.svd(affine.matrix[:3, :3], compute_uv=False)
    before, chance = comparison.before_and_chance(affine.matrix, int(LEAST_SHARED * agreement.voxels))
    above = _above_chance(agreement, chance)
    return {
        "above_chance": above,
        "agreement_turned": above if angle_between(headers, affine) > MOST_ROTATION else None,
        "affine_gain": agreement.correlation / before if before > LEAST_LOCAL_CORRELATION else None,
        "object_overlap": agreement.overlap,
        "coverage": agreement.coverage,
        "least_stretch": float(lengths[-1]),
        "most_stretch": float(lengths[0]),
        "distortion": float(lengths[0] / max(lengths[-1], 1e-300)),
    }


def search_signs(
    comparison: ObjectComparison,
    images: tuple[Normalised, Normalised],
    affine: Affine,
    options: Linear,
    *,
    backend: Backend,
) -> dict[str, float | None]:
    """Whether the affine is an optimum among its neighbours; a better one is better by local correlation as well."""
    unit = LengthUnit.of(images[0])
    fixed, moving = (unit.image(image, backend) for image in images)
    start = unit.from_mm(affine)
    spacings = unit.spacings(options.voxel_sizes)
    spacing = spacings[min(NEIGHBOUR_LEVEL, len(spacings) - 1)]
    levels = [build_pyramid(image, (spacing,), backend)[0] for image in (fixed, moving)]
    middle = levels[0].centre_and_radius_later()
    objective = affine_objective(levels[0], levels[1], options.model_copy(update={"samples": SAMPLES}))
    centre, radius = middle()
    plane = shared_plane(fixed.grid, moving.grid)
    parameters = AffineParameters.after(start.matrix, options.stages[-1], centre, radius, plane)
    steps = (
        NEIGHBOUR_STEP
        * radius
        * np.concatenate([np.zeros((1, parameters.size)), np.eye(parameters.size), -np.eye(parameters.size)])
    )
    matrices = start.matrix @ parameters.matrices(steps)[0]
    here, *nearby = -objective.values(matrices)
    if here <= 0:
        return {"better_nearby": None}
    fits = np.array(nearby) / here
    better = np.flatnonzero(fits > 1)
    if len(better) == 0:
        return {"better_nearby": float(fits.max())}
    neighbours = [unit.to_mm(Affine(matrix)).matrix for matrix in matrices[1:][better]]
    correlation, *also = comparison.correlations([affine.matrix, *neighbours])
    return {"better_nearby": float(np.minimum(fits[better], np.array(also) / max(correlation, 1e-6)).max())}


def warp_signs(
    comparison: ObjectComparison, affine: Affine, agreement: Agreement, warp: Array, *, grid: Grid, backend: Backend
) -> dict[str, float | None]:
    """Signs of a deformation (3, I, J, K), before an affine.

    Parameters
    ----------
    comparison : ObjectComparison
        Of the two images.
    affine : Affine
        Fixed world to moving world, applied after the deformation.
    agreement : Agreement
        Of the images under the affine alone.
    warp : (3, I, J, K)
        Displacement in voxels of `grid`, on the backend.
    grid : Grid
        Along the axes of the fixed one.
    backend : Backend
        Where `warp` is.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Image
    >>> from warpline.backends import select
    >>> from warpline.images.intensity import normalise
    >>> from warpline.registration.judgement import ObjectComparison, warp_signs
    >>> backend, (x, y) = select("numpy"), np.indices((48, 48)) - 23.5
    >>> texture = np.random.default_rng(0).normal(5, 1, (16, 16)).repeat(3, axis=0).repeat(3, axis=1)
    >>> disc = np.where(x**2 + 2 * y**2 < 400, texture, 0)
    >>> images = [normalise(Image.from_array(one), backend) for one in (disc, np.roll(disc, 3, axis=0))]
    >>> comparison = ObjectComparison(*images, backend)
    >>> shift = Affine([[1, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> none = backend.zeros((3, 48, 48, 1))
    >>> agreement = comparison.at(shift.matrix)
    >>> warp_signs(comparison, shift, agreement, none, grid=images[0].grid, backend=backend)
    {'warp_gain': 1.0, 'farthest': 0.0}
    """
    lengths = backend.statistics(warp * _lengths(grid, backend), 0.5, out=backend.empty((4,), np.float64))
    measured = backend.download_later(lengths)
    after = comparison.correlation(affine.matrix, comparison.coarse_field(warp, grid))
    return {
        "warp_gain": after / agreement.correlation if agreement.correlation > LEAST_LOCAL_CORRELATION else None,
        "farthest": float(measured()[3]) / comparison.radius,
    }


def quality_signs(quality: Quality) -> dict[str, float | None]:
    """Signs by invertibility: folds, inverse errors, the largest Jacobian determinant.

    Parameters
    ----------
    quality : Quality
        Of the warp and its inverse.

    Examples
    --------
    >>> from warpline.registration import Quality
    >>> from warpline.registration.judgement import quality_signs
    >>> quality = Quality(
    ...     folds=0.0, folded_voxels=0, jacobian_min=0.2, jacobian_max=3.0,
    ...     inverse_error_mean=0.04, inverse_error_p99=0.2, inverse_error_max=0.9,
    ... )
    >>> quality_signs(quality)["folded_voxels"]
    0.0
    """
    names = ("folded_voxels", "inverse_error_mean", "inverse_error_p99", "jacobian_max")
    return {name: float(getattr(quality, name)) for name in names}


def budget_signs(spending: Spending | None) -> dict[str, float | None]:
    """What the warp uses of its budget; nothing without one.

    Parameters
    ----------
    spending : Spending or None
        Of the warp and its inverse.

    Examples
    --------
    >>> from warpline.recipe import Budget
    >>> from warpline.registration.budget import Spending, Usage
    >>> from warpline.registration.judgement import budget_signs
    >>> usage = Usage(strain=0.4)
    >>> budget_signs(Spending(Budget(max_strain=0.5), forward=usage, inverse=usage))
    {'budget_used': 0.8, 'budget_scale': 1.0}
    """
    return {} if spending is None else {"budget_used": spending.used, "budget_scale": spending.scale}


def spread_signs(spread: Spread | None, radius: float) -> dict[str, float | None]:
    """How far perturbed runs end from the map, over the radius of the object in mm; nothing without such runs.

    Parameters
    ----------
    spread : Spread or None
        Of the runs.
    radius : float
        Of the fixed object, in mm.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.registration.judgement import spread_signs
    >>> from warpline.registration.spread import Spread
    >>> image = Image.from_array(np.full((4, 4), 3.0))
    >>> spread = Spread(image, runs=8, median=3.0, p95=3.0, largest=3.0, noise=(0.02, 0.02), start=1.0)
    >>> spread_signs(spread, radius=75.0), spread_signs(None, radius=75.0)
    ({'spread': 0.04}, {})
    """
    return {} if spread is None else {"spread": spread.median / radius}


def angle_between(first: Affine, second: Affine) -> float:
    """Angle in degrees between the rotations of two affines."""
    (u, _, v), (w, _, z) = (np.linalg.svd(affine.matrix[:3, :3]) for affine in (first, second))
    cosine = (np.trace((u @ v).T @ (w @ z)) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _lengths(grid: Grid, backend: Backend) -> Array:
    """Voxel sizes in mm, shaped to multiply a displacement in voxels."""
    return backend.upload(grid.voxel_size.astype(np.float32).reshape(3, 1, 1, 1))


def _above_chance(agreement: Agreement, chance: float | None) -> float | None:
    """How many times the agreement is what the best of some wrong maps gives; None where nothing can be compared."""
    if agreement.voxels == 0:
        return 0.0
    return None if chance is None else agreement.correlation / max(chance, 1e-6)
