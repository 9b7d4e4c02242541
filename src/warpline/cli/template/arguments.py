"""Arguments and output that several actions on a template share."""

from __future__ import annotations

import os
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from warpline.cli.cohort.arguments import count
from warpline.cli.options import add_device, positive

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal
    from warpline.template import Template


def add_where(parser: ArgumentParser) -> None:
    """Where registrations run."""
    where = parser.add_argument_group("workers")
    where.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help="processes, or GPUs to use; 0 works in this process; default: all GPUs where there are several, else 0",
    )
    where.add_argument(
        "--time-limit", type=positive, default=3600.0, metavar="S", help="longest time of a registration; default: 3600"
    )
    add_device(parser)


def finished(make: Callable[[], Template], known: frozenset[str], options: Namespace, terminal: Terminal) -> int:
    """Make a template, say how it ended; returns the exit code: 3 where others than `known` are left out."""
    from warpline.template import StoppedError

    try:
        made = make()
    except StoppedError as stop:
        terminal.fail(f"{stop}; the same command goes on")
        return stop.reason.exit_code
    code = made.exit_code if {one.id for one in made.left_out} - known else 0
    terminal.result({**record_of(made), "exit_code": code}, *shown(made), "", "next:", *_next(made, options.output))
    return code


def left_out_of(folder: str) -> frozenset[str]:
    """Who is left out of the template in a folder so far."""
    from warpline.template import read_template

    made = read_template(folder)
    return frozenset() if made is None else frozenset(one.id for one in made.left_out)


def record_of(made: Template) -> dict[str, object]:
    """What ``--json`` gives."""
    return {"template": made.image, "labels": made.labels, "page": made.page, **made.as_record()}


def shown(made: Template) -> list[str]:
    """A template in lines."""
    fits = [one.fit for one in made.subjects]
    lines = [
        f"template   {made.image}",
        f"subjects   {len(fits)}, correlation with the others {min(fits):.3f} to {max(fits):.3f}",
        f"mean       sharpness {made.sharpness:.4f}/mm, residual {made.residual:.3f} of the mean",
    ]
    last = made.rounds[-1]
    if last.shape_mm is not None:
        lines.append(f"rounds     {len(made.rounds)}; the last moved the shape by {last.shape_mm:.3f} mm on average")
    lines += [f"left out   {one.id}: {one.reason}" for one in made.left_out]
    return [*lines, *(f"warning    {text}" for text in made.warnings)]


def _next(made: Template, output: str) -> list[str]:
    lines = [f"  open {shlex.quote(output)}/report/index.html"]
    if made.table.exists():  # folders of earlier versions have none
        lines.append(f"  warpline cohort run {shlex.quote(os.path.join(output, made.table.name))} registered")
    return lines
