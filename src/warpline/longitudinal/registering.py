"""`register_longitudinal`: time points in, their maps and changes out; `run_longitudinal` writes the files too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from warpline.backends import Backend, select
from warpline.io.atomic import claimed
from warpline.io.images import Source
from warpline.io.json_values import plain
from warpline.longitudinal.change_fields import recipe_with
from warpline.longitudinal.output_files import Outputs, check_outputs
from warpline.longitudinal.points import canonical_order, names_of, read_points, years_of
from warpline.longitudinal.result import LongitudinalRegistration, store
from warpline.longitudinal.solving import ProgressCallback, solve
from warpline.longitudinal.summary import summarise
from warpline.registration.clock import Clock
from warpline.registration.provenance import environment


def register_longitudinal(
    points: Sequence[Source],
    *,
    years: Sequence[float] | None = None,
    dates: Sequence[str | date] | None = None,
    settings: Sequence[str] = (),
    geometry: str | None = None,
    backend: str | Backend | None = None,
    threads: int | None = None,
    progress: ProgressCallback | None = None,
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
    settings : sequence of str
        Options of the deformable stage, such as ``"syn.total_sigma=1"``.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take where both are set; the sform when None.
    backend, threads
        Where it is computed, as in `warpline.backends.select`.
    progress : callable, optional
        Receives a step, and how many pairs of how many are done.

    Returns
    -------
    LongitudinalRegistration
        `.points` with their maps, `.middle`, `.transform(i, j)`, `.log_jacobian(i, j)`, `.report`, `.save(folder)`.

    Raises
    ------
    UsageError
        When there is one point only, or an option is not allowed.
    InputError
        When an image cannot be read or registered.

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
    recipe, chosen = recipe_with(settings), select(backend, threads)
    when = years_of(len(points), years, dates)
    clock = Clock()
    with clock.step("read"):
        images, descriptions = read_points(points, geometry)
    order = canonical_order(images)
    solved = solve([images[number] for number in order], recipe, chosen, clock=clock, progress=progress)
    with clock.step("quality"):
        summary = summarise(solved, [order.index(number) for number in range(len(images))], when, chosen)
    report = {
        **environment(chosen, threads),
        "inputs": descriptions,
        "options": {"recipe": recipe.model_dump(mode="json"), "years": when},
        **summary,
        "seconds": clock.seconds,
        "warnings": [*(note for image in images for note in image.grid.notes), *summary["warnings"]],
    }
    ordered = tuple(solved.points[order.index(number)] for number in range(len(images)))
    return LongitudinalRegistration(ordered, solved.middle, plain(report), chosen, when)


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
    outputs = Outputs.of(Path(folder), names_of(points), dated=dated)
    check_outputs(outputs, points)
    with claimed(list(outputs.paths.values())) as files:
        return store(register_longitudinal(points, **options), files, outputs)
