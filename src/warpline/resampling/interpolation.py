"""SciPy's interpolation on every core or a GPU: the same arguments and the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from warpline.backends import Array, Backend, scipy_splines, thread_count
from warpline.backends.scipy_splines import ndimage
from warpline.backends.splines import AffineCoordinates, Coordinates, Mode, SplineOptions
from warpline.errors import UsageError
from warpline.resampling import on_device
from warpline.space.grid import Matrix

__all__ = ["Mode", "affine_transform", "map_coordinates"]

Rules = tuple[int, Mode, complex, bool]
"""SciPy's order, mode, cval and prefilter."""

_SMALL = 2**15
"""Outputs of fewer elements are computed by SciPy directly: starting threads takes longer."""


class OutputShapeError(UsageError, RuntimeError):
    """The array to write to has another shape than the result; SciPy raises a `RuntimeError`."""


def map_coordinates(  # noqa: PLR0917 - the signature is SciPy's
    input: ArrayLike,
    coordinates: ArrayLike,
    output: Array | DTypeLike | None = None,
    order: int = 3,
    mode: Mode = "constant",
    cval: complex = 0.0,
    prefilter: bool = True,
    *,
    backend: str | Backend | None = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """`scipy.ndimage.map_coordinates` on all threads or a GPU: the same arguments and the same numbers.

    Parameters
    ----------
    input : (n_1, ..., n_d)
        Array to interpolate, of any dtype SciPy takes, NumPy's, or of a GPU: CuPy's, PyTorch's, JAX's.
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
    backend : {"auto", "numpy", "numba", "cuda", "cuda:N"} or Backend, optional
        ``cuda`` sends arrays of the host to the GPU and back in slabs; the others are SciPy on CPU threads. None reads
        ``WARPLINE_BACKEND``, else means ``auto``: the GPU where an array lies there, or where one works and the result
        has a million elements or more.
    threads : int, optional
        CPU threads, as in `warpline.backends.thread_count`.

    Returns
    -------
    array of shape ``coordinates.shape[1:]``
        Interpolated values, of CuPy on the GPU where an argument is there, which ``torch.from_dlpack`` takes. Integers
        are rounded half away from zero and clamped, as SciPy does. Nearest elements of 64-bit integers are exact, where
        SciPy rounds them above 2^53.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        SciPy's own, for arguments that do not fit.
    UsageError
        For a backend that is unknown, or that cannot read an array where it lies.
    InputError
        For a tensor that cannot be read, see `warpline.images.array_exchange.as_numpy`.
    DeviceError
        When a GPU was requested and cannot be used, or is short of memory. One that was not requested and is short of
        memory leaves the work to the CPU, with a warning.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> warpline.map_coordinates(np.array([0.0, 10.0, 20.0]), [[0.5, 1.25]], order=1)
    array([ 5. , 12.5])
    """
    source, points = _as_array("input", input), _as_array("coordinates", coordinates)
    output = _as_output(output)
    shape = points.shape[1:]
    rules: Rules = (order, mode, cval, prefilter)
    arrays = {"input": source, "coordinates": points, "output": output}
    device = on_device.gpu_for(backend, math.prod(shape), **arrays)
    if device is not None:
        one = np.zeros((*points.shape[:1], *[1] * len(shape)), points.dtype)
        model = ndimage.map_coordinates(_one_element(source), one, _model(output), *rules)
        request = on_device.Request(*rules, points, shape, model.dtype)
        requested = on_device.is_requested(backend, **arrays)
        there = on_device.interpolate(device, source, request, _checked_output(output, shape), requested=requested)
        if there is not None:
            return cast("NDArray[Any]", there)
    if points.ndim < 2 or (math.prod(shape) < _SMALL and not _needs_exactness(source, order)):
        return _by_scipy(ndimage.map_coordinates, source, (points,), output, rules)
    return _on_threads(source, points, _allocate(output, source, shape), thread_count(threads), rules)


def affine_transform(  # noqa: PLR0917 - the signature is SciPy's
    input: ArrayLike,
    matrix: ArrayLike,
    offset: float | ArrayLike = 0.0,
    output_shape: tuple[int, ...] | None = None,
    output: Array | DTypeLike | None = None,
    order: int = 3,
    mode: Mode = "constant",
    cval: complex = 0.0,
    prefilter: bool = True,
    *,
    backend: str | Backend | None = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """`scipy.ndimage.affine_transform` on all threads or a GPU: ``out[o] = input[matrix o + offset]``.

    Parameters
    ----------
    input : (n_1, ..., n_d)
        Array to interpolate, of any dtype SciPy takes, NumPy's, or of a GPU: CuPy's, PyTorch's, JAX's.
    matrix : (d, d), (d,), (d, d + 1) or (d + 1, d + 1)
        Output voxel to input voxel; a vector is a diagonal, the last two are homogeneous and override `offset`.
    offset : float or (d,)
        Added to ``matrix o``, in voxels of `input`.
    output_shape : tuple, optional
        Shape of the result; that of `output`, else of `input`, when None.
    output, order, mode, cval, prefilter, backend, threads
        As in `map_coordinates`.

    Returns
    -------
    array of shape `output_shape`
        Interpolated values, of CuPy on the GPU where `input` or `output` is there.

    Raises
    ------
    RuntimeError, ValueError, TypeError, UsageError, InputError, DeviceError
        As in `map_coordinates`.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> warpline.affine_transform(np.arange(6.0), [[2.0]], output_shape=(3,), order=1)
    array([0., 2., 4.])
    """
    source, linear, shift = _as_array("input", input), _on_host("matrix", matrix), _on_host("offset", offset)
    output = _as_output(output)
    shape = tuple(output_shape or (output if _is_array(output) else source).shape)  # type: ignore[union-attr]
    rules: Rules = (order, mode, cval, prefilter)
    device = on_device.gpu_for(backend, math.prod(shape), input=source, output=output)
    if device is None and linear.ndim == 1:  # SciPy has a separable path for a diagonal
        return _by_scipy(ndimage.affine_transform, source, (linear, shift, shape), output, rules)
    linear, shift = _split(linear, shift, source.ndim)
    one = (1,) * len(shape)
    model = ndimage.affine_transform(_one_element(source), linear, shift, one, _model(output), *rules)
    affine = AffineCoordinates.of(linear, np.broadcast_to(shift, source.ndim), shape)
    if device is not None:
        request = on_device.Request(*rules, affine, shape, model.dtype)
        requested = on_device.is_requested(backend, input=source, output=output)
        there = on_device.interpolate(device, source, request, _checked_output(output, shape), requested=requested)
        if there is not None:
            return cast("NDArray[Any]", there)
    out = _allocate(output, source, shape)
    if math.prod(shape) < _SMALL and not _needs_exactness(source, order):
        return _by_scipy(ndimage.map_coordinates, source, (affine.points(),), out, rules)
    return _on_threads(source, affine, out, thread_count(threads), rules)


def _by_scipy(
    function: Callable[..., NDArray[Any]], source: NDArray[Any], where: tuple[Any, ...], output: Any, rules: Rules
) -> NDArray[Any]:
    """A function of SciPy, on coefficients of ours where those of the installed version would be wrong."""
    order, mode, cval, prefilter = rules
    spline = SplineOptions.of(order, mode, 0.0, prefilter)
    if prefilter and scipy_splines.is_filtered_wrongly(source.shape, spline):
        output = np.dtype(source.dtype.name) if output is None else output
        source, prefilter = scipy_splines.spline_coefficients(source, spline, 1), False
    return function(source, *where, output, order, mode, cval, prefilter)


def _on_threads(
    source: NDArray[Any], coordinates: Coordinates, out: NDArray[Any], threads: int, rules: Rules
) -> NDArray[Any]:
    order, mode, cval, prefilter = rules
    spline = SplineOptions.of(order, mode, cval, prefilter)  # type: ignore[arg-type] # SciPy takes a complex one
    if prefilter and order > 1:
        source = scipy_splines.spline_coefficients(source, spline, threads)
    return scipy_splines.interpolate(source, coordinates, spline, threads, out)


def _needs_exactness(source: NDArray[Any], order: int) -> bool:
    return order == 0 and source.dtype.kind in "iu" and source.dtype.itemsize == 8


# -- affine maps ------------------------------------------------------------------------------------------------------


def _split(matrix: Matrix, offset: Matrix, ndim: int) -> tuple[Matrix, Matrix]:
    """A matrix and an offset; of a homogeneous matrix its two parts."""
    if not _is_homogeneous(matrix, ndim):
        return matrix, offset
    if matrix.shape[0] == ndim + 1 and not np.array_equal(matrix[ndim], [0.0] * ndim + [1.0]):
        raise UsageError(f"matrix ends in the row {matrix[ndim].tolist()}; {[0] * ndim + [1]} is needed")
    return matrix[:ndim, :ndim], matrix[:ndim, ndim]


def _is_homogeneous(matrix: Matrix, ndim: int) -> bool:
    return matrix.shape in ((ndim, ndim + 1), (ndim + 1, ndim + 1))


# -- arguments --------------------------------------------------------------------------------------------------------


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) or on_device.is_on_gpu(value)


def _as_array(name: str, given: Any) -> Array:
    return on_device.as_cupy(name, given) if on_device.is_on_gpu(given) else np.asarray(given)


def _as_output(output: Any) -> Any:
    """What is written to, or the type of the result."""
    return on_device.as_cupy("output", output) if on_device.is_on_gpu(output) else output


def _on_host(name: str, given: Any) -> Matrix:
    return np.asarray(on_device.as_cupy(name, given).get() if on_device.is_on_gpu(given) else given, dtype=np.float64)


def _one_element(source: Array) -> NDArray[Any]:
    """An array like `source` on which SciPy validates the other arguments and chooses the output dtype."""
    return np.zeros((1,) * source.ndim, source.dtype)


def _model(output: Any) -> Any:
    return output.dtype if _is_array(output) else output


def _checked_output(output: Any, shape: tuple[int, ...]) -> Array | None:
    """The array to write to, where one is given."""
    if not _is_array(output):
        return None
    if output.shape != tuple(shape):
        raise OutputShapeError(f"output has shape {output.shape}; {tuple(shape)} is needed")
    return output


def _allocate(output: Any, source: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    given: NDArray[Any] | None = _checked_output(output, shape)
    if given is not None:
        return given
    dtype = np.dtype(source.dtype.name if output is None else output)
    if np.iscomplexobj(source) and dtype.kind != "c":
        dtype = np.promote_types(dtype, np.complex64)
    return np.zeros(shape, dtype)
