"""`register_longitudinal`: time points in, their maps and changes out; `run_longitudinal` writes the files too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from warpline.backends import Backend, select
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.images import Source
from warpline.io.json_values import plain
from warpline.longitudinal.label_growth import growth_report, growth_warnings
from warpline.longitudinal.output_files import Outputs, check_outputs
from warpline.longitudinal.points import canonical_order, labels_on, names_of, read_points, years_of
from warpline.longitudinal.recipes import recipes_with
from warpline.longitudinal.result import LongitudinalRegistration, store
from warpline.longitudinal.solving import PairCallback, Run
from warpline.longitudinal.summary import summarise
from warpline.registration import ProgressCallback, load
from warpline.registration.clock import Clock
from warpline.registration.provenance import environment


def register_longitudinal(
    points: Sequence[Source],
    *,
    years: Sequence[float] | None = None,
    dates: Sequence[str | date] | None = None,
    masks: Sequence[Source] = (),
    labels: Source | None = None,
    labels_of: int = 0,
    settings: Sequence[str] = (),
    memory: float | None = None,
    geometry: str | None = None,
    backend: str | Backend | None = None,
    threads: int | None = None,
    progress: ProgressCallback | None = None,
    on_pair: PairCallback | None = None,
) -> LongitudinalRegistration:
    """Carry time points of one subject to a middle that prefers none of them, and find the change between them.

    Every pair is registered both ways, first rigidly, then by stationary velocity fields on the grid of the middle, and
    both ways are averaged. Images in another order give the same maps, to the last bit.

    Parameters
    ----------
    points : sequence of path, nibabel image, Image, array or (array, affine)
        Two or more images of one contrast, as a rule from the earliest to the latest.
    years : sequence of float, optional
        When each was taken, in years from any zero, ages for example; rising.
    dates : sequence of str or date, optional
        The same as dates, such as 2020-01-31.
    masks : sequence like the points, optional
        Where each counts (voxels other than 0), on any grid in its world; one alone is that of all of them.
    labels : like the points, optional
        Whole numbers in the world of a time point, whose growth the report and a table are to have.
    labels_of : int
        Of which time point the labels are, from 0.
    settings : sequence of str
        Options such as ``"syn.total_sigma=1"``: ``syn`` of the deformable stage, ``initialise`` and ``linear`` of the
        rigid one.
    memory : float, optional
        GB (10^9 bytes) that the process may take; what is free when None, but on a GPU. Time points that need more are
        registered on coarser grids, which a warning says.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take where both are set; the sform when None.
    backend, threads
        Where it is computed, as in `warpline.backends.select`.
    progress : callable, optional
        Called with a `warpline.registration.Progress` as each registration goes on.
    on_pair : callable, optional
        Receives a step, and how many pairs of how many are done.

    Returns
    -------
    LongitudinalRegistration
        `.points` with their maps, `.middle`, `.transform(i, j)`, `.log_jacobian(i, j)`, `.report`, `.save(folder)`.

    Raises
    ------
    UsageError
        When there is one point only, one file is given twice, an option is not allowed, or too little memory is.
    InputError
        When an image, a mask or labels cannot be read, or images cannot be registered.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y = np.indices((48, 48)) - 23.5
    >>> head = (np.hypot(x, y) < 17) * (2 + np.sin(x) * np.cos(y))
    >>> first, second = (head * (np.hypot(x, y) > radius) for radius in (5.0, 5.5))
    >>> found = warpline.register_longitudinal([first, second], years=[70.5, 72], backend="numba")
    >>> bool(np.array_equal(found.points[0].velocity.field, -found.points[1].velocity.field))
    True
    """
    rigid, deformable = recipes_with(settings)
    chosen, clock = select(backend, threads), Clock()
    when = years_of(len(points), years, dates)
    _check_number(labels_of, len(points))
    with clock.step("read"):
        given = read_points(points, masks, geometry)
        marked = None if labels is None else load(labels, "labels", geometry)
        if marked is not None:
            labels_on(marked[0], given.images[labels_of])
    order = canonical_order(given.images, given.masks)
    run = Run(rigid, deformable, chosen, clock, memory, progress, on_pair)
    solved = run.solve([given.images[number] for number in order], [given.masks[number] for number in order])
    places = [order.index(number) for number in range(len(order))]
    with clock.step("quality"):
        summary = summarise(solved, places, when, chosen)
    report = {
        **environment(chosen, threads),
        "inputs": given.descriptions,
        "options": {
            "rigid": rigid.model_dump(mode="json"),
            "recipe": deformable.model_dump(mode="json"),
            "years": when,
        },
        **summary,
        "labels": None,
        "seconds": clock.seconds,
        "warnings": [*given.notes, *solved.notes, *summary["warnings"]],
    }
    ordered = tuple(solved.points[place] for place in places)
    found = LongitudinalRegistration(ordered, solved.middle, report, chosen, when)
    with clock.step("labels"):
        found = found if marked is None else _with_labels(found, marked, labels_of)
    return replace(found, report=plain({**found.report, "seconds": clock.seconds}))


def _check_number(labels_of: int, count: int) -> None:
    if not 0 <= labels_of < count:
        raise UsageError(f"labels_of is {labels_of}; numbers of time points from 0 to {count - 1} are allowed")


def _with_labels(
    found: LongitudinalRegistration, labels: tuple[Image, dict[str, Any]], of: int
) -> LongitudinalRegistration:
    """The registration with the growth of labels, read and described, in its report."""
    image, description = labels
    growth = growth_report(found, image, of)
    warnings = [*found.report["warnings"], *image.grid.notes, *growth_warnings(growth)]
    return replace(found, report={**found.report, "labels": {**description, **growth}, "warnings": warnings})


def run_longitudinal(
    points: Sequence[str | os.PathLike[str]], folder: str | Path, **options: Any
) -> LongitudinalRegistration:
    """Register time points and write every output; the report, written last, marks it as done.

    The output folder is tried before anything is computed. When it fails, nothing that it made stays.

    Parameters
    ----------
    points : sequence of path
        Two or more images.
    folder : path
        Of all outputs.
    **options
        As for `register_longitudinal`.

    Returns
    -------
    LongitudinalRegistration
        With the report as written.

    Raises
    ------
    UsageError, InputError, OutputError
        As `register_longitudinal` and `LongitudinalRegistration.save`.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y = np.indices((48, 48)) - 23.5
    >>> head = (np.hypot(x, y) < 17) * (2 + np.sin(x) * np.cos(y))
    >>> for name, radius in (("t1", 5.0), ("t2", 5.5)):
    ...     warpline.write_image(warpline.Image.from_array(head * (np.hypot(x, y) > radius)), f"{name}.nii.gz")
    >>> found = warpline.run_longitudinal(["t1.nii.gz", "t2.nii.gz"], "out", backend="numba")
    >>> found.report["outputs"]["t1_to_t2_log_jacobian"]
    'out/t1_to_t2_LogJacobian.nii.gz'
    """
    dated = options.get("years") is not None or options.get("dates") is not None
    labels, masks = options.get("labels"), options.get("masks") or ()
    outputs = Outputs.of(Path(folder), names_of(points), dated=dated, labelled=labels is not None)
    check_outputs(outputs, [*points, *masks, labels])
    with outputs.claimed() as files:
        return store(register_longitudinal(points, **options), files, outputs)
