"""Pictures of registrations, as in ``dipy.viz.regtools``; Matplotlib is imported when one is drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from warpline.dipy.diffeomorphic_map import DiffeomorphicMap
from warpline.errors import InputError, UsageError
from warpline.extras import install_command
from warpline.space.grid import Matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FileName = str | os.PathLike[str]
Picture = NDArray[np.uint8]


def overlay_slices(
    L: NDArray[Any],
    R: NDArray[Any],
    slice_index: int | None = None,
    slice_type: int = 1,
    ltitle: str = "Left",
    rtitle: str = "Right",
    fname: FileName | None = None,
    **fig_kwargs: Any,
) -> Figure:
    """Show a slice of two volumes side by side, and between them one in red over the other in green.

    Parameters
    ----------
    L, R : (I, J, K)
        Volumes of one shape; intensities are stretched per volume.
    slice_index : int, optional
        The middle slice when None.
    slice_type : {0, 1, 2}
        Sagittal, coronal or axial for volumes in RAS order: the axis that is cut.
    ltitle, rtitle : str
        Titles.
    fname : path, optional
        Where to save the picture.
    **fig_kwargs
        For `matplotlib.figure.Figure.savefig`.

    Raises
    ------
    UsageError
        When the slice type is unknown.
    InputError
        When the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import overlay_slices
    >>> x, y, z = np.indices((8, 8, 8))
    >>> figure = overlay_slices(x + y, y + z, None, 2, "Static", "Moving", "overlay.png")
    """
    if slice_type not in (0, 1, 2):
        raise UsageError(f"slice_type is {slice_type!r}; choose 0 (sagittal), 1 (coronal) or 2 (axial)")
    _check_same_shape(L, R)
    index = np.shape(L)[slice_type] // 2 if slice_index is None else slice_index
    left, right = (np.take(_stretch(volume), index, axis=slice_type).T for volume in (L, R))
    # the corner counts as background, whose colour would tint the whole overlay
    overlay = _colour(left * (left > left[0, 0]), right * (right > right[0, 0]))
    return _panels([left, overlay, right], [ltitle, "Overlay", rtitle], fname, fig_kwargs, origin="lower", cmap="gray")


def overlay_images(
    img0: NDArray[Any],
    img1: NDArray[Any],
    title0: str = "",
    title_mid: str = "",
    title1: str = "",
    fname: FileName | None = None,
    **fig_kwargs: Any,
) -> Figure:
    """Show two 2-D images of one shape, in red and in green, and between them one over the other.

    Parameters
    ----------
    img0, img1 : (I, J)
        Images of one shape; intensities are stretched per image.
    title0, title_mid, title1 : str
        Titles of the first image, the overlay and the second image.
    fname : path, optional
        Where to save the picture.
    **fig_kwargs
        For `matplotlib.figure.Figure.savefig`.

    Returns
    -------
    matplotlib.figure.Figure
        The three panels.

    Raises
    ------
    InputError
        When the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import overlay_images
    >>> figure = overlay_images(np.eye(8), np.eye(8)[::-1], "Static", "Overlay", "Moving")
    """
    _check_same_shape(img0, img1)
    red, green = _stretch(img0), _stretch(img1)
    nothing = np.zeros_like(red)
    pictures = [_colour(red, nothing), _colour(red, green), _colour(nothing, green)]
    return _panels(pictures, [title0, title_mid, title1], fname, fig_kwargs)


def plot_slices(
    V: NDArray[Any], slice_indices: Sequence[int] | None = None, fname: FileName | None = None, **fig_kwargs: Any
) -> Figure:
    """Show an axial, a coronal and a sagittal slice of a volume.

    Parameters
    ----------
    V : (I, J, K)
        In RAS order.
    slice_indices : (3,), optional
        Sagittal, coronal, axial; the middle ones when None.
    fname : path, optional
        Where to save the picture.
    **fig_kwargs
        For `matplotlib.figure.Figure.savefig`.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import plot_slices
    >>> figure = plot_slices(np.indices((8, 8, 8)).sum(axis=0), fname="slices.png")
    """
    indices = [n // 2 for n in np.shape(V)] if slice_indices is None else slice_indices
    stretched = _stretch(V)
    slices = [np.take(stretched, indices[axis], axis=axis).T for axis in (2, 1, 0)]
    return _panels(slices, ["Axial", "Coronal", "Sagittal"], fname, fig_kwargs, origin="lower", cmap="gray")


def draw_lattice_2d(nrows: int, ncols: int, delta: int) -> NDArray[np.float64]:
    """Draw `nrows` x `ncols` squares of `delta` pixels: 127 inside, lines of one pixel 0.

    Parameters
    ----------
    nrows, ncols : int
        Number of squares.
    delta : int
        Pixels along the side of a square.

    Returns
    -------
    (1 + nrows (delta + 1), 1 + ncols (delta + 1)) float64
        The picture.

    Examples
    --------
    >>> from warpline.dipy import draw_lattice_2d
    >>> draw_lattice_2d(1, 2, 2)
    array([[  0.,   0.,   0.,   0.,   0.,   0.,   0.],
           [  0., 127., 127.,   0., 127., 127.,   0.],
           [  0., 127., 127.,   0., 127., 127.,   0.],
           [  0.,   0.,   0.,   0.,   0.,   0.,   0.]])
    """
    lattice = np.full((1 + (delta + 1) * nrows, 1 + (delta + 1) * ncols), 127.0)
    lattice[:: delta + 1] = 0
    lattice[:, :: delta + 1] = 0
    return lattice


def plot_2d_diffeomorphic_map(
    mapping: DiffeomorphicMap,
    delta: int = 10,
    fname: FileName | None = None,
    direct_grid_shape: Sequence[int] | None = None,
    direct_grid2world: Matrix | None | int = -1,
    inverse_grid_shape: Sequence[int] | None = None,
    inverse_grid2world: Matrix | None | int = -1,
    show_figure: bool = True,
    **fig_kwargs: Any,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Show what a 2-D map and its inverse do to a lattice of squares.

    Parameters
    ----------
    mapping : DiffeomorphicMap
        2-D.
    delta : int
        Size of the squares in pixels.
    fname : path, optional
        Where to save the picture.
    direct_grid_shape, direct_grid2world : optional
        Grid of the lattice under the map; that of the static image by default.
    inverse_grid_shape, inverse_grid2world : optional
        Grid of the lattice under the inverse; that of the moving image by default. For either matrix, -1 means the
        default and None the identity.
    show_figure : bool
        False only returns the lattices.
    **fig_kwargs
        For `matplotlib.figure.Figure.savefig`.

    Returns
    -------
    warped_forward, warped_backward : float32 arrays
        The two lattices.

    Examples
    --------
    >>> from warpline.dipy import DiffeomorphicMap, plot_2d_diffeomorphic_map
    >>> mapping = DiffeomorphicMap(2, (20, 20))
    >>> mapping.allocate()
    >>> pictures = plot_2d_diffeomorphic_map(mapping, delta=4)
    """
    domain = mapping.domain_shape, mapping.domain_grid2world
    codomain = mapping.codomain_shape, mapping.codomain_grid2world
    defaults = (codomain, domain) if mapping.is_inverse else (domain, codomain)
    direct = _grid(direct_grid_shape, direct_grid2world, defaults[0])
    inverse = _grid(inverse_grid_shape, inverse_grid2world, defaults[1])
    forward = mapping.transform(_lattice(inverse[0], delta), "linear", _world2grid(inverse[1]), *_given(direct))
    backward = mapping.transform_inverse(_lattice(direct[0], delta), "linear", _world2grid(direct[1]), *_given(inverse))
    if show_figure:
        _panels([forward, backward], ["Direct transform", "Inverse transform"], fname, fig_kwargs, cmap="gray")
    return forward, backward


