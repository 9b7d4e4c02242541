"""Sizes in mm that no image has: by how far it spans, and by its voxels where no unit of length is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from warpline.space.grid import Grid, GridHeader

SPANS = (0.01, 3000.0)
"""Span in mm along the longest axis of what is registered: from some cells to a whole body."""

VOXELS = (0.005, 10.0)
"""Voxel sizes in mm, the coarsest and the finest one, that are believed without a unit."""


def in_words(sizes: NDArray[np.float64]) -> str:
    """Voxel sizes along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.io.physical_size import in_words
    >>> in_words(np.array([0.5, 0.5, 2.0]))
    '0.5 x 0.5 x 2'
    """
    return " x ".join(f"{size:.4g}" for size in sizes)


def span_of(grid: Grid) -> float:
    """How far a grid reaches along its longest axis, in mm; the thickness of a single slice does not count.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Grid
    >>> from warpline.io.physical_size import span_of
    >>> span_of(Grid((64, 32, 1), np.diag([2.0, 2.0, 500.0, 1.0])))
    128.0
    """
    sizes, counts = grid.voxel_size, np.array(grid.shape)
    return float((sizes * counts)[counts > 1].max(initial=0.0) or sizes.max())


def is_plausible(sizes: NDArray[np.float64]) -> bool:
    """Whether voxel sizes (3,) that name no unit may be mm."""
    low, high = VOXELS
    return bool(sizes.max() >= low and sizes.min() <= high)


_MENDED: dict[str, tuple[str, str]] = {
    "header": (
        "the unit of length in its header is probably wrong",
        "write the right voxel sizes, or their unit (NIfTI: xyzt_units), into the file",
    ),
    "affine": ("its affine is probably not in mm", "give the affine in mm"),
}
"""By where the size stands: what is wrong, and what mends it."""


def with_size_note(grid: Grid, name: str, source: str = "header") -> Grid:
    """The grid of an image, with a note where it spans more, or less, than what is registered.

    Parameters
    ----------
    grid : Grid
        As the file says it, in mm.
    name : str
        Of the image.
    source : {"header", "affine"}
        Where its size stands: in the header of a file, or in the affine given with an array.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Grid
    >>> from warpline.io.physical_size import with_size_note
    >>> with_size_note(Grid((64, 64, 40), np.diag([125.0, 125.0, 125.0, 1.0])), "mouse.nii").notes[0][:50]
    'mouse.nii: it spans 8000 mm along its longest axis'
    """
    sizes = grid.voxel_size
    span, (low, high) = span_of(grid), SPANS
    if low <= span <= high:
        return grid
    told = "more than a whole body" if span > high else "less than some cells"
    wrong, advice = _MENDED[source]
    note = (
        f"{name}: it spans {span:.4g} mm along its longest axis, voxels of {in_words(sizes)} mm, {told}: {wrong}. "
        "Lengths in mm are wrong with it. Where both images have this error they are registered all the same, where "
        f"one has it the result is doubtful: {advice}"
    )
    header = grid.header or GridHeader("none")
    return replace(grid, header=replace(header, notes=(*header.notes, note)))
