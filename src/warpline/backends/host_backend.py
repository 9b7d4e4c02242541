"""What the backends on the CPU share: arrays of NumPy, SciPy's splines, loops, and stacks of volumes one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import convergence, scipy_splines
from warpline.backends.affine_problem import AffineFamily, BfgsOptions, MetricInputs
from warpline.backends.arrays import Array, Matrix, Shape, halved
from warpline.backends.image_cache import ImageCache
from warpline.backends.splines import AffineCoordinates, SplineOptions

Doubles = NDArray[np.float64]
Sigma = tuple[float, float, float]


class HostBackend:
    """Operations of `warpline.backends.interface.Backend` that are the same on every CPU backend.

    Parameters
    ----------
    threads : int, optional
        CPU threads to use.
    """

    on_host = True
    ordinal: int | None = None

    def __init__(self, threads: int = 1) -> None:
        self.threads, self.cache = threads, ImageCache()
        self.device = f"CPU, {threads} thread{'s' if threads > 1 else ''}"

    def upload(self, array: NDArray[Any]) -> Array:
        # writable too: a read-only array is another type to numba, and would compile every kernel again
        return np.require(array, requirements=("C", "W"))

    def download(self, array: Array, out: NDArray[Any] | None = None) -> NDArray[Any]:
        return np.asarray(array) if out is None else to_out(array, out)

    def download_later(self, array: Array) -> Callable[[], NDArray[Any]]:
        copied = np.array(array)
        return lambda: copied

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return np.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return np.zeros(shape, dtype)

    def sample(
        self,
        volume: Array,
        matrix: Matrix | None = None,
        *,
        field: Array | None = None,
        shape: Shape | None = None,
        order: int = 1,
        outside: float = 0.0,
        out: Array | None = None,
    ) -> Array:
        if shape is None:
            shape = next(tuple(a.shape[-3:]) for a in (out, field, volume) if a is not None)
        out = np.empty((*volume.shape[:-3], *shape), volume.dtype if order == 0 else np.float32) if out is None else out
        fields = [None] if field is None else _stack(field, 4)
        for one, moved, to in zip(_stack(volume, 3), fields, _stack(out, 3), strict=True):
            self._sample(one, matrix, moved, order=order, outside=outside, out=to)
        return out

    def _sample(
        self, volume: Array, matrix: Matrix | None, field: Array | None, *, order: int, outside: float, out: Array
    ) -> None:
        raise NotImplementedError

    def spline_coefficients(self, array: Array, spline: SplineOptions) -> Array:
        return scipy_splines.spline_coefficients(array, spline, self.threads)

    def interpolate(
        self, array: Array, coordinates: Array | AffineCoordinates, spline: SplineOptions, *, out: Array
    ) -> Array:
        return scipy_splines.interpolate(array, coordinates, spline, self.threads, out)

    def smooth(self, array: Array, sigma: Sigma, *, out: Array | None = None, out_norm: Array | None = None) -> Array:
        out = np.empty(array.shape, np.float32) if out is None else out
        for side, (one, to) in enumerate(zip(_stack(array, 4), _stack(out, 4), strict=True)):
            self._smooth(one, sigma, to, None if out_norm is None else out_norm[side : side + 1])
        return out

    def _smooth(self, array: Array, sigma: Sigma, out: Array, out_norm: Array | None) -> None:
        raise NotImplementedError

    def downsample(self, volume: Array, factors: Sigma, *, out: Array) -> Array:
        for one, coarse in zip(_stack(volume, 3), _stack(out, 3), strict=True):
            self._downsample(one, factors, coarse)
        return out

    def _downsample(self, volume: Array, factors: Sigma, out: Array) -> None:
        raise NotImplementedError

    def halve(self, fields: Array, *, out: Array | None = None) -> Array:
        out = np.empty(halved(fields.shape), np.float32) if out is None else out
        for one, coarse in zip(_stack(fields, 4), _stack(out, 4), strict=True):
            self._halve(one, coarse)
        return out

    def _halve(self, field: Array, out: Array) -> None:
        raise NotImplementedError

    def add_doubled(self, coarse: Array, weight: float, *, out: Array, out_norm: Array | None = None) -> Array:
        for side, (one, to) in enumerate(zip(_stack(coarse, 4), _stack(out, 4), strict=True)):
            self._add_doubled(one, weight, to, None if out_norm is None else out_norm[side : side + 1])
        return out

    def _add_doubled(self, coarse: Array, weight: float, out: Array, out_norm: Array | None) -> None:
        raise NotImplementedError

    def compose(
        self,
        outer: Array,
        inner: Array,
        *,
        norm: Array | None = None,
        least_norm: float = 1e-12,
        step: float | Array = 1.0,
        out: Array,
    ) -> Array:
        length = float(np.asarray(step).item())
        fields = zip(_stack(outer, 4), _stack(inner, 4), _stack(out, 4), strict=True)
        for side, (one, moved, to) in enumerate(fields):
            self._compose(one, moved, length if norm is None else length / max(float(norm[side]), least_norm), to)
        return out

    def _compose(self, outer: Array, inner: Array, scale: float, out: Array) -> None:
        raise NotImplementedError

    def sums(self, volume: Array, *, mask: Array | None = None, out: Array | None = None) -> Array:
        values = volume if mask is None else volume[mask != 0]
        found = [values.size, values.sum(dtype=np.float64), np.square(values, dtype=np.float64).sum()]
        return to_out(np.array(found, np.float64), out)

    def minimise_affine(
        self, inputs: MetricInputs, family: AffineFamily, options: BfgsOptions, on_step: Callable[[int, float], None]
    ) -> Doubles | None:
        """None: there is no device to wait for, so that the caller minimises."""

    def repeat(self, step: Callable[[], None], times: int) -> None:
        for _ in range(times):
            step()

    def keep_best_state(self, state: Array, energy: Array, *, best: Array, trace: Array) -> None:
        if convergence.is_lowest(float(energy[0]), trace):
            best[...] = state

    def update_convergence(
        self, energy: Array, *, trace: Array, step: Array, rule: convergence.ConvergenceRule
    ) -> None:
        convergence.update(float(energy[0]), trace, step, rule)

    def session(self) -> AbstractContextManager[None]:
        return nullcontext()

    def prepare(self, parts: Collection[str]) -> None:
        """Nothing is compiled."""

    def release(self) -> None:
        """There is no pool of memory."""


def to_out(result: Array, out: Array | None) -> Array:
    """The result itself, or `out` with its values."""
    if out is None:
        return result
    out[...] = result
    return out


def rank_statistics(values: NDArray[Any], quantile: float) -> Doubles:
    """Number, mean, value of rank ``min(floor(quantile n), n - 1)``, and maximum of `values` (n,)."""
    count = values.size
    if count == 0:
        return np.zeros(4)
    rank = min(int(quantile * count), count - 1)
    ranked = np.partition(values, rank)[rank]
    return np.array([count, values.mean(dtype=np.float64), ranked, values.max()], dtype=np.float64)


def _stack(array: Array, ndim: int) -> Array:
    """Several volumes or fields of `ndim` axes as they are, a single one as a stack of one."""
    return array if array.ndim > ndim else array[None]
