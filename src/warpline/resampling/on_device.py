"""SciPy's interpolation on a GPU: which one, what SciPy says of the arguments, and slabs that go up and come back."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import BACKENDS, Array, Backend, gpu_works, named, select
from warpline.backends.splines import AffineCoordinates, Coordinates, Mode, SplineOptions
from warpline.errors import DeviceMemoryError, UsageError

_log = logging.getLogger(__name__)

WORTH = 2**20
"""Elements of a result from which on arrays of the host are worth the way to a GPU, where nothing else is asked for."""

SLAB = 2**22
"""Elements of a result that go up and come back at once where arrays lie on the host."""

SIDE_BY_SIDE = 2
"""Slabs under way at once, so that one is copied while another is computed."""

MOST = 2**31
"""Elements of a launch."""


def lies_on_gpu(array: object) -> bool:
    """Whether an array is CuPy's, or another one of a GPU."""
    return hasattr(array, "__cuda_array_interface__")


def _home(name: str, array: Any) -> str:
    """The GPU of an array of CuPy."""
    if not hasattr(array.device, "id"):
        kind = f"{type(array).__module__}.{type(array).__name__}"
        raise UsageError(f"{name} is a {kind} on a GPU, where arrays of CuPy are taken; cupy.asarray makes one of it")
    return f"cuda:{array.device.id}"


def is_asked_for(backend: str | Backend | None, **arrays: Any) -> bool:
    """Whether a backend was chosen by name or by where arrays lie, and not by the size of the result."""
    chosen = not isinstance(backend, str) and backend is not None
    return chosen or named(str(backend or "")) != "auto" or any(map(lies_on_gpu, arrays.values()))


def gpu_for(backend: str | Backend | None, size: int, **arrays: Any) -> Backend | None:
    """The GPU backend that interpolates these arrays; None when the CPU does.

    Parameters
    ----------
    backend : str or Backend, optional
        As `warpline.backends.select` takes it. ``auto`` is the GPU on which an array lies; for arrays of the host the
        GPU where one works and the result has `WORTH` elements or more.
    size : int
        Elements of the result.
    **arrays
        By the names of the arguments.

    Raises
    ------
    UsageError
        When an array lies on another device than the one that was asked for.
    """
    held = {name: array for name, array in arrays.items() if lies_on_gpu(array)}
    given = None if backend is None or isinstance(backend, str) else backend
    wanted = given.name if given else named(backend if isinstance(backend, str) else None)
    if wanted == "auto":
        wanted = "cuda" if held or (size >= WORTH and gpu_works()) else "numpy"
    homes = {_home(name, array) for name, array in held.items()}
    on_gpu = wanted.partition(":")[0] == "cuda"
    if not on_gpu and wanted not in BACKENDS:
        select(wanted)
    if len(homes) > 1 or (homes and wanted not in ("cuda", *homes)):
        where = ", ".join(f"{name} on {_home(name, array)}" for name, array in held.items())
        raise UsageError(f"{where} cannot be read with backend={wanted!r}; leave backend out, or move the arrays")
    return given or select(*homes or (wanted,)) if on_gpu else None


