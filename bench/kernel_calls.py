"""The operations of the backend interface as `kernels.py` times them, and the bytes that each of them must move."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from warpline.backends import Array, Backend
from warpline.backends.arrays import halved
from warpline.backends.convergence import ConvergenceRule, new_trace
from warpline.backends.descriptors import CHANNELS
from warpline.backends.motion import Placement
from warpline.backends.splines import AffineCoordinates, SplineOptions
from warpline.metrics import Samples
from warpline.metrics.mutual_information import MutualInformation
from warpline.registration.affine_parameters import AffineParameters
from warpline.registration.multi_start import MultiStartBfgs
from warpline.registration.objective import AffineObjective
from warpline.space.grid import Grid, Matrix, Shape

Call = Callable[[], object]

POINTS = 60_000
"""Sample points of a linear level, as in the default recipe."""
BINS = 32
FLOOR = 2e-3


class KernelInputs:
    """Smooth random inputs on a grid of `shape`, on the device.

    Parameters
    ----------
    backend : Backend
        Where they are put.
    shape : (I, J, K)
        Of every volume and field.
    """

    def __init__(self, backend: Backend, shape: Shape) -> None:
        draw = np.random.default_rng(0)
        self.backend, self.shape = backend, shape
        self.fixed, self.moving = (self._volume(draw) for _ in range(2))
        self.field, self.update = self._field(draw, 3.0), self._field(draw, 1.0)
        self.labels = backend.upload(draw.integers(0, 100, shape, dtype=np.uint16))
        self.mask = backend.upload(np.ones(shape, np.float32))
        self.inside = backend.upload(np.ones(shape, np.uint8))
        self.points = backend.upload(draw.uniform(0, np.array(shape) - 1, (POINTS, 3)).astype(np.float32))
        self.values = backend.upload(draw.uniform(2, BINS - 3, POINTS).astype(np.float32))
        self.matrix = turned(shape)

    def _volume(self, draw: np.random.Generator) -> Array:
        noise = self.backend.upload(draw.uniform(2, BINS - 3, self.shape).astype(np.float32))
        smoothed = self.volume()
        self.backend.smooth(noise, (1.5, 1.5, 1.5), out=smoothed)
        return smoothed

    def _field(self, draw: np.random.Generator, longest: float) -> Array:
        noise = self.backend.upload(draw.standard_normal((3, *self.shape), dtype=np.float32))
        smoothed = self.new_field()
        norm = self.backend.zeros((1,), np.float32)
        self.backend.smooth(noise, (4.0, 4.0, 4.0), out=smoothed, out_norm=norm)
        smoothed *= np.float32(longest / float(self.backend.download(norm)[0]))
        return smoothed

    def coordinates(self) -> Array:
        """Where the field points to, written down: (3, I, J, K) float32 in voxels."""
        return self.field + self.backend.upload(np.indices(self.shape, dtype=np.float32))

    def volume(self) -> Array:
        """An uninitialised volume."""
        return self.backend.empty(self.shape)

    def new_field(self) -> Array:
        """An uninitialised field."""
        return self.backend.empty((3, *self.shape))


def turned(shape: Shape) -> Matrix:
    """A small turn and stretch about the centre of the grid, voxel to voxel."""
    matrix, centre = np.eye(4), (np.array(shape) - 1) / 2
    matrix[:3, :3] = Rotation.from_euler("xyz", (0.05, -0.08, 0.1)).as_matrix() * 1.03
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    return matrix


@dataclass(frozen=True)
class Operation:
    """One thing to time.

    Attributes
    ----------
    units : str
        What `nbytes` is counted per: ``"voxel"``, ``"point"`` or ``"call"``.
    nbytes : float
        Bytes that must move per unit: every input read once, every output written once.
    prepare : callable
        From a inputs to the call that is timed; what it allocates is not timed.
    again : float
        Bytes per unit beyond those, which the GPU's kernels move because they go over the data more than once.
    """

    units: str
    nbytes: float
    prepare: Callable[[KernelInputs], Call]
    again: float = 0.0


def _sample(**options: Any) -> Callable[[KernelInputs], Call]:
    """Through the matrix (``matrix=True``) and the field (``field=True``), of the labels with order 0."""

    def prepare(s: KernelInputs) -> Call:
        volume = s.labels if options.get("order") == 0 else s.moving
        out = s.backend.empty(s.shape, volume.dtype)
        matrix = s.matrix if options.get("matrix") else None
        given = {"field": s.field if options.get("field") else None, "order": options.get("order", 1)}
        return lambda: s.backend.sample(volume, matrix, shape=s.shape, out=out, **given)

    return prepare


def _interpolate(order: int, given: bool = False) -> Callable[[KernelInputs], Call]:
    """By SciPy's rules, at coordinates or through the matrix; of the labels with order 0. It finds coefficients too."""

    def prepare(s: KernelInputs) -> Call:
        volume, spline = s.labels if order == 0 else s.moving, SplineOptions.of(order, "constant", 0.0, prefilter=True)
        out = s.backend.empty(s.shape, volume.dtype)
        coordinates = s.coordinates() if given else AffineCoordinates.of(s.matrix[:3, :3], s.matrix[:3, 3], s.shape)

        def call() -> Array:
            found = s.backend.spline_coefficients(volume, spline) if order > 1 else volume
            return s.backend.interpolate(found, coordinates, spline, out=out)

        return call

    return prepare


