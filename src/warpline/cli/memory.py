"""``--memory`` and ``--plan``: what a registration may take of memory, and the plan of it in words."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING

from warpline.cli.options import positive

if TYPE_CHECKING:
    from warpline.registration import MemoryPlan, PlannedLevel

GIGABYTE = 1e9


def add_memory(parser: ArgumentParser) -> None:
    """Declare both options."""
    group = parser.add_argument_group("large images")
    group.add_argument(
        "--memory",
        type=positive,
        metavar="GB",
        help="memory the process may take; default: what is free. Images that need more are registered on a coarser "
        "grid, and a warning says so",
    )
    group.add_argument(
        "--plan",
        action="store_true",
        help="print what fits into memory and what is left out, and end; a background is planned for, cropped later: "
        "levels of a brain take less",
    )


def plan_lines(plan: MemoryPlan) -> list[str]:
    """A plan as a person reads it.

    Parameters
    ----------
    plan : MemoryPlan
        Of a registration.
    """
    return [
        f"memory         at most {_gigabytes(plan.predicted)} of {_gigabytes(plan.limit)} "
        f"{'asked for' if plan.asked else 'free'}: {_gigabytes(plan.registering)} to register, "
        f"{_gigabytes(plan.writing)} to warp and write, images of {_gigabytes(plan.images)} included",
        f"registered on  {_grid(plan)}",
        *(_level(level, "") for level in plan.levels),
        *(_level(level, ", left out: does not fit") for level in plan.left_out),
    ]


def _grid(plan: MemoryPlan) -> str:
    if not plan.is_reduced:
        return "the grids of the images"
    fixed, moving = (" x ".join(map(str, block)) for block in plan.blocks)
    return f"voxels of {plan.spacing:.3g} mm, blocks of {fixed} voxels of the fixed and {moving} of the moving image"


def _level(level: PlannedLevel, what: str) -> str:
    shape = " x ".join(map(str, level.shape))
    return f"  level        {level.voxel:.3g} mm, {shape} voxels, {_gigabytes(level.bytes)}{what}"


def _gigabytes(count: int) -> str:
    return f"{count / GIGABYTE:.2f} GB"
