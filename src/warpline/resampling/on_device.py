"""SciPy's interpolation on a GPU: choice of the device, and arrays of the host streamed through it in slabs."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import BACKENDS, Array, Backend, gpu_works, requested_name, select
from warpline.backends.splines import AffineCoordinates, Coordinates, Mode, SplineOptions
from warpline.errors import DeviceMemoryError, UsageError
from warpline.images.array_exchange import view_on_gpu
from warpline.resampling.slabs import slabs

_log = logging.getLogger(__name__)

LEAST_ELEMENTS = 2**20
"""Elements of a result from which ``auto`` sends arrays of the host to a GPU; for fewer, transfers take longer."""

SLAB = 2**22
"""Elements of a result per slab where arrays are on the host."""

CONCURRENT = 2
"""Slabs processed concurrently, so that one is copied while another is computed."""

MOST_ELEMENTS = 2**31
"""Elements of a launch."""


def is_on_gpu(array: object) -> bool:
    """Whether an array is CuPy's, or another one of a GPU."""
    return hasattr(array, "__cuda_array_interface__")


def as_cupy(name: str, array: Any) -> Array:
    """An array of a GPU as one of CuPy in the same memory: itself, or a view of a tensor of another library."""
    is_cupy = hasattr(array, "get") and hasattr(getattr(array, "device", None), "id")
    return array if is_cupy else view_on_gpu(array, name)


def _device_of(array: Array) -> str:
    """The name of the GPU that holds an array of CuPy."""
    return f"cuda:{array.device.id}"


def is_requested(backend: str | Backend | None, **arrays: Any) -> bool:
    """Whether a backend was chosen by name or by the location of arrays, and not by the size of the result."""
    chosen = not isinstance(backend, str) and backend is not None
    return chosen or requested_name(str(backend or "")) != "auto" or any(map(is_on_gpu, arrays.values()))


def gpu_for(backend: str | Backend | None, size: int, **arrays: Any) -> Backend | None:
    """The GPU backend that interpolates these arrays; None when the CPU does.

    Parameters
    ----------
    backend : str or Backend, optional
        As `warpline.backends.select` takes it. ``auto`` is the GPU that holds an array; for arrays of the host the
        GPU where one works and the result has `LEAST_ELEMENTS` elements or more.
    size : int
        Elements of the result.
    **arrays
        By the names of the arguments; those of a GPU are CuPy's.

    Raises
    ------
    UsageError
        When an array is on another device than the requested one.
    """
    on_device = {name: array for name, array in arrays.items() if is_on_gpu(array)}
    given = None if backend is None or isinstance(backend, str) else backend
    wanted = given.name if given else requested_name(backend if isinstance(backend, str) else None)
    if wanted == "auto":
        wanted = "cuda" if on_device or (size >= LEAST_ELEMENTS and gpu_works()) else "numpy"
    devices = set(map(_device_of, on_device.values()))
    on_gpu = wanted.partition(":")[0] == "cuda"
    if not on_gpu and wanted not in BACKENDS:
        select(wanted)
    if len(devices) > 1 or (devices and wanted not in ("cuda", *devices)):
        where = ", ".join(f"{name} on {_device_of(array)}" for name, array in on_device.items())
        raise UsageError(f"{where} cannot be read with backend={wanted!r}; leave backend out, or move the arrays")
    return given or select(*devices or (wanted,)) if on_gpu else None


@dataclass(frozen=True)
class Request:
    """SciPy's arguments.

    Attributes
    ----------
    order, mode, cval, prefilter
        As in `map_coordinates`; `cval` is complex where the input is.
    coordinates : (d, *shape) array or AffineCoordinates
        Of each element of the result.
    shape : tuple
        Of the result.
    dtype : dtype
        Of the result.
    """

    order: int
    mode: Mode
    cval: complex
    prefilter: bool
    coordinates: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def parts(self, source: Array, out: Array) -> Iterator[tuple[Array, Array, SplineOptions]]:
        """Real source, target and spline; for a complex array those of its real and imaginary part."""
        cval = complex(self.cval)
        spline = SplineOptions.of(self.order, self.mode, cval.real, self.prefilter)
        if source.dtype.kind != "c":
            yield source, out, spline
            return
        yield source.real, out.real, spline
        yield source.imag, out.imag, replace(spline, cval=cval.imag)

    def filtered(self, backend: Backend, source: Array, spline: SplineOptions) -> Array:
        """Coefficients, on the device, of an array on either side; the array itself where it needs none."""
        source = source if is_on_gpu(source) else backend.upload(_native(source))
        return backend.spline_coefficients(source, spline) if self.prefilter and self.order > 1 else source