def _spline_coefficients(s: KernelInputs) -> Call:
    return lambda: s.backend.spline_coefficients(s.moving, SplineOptions(3, "mirror"))


def _sample_field(s: KernelInputs) -> Call:
    out = s.new_field()
    return lambda: s.backend.sample_field(s.field, s.matrix, s.shape, out=out)


def _gradient(s: KernelInputs) -> Call:
    out = s.new_field()
    return lambda: s.backend.gradient(s.fixed, out=out)


def _smooth(sigma: float, of: str) -> Callable[[KernelInputs], Call]:
    def prepare(s: KernelInputs) -> Call:
        given = getattr(s, of)
        out = s.backend.empty(given.shape)
        return lambda: s.backend.smooth(given, (sigma,) * 3, out=out)

    return prepare


def _downsample(factor: int) -> Callable[[KernelInputs], Call]:
    def prepare(s: KernelInputs) -> Call:
        out = s.backend.empty(tuple(max(1, n // factor) for n in s.shape))
        return lambda: s.backend.downsample(s.fixed, (float(factor),) * 3, out=out)

    return prepare


def _halve(s: KernelInputs) -> Call:
    fields = _both(s, s.field, s.update)
    out = s.backend.empty(halved(fields.shape))
    return lambda: s.backend.halve(fields, out=out)


def _add_doubled(s: KernelInputs) -> Call:
    out, norm = _both(s, s.field, s.update), s.backend.zeros((2,), np.float32)
    coarse = s.backend.zeros(halved(out.shape))
    return lambda: s.backend.add_doubled(coarse, 1.0, out=out, out_norm=norm)


def _local_cc(radius: int, masked: bool) -> Callable[[KernelInputs], Call]:
    def prepare(s: KernelInputs) -> Call:
        outs = {"out_fixed": s.new_field(), "out_moving": s.new_field(), "value": s.backend.zeros((1,), np.float64)}
        mask = s.mask if masked else None
        return lambda: s.backend.local_cc(s.fixed, s.moving, radius, contrast_floor=FLOOR, mask=mask, **outs)

    return prepare


def _squared_difference(s: KernelInputs) -> Call:
    outs = {"out_fixed": s.new_field(), "out_moving": s.new_field(), "value": s.backend.zeros((1,), np.float64)}
    return lambda: s.backend.squared_difference(s.fixed, s.moving, mask=None, **outs)


def _mutual_information_forces(s: KernelInputs) -> Call:
    outs = {"out_fixed": s.new_field(), "out_moving": s.new_field(), "value": s.backend.zeros((1,), np.float64)}
    return lambda: s.backend.mutual_information_forces(s.fixed, s.moving, 64, span=(-1.25, 1.25), mask=None, **outs)


def _describe(s: KernelInputs) -> Call:
    out = s.backend.empty((*s.shape, CHANNELS), np.uint8)
    return lambda: s.backend.descriptors.describe(s.fixed, floor=0.03, out=out)


def _warp_descriptors(s: KernelInputs) -> Call:
    both, out = (s.backend.zeros((2, *s.shape, CHANNELS), np.uint8) for _ in range(2))
    fields = _both(s, s.field, s.update)
    return lambda: s.backend.descriptors.warp(both, fields, out=out)


def _descriptor_forces(s: KernelInputs) -> Call:
    both = s.backend.zeros((2, *s.shape, CHANNELS), np.uint8)
    outs = {"out_fixed": s.new_field(), "out_moving": s.new_field(), "value": s.backend.zeros((1,), np.float64)}
    return lambda: s.backend.descriptors.forces(both[0], both[1], mask=None, **outs)


def _map_values(s: KernelInputs) -> Call:
    curve, out = s.backend.upload(np.cos(np.arange(128, dtype=np.float32))), s.volume()
    return lambda: s.backend.map_values(s.fixed, curve, (2.0, BINS - 3.0), out=out)


def _add_weighted(s: KernelInputs) -> Call:
    weight, out = s.backend.upload(np.ones(1, np.float32)), s.new_field()
    return lambda: s.backend.add_weighted(s.field, weight, out=out, start=True)


def _compose(s: KernelInputs) -> Call:
    out, norm = s.new_field(), s.backend.upload(np.array([2.0], np.float32))
    return lambda: s.backend.compose(s.field, s.update, norm=norm, step=0.5, out=out)


def _invert(s: KernelInputs) -> Call:
    start, out = s.backend.upload(-s.backend.download(s.field)), s.new_field()
    return lambda: s.backend.invert(s.field, start=start, tolerance=1e-2, iterations=50, out=out)


def _jacobian(s: KernelInputs) -> Call:
    out = s.volume()
    return lambda: s.backend.jacobian(s.field, out=out)


def _least_jacobian(s: KernelInputs) -> Call:
    out = s.volume()
    return lambda: s.backend.least_jacobian(s.field, out=out)


def _unfold(s: KernelInputs) -> Call:
    return lambda: s.backend.unfold(s.field, limit=-math.inf, target=0.1, sweeps=1)  # which finds nothing to raise


def _statistics(of: str) -> Callable[[KernelInputs], Call]:
    return lambda s: lambda: s.backend.statistics(getattr(s, of), 0.99)


def _sums(s: KernelInputs) -> Call:
    return lambda: s.backend.sums(s.fixed, mask=s.inside)


def _extent(s: KernelInputs) -> Call:
    return lambda: s.backend.extent(s.fixed, s.matrix)


def _sample_at(s: KernelInputs) -> Call:
    return lambda: s.backend.sample_at(s.moving, s.points)


def _affine_moments(s: KernelInputs) -> Call:
    return lambda: s.backend.affine_moments(s.points, s.values, s.moving, s.matrix)


FITS, ROWS = 8, 11
"""Volumes that are fitted in one call, and numbers of a point: a rigid fit."""


def _placed(s: KernelInputs) -> Placement:
    bounds = np.array([(0.0, n - 1.0) for n in s.shape])
    return Placement(np.zeros(FITS, np.intp), np.stack([s.matrix] * FITS), bounds)


def _motion_coefficients(s: KernelInputs) -> Call:
    volumes = s.moving[None]
    return lambda: s.backend.motion.coefficients(volumes, (1.0, 1.0, 1.0))


def _motion_inputs(s: KernelInputs) -> tuple[Array, Array, Array]:
    """Coefficients, rows of the points, and room for values."""
    coefficients = s.backend.motion.coefficients(s.moving[None], (1.0, 1.0, 1.0))
    rows = np.random.default_rng(0).normal(size=(len(s.points), ROWS)).astype(np.float32)
    return coefficients, s.backend.upload(rows), s.backend.zeros((FITS, len(rows)))


def _motion_sums(s: KernelInputs) -> Call:
    (coefficients, rows, values), placed = _motion_inputs(s), _placed(s)
    return lambda: s.backend.motion.sums(coefficients, s.points, rows, placed, values=values)


def _motion_gram(s: KernelInputs) -> Call:
    _, rows, values = _motion_inputs(s)
    return lambda: s.backend.motion.gram(rows, values)


def _motion_residuals(s: KernelInputs) -> Call:
    _, rows, values = _motion_inputs(s)
    return lambda: s.backend.motion.residuals(values, rows, np.ones((FITS, ROWS)))


def _mutual_information(many: int, slopes: bool) -> Callable[[KernelInputs], Call]:
    def prepare(s: KernelInputs) -> Call:
        matrices = np.stack([s.matrix] * many)
        return lambda: s.backend.mutual_information(s.points, s.values, s.moving, matrices, BINS, slopes=slopes)

    return prepare


def _minimise_affine(s: KernelInputs) -> Call:
    """A search of at most 15 steps, as a linear stage runs it."""
    samples = Samples(s.points, s.values, s.moving, s.backend)
    grid = Grid(s.shape, np.eye(4))
    comparison = AffineObjective(MutualInformation(samples, BINS), grid, grid)
    descent = MultiStartBfgs(comparison, AffineParameters.named("affine", grid.centre, 50.0), s.matrix[None])
    return lambda: descent.run(15)


def _update_convergence(s: KernelInputs) -> Call:
    energy, step = s.backend.upload(np.array([-0.5])), s.backend.upload(np.ones(1, np.float32))
    trace = s.backend.upload(new_trace(10_000))  # more than there are calls
    return lambda: s.backend.update_convergence(energy, trace=trace, step=step, rule=ConvergenceRule(5, 1e-6))


def _keep_best_state(s: KernelInputs) -> Call:
    """A field whose energy is the lowest."""
    best, trace = s.backend.empty(s.field.shape), s.backend.upload(new_trace(1))
    energy = s.backend.upload(np.array([-0.5]))
    return lambda: s.backend.keep_best_state(s.field, energy, best=best, trace=trace)


def _both(s: KernelInputs, one: Array, other: Array) -> Array:
    """Two volumes or fields side by side, as SyN holds those of either side."""
    stacked = s.backend.empty((2, *one.shape))
    stacked[0], stacked[1] = one, other
    return stacked


def _sample_both(s: KernelInputs) -> Call:
    volumes, fields, out = _both(s, s.fixed, s.moving), _both(s, s.field, s.update), s.backend.empty((2, *s.shape))
    return lambda: s.backend.sample(volumes, field=fields, out=out)


def _smooth_both(sigma: float) -> Callable[[KernelInputs], Call]:
    def prepare(s: KernelInputs) -> Call:
        fields = _both(s, s.field, s.update)
        out = s.backend.empty(fields.shape)
        return lambda: s.backend.smooth(fields, (sigma,) * 3, out=out)

    return prepare


def _compose_both(s: KernelInputs) -> Call:
    outer, inner = _both(s, s.field, s.update), _both(s, s.update, s.field)
    out, norm = s.backend.empty(outer.shape), s.backend.upload(np.array([2.0, 3.0], np.float32))
    return lambda: s.backend.compose(outer, inner, norm=norm, step=0.5, out=out)


# Passes over the data: a filter along one axis after the other reads and writes all of it each time; a quantile takes
# three, of which the first writes the lengths of vectors.
# Spline coefficients of `interpolate` are doubles: 8 bytes, written three times and read three times.
# Bytes per voxel: a float32 volume or component counts 4, a field 12, uint16 labels 2, descriptors 16; input and output
# alike.
# Bytes per point: 12 + 4 for its place and value, 8 x 4 for its neighbours in the volume; sums go to the host.
OPERATIONS: dict[str, Operation] = {
    "sample linear, field": Operation("voxel", 4 + 12 + 4, _sample(field=True)),
    "sample linear, matrix": Operation("voxel", 4 + 4, _sample(matrix=True)),
    "sample linear, matrix and field": Operation("voxel", 4 + 12 + 4, _sample(matrix=True, field=True)),
    "sample cubic, matrix": Operation("voxel", 4 + 4, _sample(matrix=True, order=3), 3 * (4 + 4)),
    "sample nearest, matrix": Operation("voxel", 2 + 2, _sample(matrix=True, order=0)),
    "sample nearest, matrix and field": Operation("voxel", 2 + 12 + 2, _sample(matrix=True, field=True, order=0)),
    "sample_field": Operation("voxel", 12 + 12, _sample_field),
    "interpolate nearest, matrix": Operation("voxel", 2 + 2, _interpolate(0)),
    "interpolate linear, matrix": Operation("voxel", 4 + 4, _interpolate(1)),
    "interpolate linear, coordinates": Operation("voxel", 4 + 12 + 4, _interpolate(1, given=True)),
    "interpolate cubic, matrix": Operation("voxel", 4 + 4, _interpolate(3), 6 * 8),
    "interpolate cubic, coordinates": Operation("voxel", 4 + 12 + 4, _interpolate(3, given=True), 6 * 8),
    "interpolate quintic, matrix": Operation("voxel", 4 + 4, _interpolate(5), 6 * 8),
    "spline_coefficients": Operation("voxel", 4, _spline_coefficients, 5 * 8),
    "gradient": Operation("voxel", 4 + 12, _gradient),
    "smooth field 1.5": Operation("voxel", 12 + 12, _smooth(1.5, "field")),
    "smooth field 0.42": Operation("voxel", 12 + 12, _smooth(0.42, "field")),
    "smooth volume 1.5": Operation("voxel", 4 + 4, _smooth(1.5, "fixed")),
    "smooth volume 4": Operation("voxel", 4 + 4, _smooth(4.0, "fixed"), 2 * (4 + 4)),
    "smooth field 1.5, two at once": Operation("voxel", 2 * (12 + 12), _smooth_both(1.5)),
    "smooth field 0.42, two at once": Operation("voxel", 2 * (12 + 12), _smooth_both(0.42)),
    "compose, two at once": Operation("voxel", 2 * (2 * 12 + 12), _compose_both),
    "sample linear, field, two at once": Operation("voxel", 2 * (4 + 12 + 4), _sample_both),
    "downsample 2": Operation("voxel", 4 + 4 / 8, _downsample(2), 2 * (4 / 2 + 4 / 4)),
    "downsample 4": Operation("voxel", 4 + 4 / 64, _downsample(4), 2 * (4 / 4 + 4 / 16)),
    "halve, two at once": Operation("voxel", 2 * (12 + 12 / 8), _halve),
    "add_doubled, two at once": Operation("voxel", 2 * (12 / 8 + 12), _add_doubled),
    "local_cc radius 2": Operation("voxel", 2 * 4 + 2 * 12, _local_cc(2, masked=False)),
    "local_cc radius 2, mask": Operation("voxel", 3 * 4 + 2 * 12, _local_cc(2, masked=True)),
    "local_cc radius 4": Operation("voxel", 2 * 4 + 2 * 12, _local_cc(4, masked=False)),
    "local_cc radius 4, mask": Operation("voxel", 3 * 4 + 2 * 12, _local_cc(4, masked=True)),
    "squared_difference": Operation("voxel", 2 * 4 + 2 * 12, _squared_difference),
    "mutual_information_forces": Operation("voxel", 2 * 4 + 2 * 12, _mutual_information_forces, 2 * 4),
    "descriptors.describe": Operation("voxel", 4 + 16, _describe),
    "descriptors.warp, two at once": Operation("voxel", 2 * (16 + 12 + 16), _warp_descriptors),
    "descriptors.forces": Operation("voxel", 2 * 16 + 2 * 12, _descriptor_forces),
    "map_values": Operation("voxel", 4 + 4, _map_values),
    "add_weighted, the first of a sum": Operation("voxel", 12 + 12, _add_weighted),
    "compose": Operation("voxel", 2 * 12 + 12, _compose),
    "invert": Operation("voxel", 2 * 12 + 12, _invert),
    "jacobian": Operation("voxel", 12 + 4, _jacobian),
    "least_jacobian": Operation("voxel", 12 + 4, _least_jacobian),
    "unfold": Operation("voxel", 12, _unfold, 4),
    "statistics of a field": Operation("voxel", 12, _statistics("field"), 3 * 4),
    "statistics of a volume": Operation("voxel", 4, _statistics("fixed"), 2 * 4),
    "sums": Operation("voxel", 4 + 1, _sums),
    "extent": Operation("voxel", 4, _extent),
    "sample_at": Operation("point", 12 + 8 * 4 + 4, _sample_at),
    "affine_moments": Operation("point", 12 + 4 + 8 * 4, _affine_moments),
    "mutual_information": Operation("point", 2 * (12 + 4 + 8 * 4), _mutual_information(1, slopes=True)),
    "mutual_information, 16 values": Operation("point", 12 + 4 + 16 * 8 * 4, _mutual_information(16, slopes=False)),
    "minimise_affine, 16 evaluations": Operation("call", 16 * POINTS * 2 * (12 + 4 + 8 * 4), _minimise_affine),
    "motion.coefficients": Operation("voxel", 4, _motion_coefficients, 4 + 4 + 5 * 8),
    "motion.sums, 8 volumes": Operation("point", FITS * (12 + 4 * ROWS + 4), _motion_sums),
    "motion.gram, 8 volumes": Operation("point", FITS * (4 * ROWS + 4), _motion_gram),
    "motion.residuals, 8 volumes": Operation("point", FITS * (4 * ROWS + 8), _motion_residuals),
    "keep_best_state": Operation("voxel", 12 + 12, _keep_best_state),
    "update_convergence": Operation("call", 8 + 8 + 2 * 8 + 4, _update_convergence),
}

# One iteration of SyN: warp both images, local_cc, then for either field smooth, compose, smooth.
ITERATION_BYTES = 2 * (4 + 12 + 4) + (2 * 4 + 2 * 12) + 2 * (24 + 36 + 24)