def _panels(
    pictures: Sequence[NDArray[Any]], titles: Sequence[str], fname: FileName | None, saving: dict[str, Any], **how: Any
) -> Figure:
    pyplot = _pyplot()
    figure: Figure
    figure, axes = pyplot.subplots(1, len(pictures))
    for axis, picture, title in zip(axes, pictures, titles, strict=True):
        axis.set_axis_off()
        axis.imshow(picture, **how)
        axis.set_title(title)
    if fname is not None:
        figure.savefig(fname, bbox_inches="tight", **saving)
    return figure


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise UsageError(
            f"figures of regtools are drawn by Matplotlib, which is not installed; {install_command('plots')}"
        ) from None
    return pyplot


def _stretch(image: NDArray[Any]) -> Picture:
    values = np.asarray(image, dtype=np.float64)
    low, high = values.min(), values.max()
    stretched: Picture = (255 * ((values - low) / ((high - low) or 1.0))).astype(np.uint8)
    return stretched


def _colour(red: Picture, green: Picture) -> Picture:
    return np.stack([red, green, np.zeros_like(red)], axis=-1)


def _check_same_shape(first: NDArray[Any], second: NDArray[Any]) -> None:
    if np.shape(first) != np.shape(second):
        raise InputError(
            f"the images have shapes {np.shape(first)} and {np.shape(second)}; resample one onto the grid of the other"
        )


Grid2D = tuple[Sequence[int], Matrix | None]


def _grid(shape: Sequence[int] | None, grid2world: Matrix | None | int, default: Grid2D) -> Grid2D:
    chosen = default[1] if isinstance(grid2world, int) else grid2world
    return (default[0] if shape is None else shape), chosen


def _given(grid: Grid2D) -> tuple[Sequence[int], Matrix | str]:
    return grid[0], "identity" if grid[1] is None else grid[1]


def _world2grid(grid2world: Matrix | None) -> Matrix | str:
    return "identity" if grid2world is None else np.asarray(np.linalg.inv(grid2world), dtype=np.float64)


def _lattice(shape: Sequence[int], delta: int) -> NDArray[np.float64]:
    rows, columns = ((n + delta) // (delta + 1) for n in shape)
    return draw_lattice_2d(rows, columns, delta)[: shape[0], : shape[1]]