def interpolate(
    backend: Backend, source: Array, request: Request, output: Array | None, *, requested: bool = True
) -> Array | None:
    """Interpolate on a GPU, whether arrays are there or on the host.

    Parameters
    ----------
    backend : Backend
        Of the GPU.
    source : array
        To interpolate.
    request : Request
        How, and where.
    output : array, optional
        Where to write; without it the result is on the GPU if `source` or the coordinates are.
    requested : bool
        Whether this GPU was requested, by name or by arrays on it.

    Returns
    -------
    array or None
        None where the GPU was not requested and is short of memory, which is logged as a warning.
    """
    if source.size == 0 and math.prod(request.shape):
        raise UsageError(f"input has shape {source.shape} and no elements to interpolate")
    if any(map(is_on_gpu, (source, request.coordinates, output))):
        return _on_gpu(backend, source, request, output)
    out = np.empty(request.shape, request.dtype) if output is None else output
    try:
        for part, target, spline in request.parts(source, out):
            with backend.session():
                coefficients = request.filtered(backend, part, spline)
            _streamed(backend, coefficients, request.coordinates, spline, target)
    except DeviceMemoryError as error:
        if requested:
            raise
        _log.warning("interpolating on the CPU: %s", error)
        return None
    return out


def _on_gpu(backend: Backend, source: Array, request: Request, output: Array | None) -> Array:
    """Interpolate where at least one array is on the GPU; an `output` on the host is filled from there."""
    with backend.session():
        dtype = request.dtype.newbyteorder("=")
        fits = is_on_gpu(output) and output.flags.c_contiguous and output.dtype.kind != "c"  # type: ignore[union-attr]
        out = output if fits else backend.empty(request.shape, dtype)
        coordinates = request.coordinates
        if not isinstance(coordinates, AffineCoordinates) and not is_on_gpu(coordinates):
            coordinates = backend.upload(_as_coordinates(coordinates))
        for part, target, spline in request.parts(source, out):
            whole = target if target.flags.c_contiguous else backend.empty(request.shape, target.dtype)
            coefficients = request.filtered(backend, part, spline)
            if isinstance(coordinates, AffineCoordinates):
                for slab in slabs(whole.shape, MOST_ELEMENTS):
                    backend.interpolate(coefficients, coordinates.slab(slab), spline, out=whole[slab])
            else:
                backend.interpolate(coefficients, coordinates, spline, out=whole)
            if whole is not target:
                target[...] = whole
        if output is None or fits:
            return out
        if is_on_gpu(output):
            output[...] = out
        else:
            backend.download(out, output)
        return output


def _streamed(
    backend: Backend, coefficients: Array, coordinates: Coordinates, spline: SplineOptions, out: NDArray[Any]
) -> None:
    """Upload coordinates and download results slab by slab, along the longest axis, affine ones along the first."""
    affine = coordinates if isinstance(coordinates, AffineCoordinates) else None
    axis = int(np.argmax(out.shape)) if affine is None else 0
    target = np.moveaxis(out, axis, 0)

    def run(slab: slice) -> None:
        with backend.session():
            here = affine.slab(slab) if affine else backend.upload(_as_coordinates(_along(coordinates, axis)[:, slab]))
            part = backend.empty(target[slab].shape, out.dtype.newbyteorder("="))
            backend.download(backend.interpolate(coefficients, here, spline, out=part), target[slab])

    run_concurrently(run, slabs(target.shape, SLAB), backend, coefficients)


def run_concurrently(
    run: Callable[[Any], object], parts: Iterator[Any], backend: Backend, shared: Array | None = None
) -> None:
    """Call a function for each part, on a GPU `CONCURRENT` at a time, so that copies and kernels overlap.

    Parameters
    ----------
    run : callable
        Processes a part, in a session of its own.
    parts : iterator
        Its arguments.
    backend : Backend
        Where they run.
    shared : array of the backend, optional
        Array that all parts read; waited for, since the calling thread may have it still under way.
    """
    if backend.name != "cuda":
        for part in parts:
            run(part)
        return
    if shared is not None:
        backend.download(shared.reshape(-1)[:1])  # synchronises: other threads use other streams
    with ThreadPoolExecutor(CONCURRENT) as pool:
        list(pool.map(run, parts))


def _along(coordinates: Array, axis: int) -> Array:
    return np.moveaxis(coordinates, axis + 1, 1)


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _as_coordinates(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, np.float32 if array.dtype.name == "float32" else np.float64)
