"""``--prepare``: what is done to the images before they are compared."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warpline.recipe import Recipe

STEPS = {
    "median_otsu": ("mask", "median_otsu"),
    "n4": ("bias_correction", "n4"),
    "nlmeans": ("denoise", "nlmeans"),
    "winsorise": ("winsorise", "[0.005, 0.995]"),
    "match_histogram": ("match_histogram", "true"),
}
"""Step as it is written to the option of a recipe's section ``[prepare]`` and its value, in the order they run in."""

SIDES = ("fixed", "moving")
"""What may follow a step after a colon; both images without it."""


def add_preparation(parser: ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument(
        "--prepare",
        type=steps,
        default=[],
        action="extend",
        metavar="STEP[,STEP...]",
        help=f"prepare the images before they are compared: {', '.join(STEPS)}; n4:moving changes one of them only. "
        "The images written are as given",
    )


def with_preparation(recipe: Recipe, arguments: Namespace) -> Recipe:
    """The recipe with the steps that were given."""
    return recipe.with_options(*arguments.prepare)


def steps(text: str) -> list[str]:
    """Read steps, as settings of a recipe.

    Raises
    ------
    ArgumentTypeError
        When one is unknown; argparse makes it a usage error.
    """
    return [setting for step in text.split(",") for setting in _settings(step.strip())]


def _settings(step: str) -> list[str]:
    name, colon, side = step.partition(":")
    if name not in STEPS:
        raise ArgumentTypeError(f"{name!r} is not allowed; choose from {', '.join(STEPS)}, such as n4,winsorise")
    option, value = STEPS[name]
    sides = ("moving",) if name == "match_histogram" else SIDES
    if colon and side not in sides:
        raise ArgumentTypeError(f"{step!r} is not allowed; after the colon stands {' or '.join(sides)}")
    setting = f"prepare.{option}={value}"
    return [setting] if name == "match_histogram" else [setting, f"prepare.{option}_of={side or 'both'}"]
