"""``--max-bending``, ``--jacobian``, ``--max-strain``: limits on the deformation that the result keeps."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from warpline.cli.options import number
from warpline.errors import UsageError

if TYPE_CHECKING:
    from warpline.recipe import Recipe

FLAGS = {"max_bending": "--max-bending", "jacobian": "--jacobian", "max_strain": "--max-strain"}
"""Limit of a recipe's budget to the argument that sets it."""


def add_budget(parser: ArgumentParser) -> None:
    """Declare the limits."""
    group = parser.add_argument_group(
        "limits on the deformation",
        "kept by the map and its inverse, the affine left out; the best similarity within them is looked for, and the "
        "report says how much of them is used",
    )
    group.add_argument(
        FLAGS["max_bending"],
        type=bending,
        metavar="B",
        help="mean bending energy inside the fixed object in 1/mm²; brains of 1 mm have about 0.2 without it",
    )
    group.add_argument(
        FLAGS["jacobian"],
        type=determinants,
        metavar="LOW,HIGH",
        help="every Jacobian determinant: 0.2,5 lets no voxel shrink or grow more than 5-fold",
    )
    group.add_argument(
        FLAGS["max_strain"],
        type=strain,
        metavar="E",
        help="every principal logarithmic strain: 0.7 lets no length shrink to less than half or grow beyond twice",
    )


def with_budget(recipe: Recipe, arguments: Namespace) -> Recipe:
    """The recipe with the limits that were given.

    Raises
    ------
    UsageError
        When the recipe runs no deformable stage, or a limit is out of range.
    """
    given = {name: value for name in FLAGS if (value := getattr(arguments, name)) is not None}
    if given and recipe.syn is None:
        flags = ", ".join(FLAGS[name] for name in given)
        raise UsageError(
            f"{flags}: recipe {recipe.name!r} runs no deformable stage, so that there is nothing to limit; leave it "
            "out, or take a recipe such as syn"
        )
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return recipe.with_options(*(f"budget.{name}={value}" for name, value in values.items()))


def determinants(text: str) -> tuple[float, float]:
    """Read ``LOW,HIGH``, two determinants around 1.

    Raises
    ------
    ArgumentTypeError
        Otherwise; argparse makes it a usage error.
    """
    from warpline.recipe.budget import HIGH_RANGE, LOW_RANGE

    low, separator, high = text.partition(",")
    (least, below), (above, most) = LOW_RANGE, HIGH_RANGE
    if not (separator and least <= number(low) <= below and above <= number(high) <= most):
        raise ArgumentTypeError(
            f"{text!r} is not allowed; LOW,HIGH is needed, LOW from {least:g} to {below:g}, HIGH from {above:g} to "
            f"{most:g}, such as 0.2,5: where nothing is deformed the determinant is 1"
        )
    return float(low), float(high)


def bending(text: str) -> float:
    """Read a limit of the bending energy.

    Raises
    ------
    ArgumentTypeError
        When it is none; argparse makes it a usage error.
    """
    from warpline.recipe.budget import BENDING_RANGE

    return _within(BENDING_RANGE, text)


def strain(text: str) -> float:
    """Read a limit of the logarithmic strain.

    Raises
    ------
    ArgumentTypeError
        When it is none; argparse makes it a usage error.
    """
    from warpline.recipe.budget import STRAIN_RANGE

    return _within(STRAIN_RANGE, text)


def _within(allowed: tuple[float, float], text: str) -> float:
    least, most = allowed
    if not least <= number(text) <= most:
        raise ArgumentTypeError(f"{text!r} is not allowed; a number from {least:g} to {most:g} is needed")
    return float(text)
