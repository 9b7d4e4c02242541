"""What the perturbed runs of a registration are given in place of its images, its affine and its smoothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.images.intensity import Normalised
from warpline.images.noise import noise_level, with_noise
from warpline.metrics import LABELS
from warpline.recipe import Linear, Recipe, Syn, Uncertainty
from warpline.registration.affine_parameters import AffineParameters, shared_plane
from warpline.registration.cropping import Channel
from warpline.registration.length_unit import LengthUnit
from warpline.registration.syn import finest_spacing
from warpline.space import Affine
from warpline.space.grid import Matrix, apply_affine

MOST_DEVIATIONS = 2.0
"""Standard deviations of the logarithm of the smoothing's factor, at most: more would be another recipe."""

LARGEST_SIGMA = 20.0
"""Of `Syn`."""

FREEDOM = "affine"
"""How the start is moved where no linear stage says how it may move."""


@dataclass(frozen=True, eq=False)
class Perturbation:
    """What one run is given.

    Parameters
    ----------
    number : int
        Of the run, from 1.
    seed : int
        Of the recipe.
    shift : Affine
        Fixed world to fixed world, before the affine that was found.
    smoothing : float
        Factor of the smoothing, near 1.
    """

    number: int
    seed: int
    shift: Affine
    smoothing: float

    def start(self, affine: Affine) -> Affine:
        """Where the run begins: fixed world to moving world."""
        return Affine(affine.matrix @ self.shift.matrix)

    def syn(self, options: Syn) -> Syn:
        """The deformable stage with other smoothing."""
        sigmas = {name: getattr(options, name) * self.smoothing for name in ("update_sigma", "total_sigma")}
        return options.model_copy(update={name: min(sigma, LARGEST_SIGMA) for name, sigma in sigmas.items()})

    def linear(self, options: Linear, fixed: Normalised) -> Linear:
        """The linear stages on levels of other spacing."""
        unit = LengthUnit.of(fixed)
        sizes = tuple(size * unit.mm * self.smoothing for size in unit.spacings(options.voxel_sizes))
        return options.model_copy(update={"voxel_sizes": sizes})


@dataclass(frozen=True)
class NoiseLevels:
    """Noise that is added to the two images, as a standard deviation in units of their range.

    Parameters
    ----------
    fixed, moving : float
        Of either.
    pairs : tuple of (float, float)
        Of the two images of every further pair; zeros for label maps.
    """

    fixed: float
    moving: float
    pairs: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(
        cls, images: tuple[Normalised, Normalised], channels: tuple[Channel, ...], share: float, backend: Backend
    ) -> NoiseLevels:
        """A `share` of the noise that the images are estimated to have."""
        fixed, moving = (share * noise_level(image.volume, backend) for image in images)
        pairs = tuple(
            (0.0, 0.0)
            if channel.metric == LABELS
            else (share * noise_level(channel.fixed, backend), share * noise_level(channel.moving, backend))
            for channel in channels
        )
        return cls(fixed, moving, pairs)

    @property
    def is_zero(self) -> bool:
        """Whether no image gets any."""
        return not any((self.fixed, self.moving, *(level for pair in self.pairs for level in pair)))

    def warnings(self, names: tuple[str, str], options: Uncertainty) -> tuple[str, ...]:
        """A sentence where noise was asked for, and an image has none that could be told from structure."""
        levels = zip(names, (self.fixed, self.moving), strict=True)
        without = [name for name, level in levels if options.noise and not level]
        if not without:
            return ()
        same = self.is_zero and not (options.start or options.smoothness)
        so = "; every run was the same, and their spread says nothing: raise uncertainty.start" if same else ""
        return (f"uncertainty: no noise was found in {' and '.join(without)}, so that none was added there{so}",)

    def add_to(
        self, images: tuple[Normalised, Normalised], run: Perturbation, backend: Backend
    ) -> tuple[Normalised, Normalised]:
        """The two images with the noise of a run."""
        fixed, moving = (
            replace(image, volume=with_noise(image.volume, level, (run.seed, run.number, side), backend))
            for side, (image, level) in enumerate(zip(images, (self.fixed, self.moving), strict=True), 1)
        )
        return fixed, moving

    def add_to_pairs(self, channels: tuple[Channel, ...], run: Perturbation, backend: Backend) -> tuple[Channel, ...]:
        """Further pairs with the noise of a run; label maps as they are."""
        return tuple(
            channel
            if channel.metric == LABELS
            else replace(
                channel,
                fixed=with_noise(channel.fixed, of_fixed, (run.seed, run.number, 2 * pair + 1), backend),
                moving=with_noise(channel.moving, of_moving, (run.seed, run.number, 2 * pair + 2), backend),
            )
            for pair, (channel, (of_fixed, of_moving)) in enumerate(zip(channels, self.pairs, strict=True), 1)
        )


def draw(
    recipe: Recipe, images: tuple[Normalised, Normalised], affine: Affine, allowed: Matrix | None = None
) -> Iterator[Perturbation]:
    """The perturbations of a recipe, one a run; the same ones for the same seed.

    Starts move as the last linear stage may, and so far that the root mean square distance over the box around the
    object is the one that was asked for.

    Parameters
    ----------
    recipe : Recipe
        With `uncertainty.runs`.
    images : (Normalised, Normalised)
        Fixed and moving.
    affine : Affine
        Fixed world to moving world, as found.
    allowed : (3, 3), optional
        Projection of world vectors onto directions along which starts may move; all when None.
    """
    options = recipe.uncertainty
    freedom = FREEDOM if recipe.linear is None else recipe.linear.stages[-1]
    parameters, unit = _start_parameters(freedom, images, affine, options)
    for number in range(1, (options.runs or 0) + 1):
        random = np.random.default_rng((options.seed, number))
        matrix = parameters.matrices(unit * random.standard_normal((1, parameters.size)))[0][0]
        if allowed is not None:
            matrix[:3] = np.eye(4)[:3] + allowed @ (matrix - np.eye(4))[:3]
        deviations = np.clip(random.standard_normal(), -MOST_DEVIATIONS, MOST_DEVIATIONS)
        yield Perturbation(number, options.seed, Affine(matrix), float(np.exp(options.smoothness * deviations)))


def _start_parameters(
    freedom: str, images: tuple[Normalised, Normalised], affine: Affine, options: Uncertainty
) -> tuple[AffineParameters, float]:
    """Parameters of the maps that move a start, and the standard deviation of each of them in mm."""
    fixed, moving = images
    centre, axes = _box(fixed)
    radius = float(np.sqrt(np.square(axes).sum()))
    plane = shared_plane(fixed.grid, moving.grid)
    parameters = AffineParameters.after(affine.matrix, freedom, centre, radius, plane)
    small = 1e-4 * radius
    changes = (parameters.matrices(small * np.eye(parameters.size))[0] - np.eye(4))[:, :3] / small
    squares = np.square(changes @ [*centre, 1.0]).sum() + np.square(changes[..., :3] @ axes).sum()
    return parameters, options.start * finest_spacing(fixed.grid) / float(np.sqrt(squares))


def _box(image: Normalised) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle (3,) of the box around what an image shows, and its axes as columns (3, 3): root mean squares along them.

    World mm.
    """
    start, stop = np.array(image.start, float), np.array(image.stop, float)
    voxels = np.where(np.array(image.grid.shape) > 1, stop - start, 0.0)
    return apply_affine(image.grid.affine, (start + stop - 1) / 2), image.grid.affine[:3, :3] * voxels / np.sqrt(12)
