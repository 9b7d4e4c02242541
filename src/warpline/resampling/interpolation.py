"""SciPy's interpolation on every core: the same arguments and the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy import ndimage as _scipy_ndimage

from warpline.backends import thread_count
from warpline.errors import UsageError
from warpline.geometry import Matrix

Mode = Literal["constant", "grid-constant", "nearest", "reflect", "grid-mirror", "mirror", "wrap", "grid-wrap"]
"""What SciPy takes to lie beyond the edges of an array."""

ndimage: Any = _scipy_ndimage  # SciPy's stubs ask for dtypes and orders that are literals

_SMALL = 2**15
"""Outputs of fewer elements are not worth a thread."""

_SLAB = 2**20
"""Most elements whose coordinates one thread holds at once."""

_SPLINE_PAD = {"nearest": 12, "grid-constant": 12}
"""Voxels SciPy pads by before the spline filter, for modes without an exact boundary condition."""


def map_coordinates(  # noqa: PLR0917 - the signature is SciPy's
    input: ArrayLike,
    coordinates: ArrayLike,
    output: NDArray[Any] | DTypeLike | None = None,
    order: int = 3,
    mode: Mode = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> NDArray[Any]:
    """`scipy.ndimage.map_coordinates` on all threads: the same arguments and the same numbers.

    Parameters
    ----------
    input : (n_1, ..., n_d)
        Array to interpolate, of any dtype SciPy takes.
    coordinates : (d, ...)
        Position in `input`, in voxels, of every element of the result.
    output : array or dtype, optional
        Where to write, or the dtype of the result; the dtype of `input` when None.
    order : {0, 1, 2, 3, 4, 5}
        Order of the spline; 0 is nearest (ties up), 1 linear.
    mode : str
        What lies beyond the edges.
    cval : float
        Value outside, for the constant modes.
    prefilter : bool
        False when `input` holds spline coefficients already.

    Returns
    -------
    ndarray of shape ``coordinates.shape[1:]``
        Interpolated values; integers are rounded half away from zero and clamped, as SciPy does.
    """
    source, points = np.asarray(input), np.asarray(coordinates)
    shape = points.shape[1:]
    if points.ndim < 2 or math.prod(shape) < _SMALL:
        small: NDArray[Any] = ndimage.map_coordinates(source, points, output, order, mode, cval, prefilter)
        return small
    axis = int(np.argmax(shape))
    by_slab = np.moveaxis(points, axis + 1, 1)
    result = _allocate(output, source, shape)
    spline = _Spline.of(source, order, mode, cval, prefilter)
    _fill(np.moveaxis(result, axis, 0), lambda slab: by_slab[:, slab], spline)
    return result


def affine_transform(  # noqa: PLR0917 - the signature is SciPy's
    input: ArrayLike,
    matrix: ArrayLike,
    offset: float | ArrayLike = 0.0,
    output_shape: tuple[int, ...] | None = None,
    output: NDArray[Any] | DTypeLike | None = None,
    order: int = 3,
    mode: Mode = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> NDArray[Any]:
    """`scipy.ndimage.affine_transform` on all threads: ``out[o] = input[matrix o + offset]``.

    Parameters
    ----------
    input : (n_1, ..., n_d)
        Array to interpolate, of any dtype SciPy takes.
    matrix : (d, d), (d,), (d, d + 1) or (d + 1, d + 1)
        Output voxel to input voxel; a vector is a diagonal, the last two are homogeneous and override `offset`.
    offset : float or (d,)
        Added to ``matrix o``, in voxels of `input`.
    output_shape : tuple, optional
        Shape of the result; that of `output`, else of `input`, when None.
    output, order, mode, cval, prefilter
        As in `map_coordinates`.

    Returns
    -------
    ndarray of shape `output_shape`
        Interpolated values.
    """
    source, linear = np.asarray(input), np.asarray(matrix, dtype=np.float64)
    shape = output_shape or (output.shape if isinstance(output, np.ndarray) else source.shape)
    square = linear.shape == (source.ndim, source.ndim) and len(shape) == source.ndim
    homogeneous = linear.shape in ((source.ndim, source.ndim + 1), (source.ndim + 1, source.ndim + 1))
    if math.prod(shape) < _SMALL or not (square or homogeneous):
        # SciPy has a separable path for a diagonal, and the words for a matrix of another shape
        done: NDArray[Any] = ndimage.affine_transform(
            source, linear, offset, shape, output, order, mode, cval, prefilter
        )
        return done
    if homogeneous:
        linear, offset = _split_homogeneous(linear, source.ndim)
    shift = np.broadcast_to(np.asarray(offset, dtype=np.float64), source.ndim)
    result = _allocate(output, source, shape)
    spline = _Spline.of(source, order, mode, cval, prefilter)
    _fill(result, lambda slab: _affine_points(linear, shift, shape, slab), spline)
    return result


@dataclass(frozen=True)
class _Spline:
    """An array ready for interpolation: spline coefficients, and how to read them."""

    coefficients: NDArray[Any]
    pad: int
    order: int
    mode: Mode
    cval: float

    @classmethod
    def of(cls, source: NDArray[Any], order: int, mode: Mode, cval: float, prefilter: bool) -> _Spline:
        if not prefilter or order < 2:
            return cls(source, 0, order, mode, cval)
        pad = _SPLINE_PAD.get(mode, 0)
        if pad:
            how: dict[str, Any] = {"mode": "edge"} if mode == "nearest" else {"constant_values": cval}
            source = np.pad(source, pad, **how)
        return cls(_spline_filter(source, order, mode), pad, order, mode, cval)

    def read(self, points: NDArray[Any], out: NDArray[Any]) -> None:
        if self.pad:
            points = points + np.float64(self.pad)
        ndimage.map_coordinates(self.coefficients, points, out, self.order, self.mode, self.cval, prefilter=False)


def _spline_filter(source: NDArray[Any], order: int, mode: Mode) -> NDArray[Any]:
    coefficients = np.empty(source.shape, np.complex128 if np.iscomplexobj(source) else np.float64)
    for axis in range(source.ndim):
        given = source if axis == 0 else coefficients

        def run(slab: slice, axis: int = axis, given: NDArray[Any] = given) -> None:
            part = (slice(None), slab) if axis == 0 and source.ndim > 1 else (slab,)
            ndimage.spline_filter1d(given[part], order, axis, output=coefficients[part], mode=mode)

        _in_slabs(run, source.shape[1] if axis == 0 and source.ndim > 1 else source.shape[0], source.ndim > 1)
    return coefficients


def _fill(out: NDArray[Any], points_of: Callable[[slice], NDArray[Any]], spline: _Spline) -> None:
    pieces = math.ceil(out.size / _SLAB)
    _in_slabs(lambda slab: spline.read(points_of(slab), out[slab]), len(out), True, pieces)


def _in_slabs(run: Callable[[slice], None], length: int, parallel: bool, pieces: int = 1) -> None:
    threads = thread_count() if parallel else 1
    edges = np.linspace(0, length, min(length, max(pieces, threads)) + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, map(slice, edges[:-1], edges[1:])))


def _affine_points(linear: Matrix, shift: Matrix, shape: tuple[int, ...], slab: slice) -> NDArray[np.float64]:
    axes = np.ix_(np.arange(shape[0])[slab], *(np.arange(n) for n in shape[1:]))
    points = np.empty((len(linear), *np.broadcast_shapes(*(axis.shape for axis in axes))))
    for row, start, out in zip(linear, shift, points, strict=True):
        # products from first axis to last, then the offset: SciPy's order of addition, so that ties fall alike
        out[...] = sum(step * axis for step, axis in zip(row, axes, strict=True)) + start
    return points


def _split_homogeneous(matrix: Matrix, ndim: int) -> tuple[Matrix, Matrix]:
    if matrix.shape[0] == ndim + 1 and not np.array_equal(matrix[ndim], [0.0] * ndim + [1.0]):
        raise UsageError(f"matrix ends in the row {matrix[ndim].tolist()}; {[0] * ndim + [1]} is needed")
    return matrix[:ndim, :ndim], matrix[:ndim, ndim]


def _allocate(output: NDArray[Any] | DTypeLike | None, source: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if isinstance(output, np.ndarray):
        if output.shape != tuple(shape):
            raise UsageError(f"output has shape {output.shape}; {tuple(shape)} is needed")
        return output
    dtype = np.dtype(source.dtype.name if output is None else output)
    if np.iscomplexobj(source) and dtype.kind != "c":
        dtype = np.promote_types(dtype, np.complex64)
    return np.zeros(shape, dtype)