@dataclass(frozen=True)
class Request:
    """What SciPy's arguments ask for.

    Attributes
    ----------
    order, mode, cval, prefilter
        As in `map_coordinates`; `cval` is complex where the input is.
    coordinates : (d, *shape) array or AffineCoordinates
        Where to look.
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
        """Real arrays, where each goes, and the splines: of a complex array its two parts."""
        cval = complex(self.cval)
        spline = SplineOptions.of(self.order, self.mode, cval.real, self.prefilter)
        if source.dtype.kind != "c":
            yield source, out, spline
            return
        yield source.real, out.real, spline
        yield source.imag, out.imag, replace(spline, cval=cval.imag)

    def filtered(self, backend: Backend, source: Array, spline: SplineOptions) -> Array:
        """Coefficients on the device of an array that lies anywhere; the array itself where it needs none."""
        source = source if lies_on_gpu(source) else backend.upload(_native(source))
        return backend.spline_coefficients(source, spline) if self.prefilter and self.order > 1 else source


def interpolate(
    backend: Backend, source: Array, request: Request, output: Array | None, *, asked: bool = True
) -> Array | None:
    """Interpolate on a GPU what lies there or on the host.

    Parameters
    ----------
    backend : Backend
        Of the GPU.
    source : array
        To interpolate.
    request : Request
        How, and where.
    output : array, optional
        Where to write; without it the result lies on the GPU if `source` or the coordinates do.
    asked : bool
        Whether this GPU was asked for, by its name or by arrays that lie there.

    Returns
    -------
    array or None
        None where the GPU was not asked for and is short of memory, which is logged as a warning.
    """
    if source.size == 0 and math.prod(request.shape):
        raise UsageError(f"input has shape {source.shape} and no elements to interpolate")
    if any(map(lies_on_gpu, (source, request.coordinates, output))):
        return _there(backend, source, request, output)
    out = np.empty(request.shape, request.dtype) if output is None else output
    try:
        for part, target, spline in request.parts(source, out):
            with backend.session():
                coefficients = request.filtered(backend, part, spline)
            _up_and_back(backend, coefficients, request.coordinates, spline, target)
    except DeviceMemoryError as error:
        if asked:
            raise
        _log.warning("interpolating on the CPU: %s", error)
        return None
    return out


def _there(backend: Backend, source: Array, request: Request, output: Array | None) -> Array:
    """The result where it is made; a host's `output` is filled from it."""
    with backend.session():
        dtype = request.dtype.newbyteorder("=")
        fits = lies_on_gpu(output) and output.flags.c_contiguous and output.dtype.kind != "c"  # type: ignore[union-attr]
        out = output if fits else backend.empty(request.shape, dtype)
        coordinates = request.coordinates
        if not isinstance(coordinates, AffineCoordinates) and not lies_on_gpu(coordinates):
            coordinates = backend.upload(_as_coordinates(coordinates))
        for part, target, spline in request.parts(source, out):
            whole = target if target.flags.c_contiguous else backend.empty(request.shape, target.dtype)
            coefficients = request.filtered(backend, part, spline)
            if isinstance(coordinates, AffineCoordinates):
                for slab in _slabs(whole.shape, MOST):
                    backend.interpolate(coefficients, coordinates.slab(slab), spline, out=whole[slab])
            else:
                backend.interpolate(coefficients, coordinates, spline, out=whole)
            if whole is not target:
                target[...] = whole
        if output is None or fits:
            return out
        if lies_on_gpu(output):
            output[...] = out
        else:
            backend.download(out, output)
        return output


def _up_and_back(
    backend: Backend, coefficients: Array, coordinates: Coordinates, spline: SplineOptions, out: NDArray[Any]
) -> None:
    """Slab by slab along the longest axis, affine ones along the first."""
    affine = coordinates if isinstance(coordinates, AffineCoordinates) else None
    axis = int(np.argmax(out.shape)) if affine is None else 0
    target = np.moveaxis(out, axis, 0)

    def carry(slab: slice) -> None:
        with backend.session():
            here = affine.slab(slab) if affine else backend.upload(_as_coordinates(_along(coordinates, axis)[:, slab]))
            part = backend.empty(target[slab].shape, out.dtype.newbyteorder("="))
            backend.download(backend.interpolate(coefficients, here, spline, out=part), target[slab])

    side_by_side(carry, _slabs(target.shape, SLAB), backend, coefficients)


def side_by_side(
    carry: Callable[[Any], object], parts: Iterator[Any], backend: Backend, shared: Array | None = None
) -> None:
    """Call a function for each part, on a GPU for `SIDE_BY_SIDE` at once, so that copies and kernels overlap.

    Parameters
    ----------
    carry : callable
        What to do with a part, in a session of its own.
    parts : iterator
        Its arguments.
    backend : Backend
        Where.
    shared : array of the backend, optional
        What all parts read, which the calling thread may have made within a session that goes on.
    """
    if backend.name != "cuda":
        for part in parts:
            carry(part)
        return
    if shared is not None:
        backend.download(shared.reshape(-1)[:1])  # waits: other threads have other streams
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(carry, parts))


def _slabs(shape: tuple[int, ...], most: int) -> Iterator[slice]:
    thick = max(1, most // max(1, math.prod(shape[1:])))
    return (slice(start, min(start + thick, shape[0])) for start in range(0, shape[0], thick))


def _along(coordinates: Array, axis: int) -> Array:
    return np.moveaxis(coordinates, axis + 1, 1)


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _as_coordinates(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, np.float32 if array.dtype.name == "float32" else np.float64)
