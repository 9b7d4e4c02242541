"""Options of the perturbed runs whose spread is the uncertainty of a registration."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from warpline.recipe.options import Options

FEWEST_RUNS, MOST_RUNS = 2, 1000
"""Perturbed runs: one alone has no spread."""

Share = Annotated[float, Field(ge=0, le=10)]


class Uncertainty(Options):
    """Perturbed runs beside a registration, whose spread is its uncertainty; none by default.

    Every run has its own noise, its own start and its own smoothing, all drawn from `seed`.

    Examples
    --------
    >>> from warpline.recipe import Recipe, Uncertainty
    >>> Recipe(uncertainty=Uncertainty(runs=8)).uncertainty.is_empty
    False
    """

    runs: Annotated[int, Field(ge=FEWEST_RUNS, le=MOST_RUNS)] | None = None
    """How many perturbed runs there are; each costs as much as the deformable stage, or as the linear one of a recipe
    without it. `off`: nothing is perturbed."""
    noise: Share = 1.0
    """Standard deviation of the noise that is added to both images, in units of that which they are found to have."""
    start: Share = 1.0
    """How far the start takes points of the object from where the affine does, root mean square, in voxels of the
    fixed image (their shortest edge)."""
    smoothness: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Standard deviation of the logarithm of the factor by which the smoothing (`syn.update_sigma`,
    `syn.total_sigma`) is scaled; in a recipe without a deformable stage, the spacing of the levels."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Of the random numbers: with the same seed a result repeats."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is run."""
        return self.runs is None

    @model_validator(mode="after")
    def _perturbs_something(self) -> Uncertainty:
        if self.runs is not None and not (self.noise or self.start or self.smoothness):
            raise ValueError("noise, start and smoothness are all 0, so that every run is the same: raise one")
        return self
