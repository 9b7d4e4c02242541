"""Options that limit the deformation."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from warpline.recipe.options import Options

BENDING_RANGE, STRAIN_RANGE = (1e-9, 1e6), (0.001, 20.0)
"""Limits that a budget may set; smaller ones are beyond what single precision can tell from no deformation."""

LOW_RANGE, HIGH_RANGE = (1e-6, 0.999), (1.001, 1e6)
"""The same for the least and the largest Jacobian determinant, which is 1 where nothing is deformed."""


def _between(ends: tuple[float, float]) -> Any:
    return Field(ge=ends[0], le=ends[1])


class Budget(Options):
    """Most deformation that the result may show, the affine left out; the best similarity within it is looked for.

    All limits hold in both directions, inside the foreground of the fixed image (its mask, where there is one), on the
    displacements in mm as they are written. ``off`` sets no limit, and without limits nothing is done.

    Examples
    --------
    >>> from warpline.recipe import Budget, Recipe
    >>> Recipe.load("syn").with_options("budget.jacobian=[0.5, 2.0]").budget == Budget(jacobian=(0.5, 2.0))
    True
    """

    max_bending: Annotated[float, _between(BENDING_RANGE)] | None = None
    """Mean bending energy in 1/mm², as `warpline.evaluation.bending_energy` measures it."""
    jacobian: tuple[Annotated[float, _between(LOW_RANGE)], Annotated[float, _between(HIGH_RANGE)]] | None = None
    """Least and largest Jacobian determinant by any differences; of the inverse, 1 over them."""
    max_strain: Annotated[float, _between(STRAIN_RANGE)] | None = None
    """Largest principal logarithmic strain ``|ln s|``, s the singular values of the Jacobian by central differences."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is limited."""
        return self.max_bending is None and self.jacobian is None and self.max_strain is None
