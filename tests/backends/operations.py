"""Typical calls of every operation, for tests that hold for all of them; with them every kernel runs."""

from __future__ import annotations

from typing import get_args

import numpy as np

import affine_oracles
from synthetic import ellipsoid, general_matrix, label_map, smooth_field, smooth_volume, soft_weights, wide_field
from warpline.backends.affine_problem import ENTRY, ROTATION, SCALE, AffineFamily, Formula, MetricInputs
from warpline.backends.convergence import ConvergenceRule, new_trace
from warpline.backends.motion import Placement
from warpline.backends.splines import AffineCoordinates, SplineOptions
from warpline.registration import bfgs

SHAPE = (7, 18, 35)
"""More than one block of a GPU kernel along j and k."""
FIXED, MOVING = smooth_volume(SHAPE, 1), smooth_volume(SHAPE, 2)
FIELD, ROUGH = smooth_field(SHAPE, 3), wide_field(SHAPE, 4)
MASK = ellipsoid(SHAPE).astype(np.uint8)
WEIGHTS = soft_weights(SHAPE)
MATRIX = general_matrix(SHAPE, 5)
MATRICES = np.stack([general_matrix(SHAPE, seed) for seed in range(5, 12)])
POINTS = np.random.default_rng(6).uniform(-1, 13, (2000, 3)).astype(np.float32)
VALUES = np.random.default_rng(7).uniform(2, 13, 2000).astype(np.float32)
BINNED = 2 + 11 * MOVING
CURVE = np.cos(np.arange(30, dtype=np.float32))

LABELS = ("uint8", "int16", "uint32", "int64")


def _sampled(order, array=FIXED):
    return lambda b, up: [b.sample(up(array), MATRIX, field=up(ROUGH), order=order)]


def _interpolated(order, mode, array=FIXED, prefilter=True, coordinates=None):
    def call(b, up):
        spline, there = SplineOptions.of(order, mode, 0.25, prefilter), up(array)
        coefficients = b.spline_coefficients(there, spline) if prefilter and order > 1 else there
        out = b.empty(SHAPE, array.dtype)
        return [b.interpolate(coefficients, coordinates or up(np.indices(SHAPE) + ROUGH), spline, out=out)]

    return call


def _smoothed(array, *sigma):
    def call(b, up):
        norm = b.zeros((len(array) if array.ndim == 5 else 1,), np.float32)
        return [b.smooth(up(array), sigma, out_norm=norm), norm]

    return call


def _downsample(b, up):
    two = up(np.stack([FIXED, MOVING]))
    return [b.downsample(two, (2.0, 2.0, 1.0), out=b.empty((2, 4, 9, 35)))]


def _add_doubled(b, up):
    sums, norms = up(np.stack([FIELD, ROUGH])).copy(), b.zeros((2,), np.float32)
    return [b.add_doubled(b.halve(up(np.stack([ROUGH, FIELD]))), 2.0, out=sums, out_norm=norms), norms]


def _local_cc(radius, mask=None):
    def call(b, up):
        outs = [b.empty(FIELD.shape), b.empty(FIELD.shape), b.empty((1,))]
        keys = dict(zip(("out_fixed", "out_moving", "value"), outs, strict=True))
        b.local_cc(up(FIXED), up(MOVING), radius, contrast_floor=1e-5, mask=None if mask is None else up(mask), **keys)
        return outs

    return call


def _squared_difference(b, up):
    outs = [b.empty(FIELD.shape), b.empty(FIELD.shape), b.empty((1,))]
    keys = dict(zip(("out_fixed", "out_moving", "value"), outs, strict=True))
    b.squared_difference(up(FIXED), up(MOVING), mask=up(WEIGHTS), **keys)
    return outs


def _off_borders(image, bins, span):
    """Values that lie a quarter of a 256th of a bin from where rounding would decide."""
    part = (span[1] - span[0]) / (bins - 3) / 256
    return (span[0] + part * (np.rint((image - span[0]) / part) + 0.25)).astype(np.float32)


def _mutual_information_forces(bins, mask=None):
    span = (-0.2, 0.9)
    fixed, moving = _off_borders(FIXED, bins, span), _off_borders(MOVING, bins, span)

    def call(b, up):
        outs = [b.empty(FIELD.shape), b.empty(FIELD.shape), b.empty((1,))]
        keys = dict(zip(("out_fixed", "out_moving", "value"), outs, strict=True), span=span)
        b.mutual_information_forces(up(fixed), up(moving), bins, mask=None if mask is None else up(mask), **keys)
        return outs

    return call


BLOCKS, FLOOR = label_map(SHAPE, np.float32, (0, 1, 1)), 0.065
"""An image, and noise, for which descriptors lie off the borders of rounding, by 0.019 of a step."""
DESCRIPTORS = np.random.default_rng(10).integers(0, 128, (2, *SHAPE, 16), dtype=np.uint8)
SIXTEENTHS = np.rint(16 * np.stack([ROUGH, FIELD])) / np.float32(16)
"""Fields between whose voxels every sum is exact, also in single precision."""


def _warp_descriptors(b, up):
    return [b.descriptors.warp(up(DESCRIPTORS), up(SIXTEENTHS), out=b.empty(DESCRIPTORS.shape, np.uint8))]


def _descriptor_forces(kind, mask=None):
    def call(b, up):
        outs = [b.empty(FIELD.shape), b.empty(FIELD.shape), b.empty((1,), kind)]
        keys = dict(zip(("out_fixed", "out_moving", "value"), outs, strict=True))
        b.descriptors.forces(*map(up, DESCRIPTORS), mask=None if mask is None else up(mask), **keys)
        return outs

    return call


PLACEMENT = Placement(np.array([0, 1, 0]), MATRICES[:3], np.array([(0.5, n - 1.5) for n in SHAPE]))
ROWS = np.random.default_rng(11).normal(size=(len(POINTS), 11)).astype(np.float32)


def _motion(b, up):
    values, rows = b.empty((3, len(POINTS))), up(ROWS)
    coefficients = b.motion.coefficients(up(np.stack([FIXED, MOVING])), (0.0, 1.0, 1.5))
    weights = up(np.random.default_rng(12).random(values.shape).astype(np.float32))
    sums = b.motion.sums(coefficients, up(POINTS), rows, PLACEMENT, weights=weights, values=values)
    gram = b.motion.gram(rows, values, weights=weights)
    solutions = np.random.default_rng(13).normal(size=(3, ROWS.shape[1]))
    return [coefficients, sums, gram, b.motion.residuals(values, rows, solutions)]


def _add_weighted(b, up):
    total, weight = b.empty(FIELD.shape), up(np.array([0.7], np.float32))
    for start, field in ((True, FIELD), (False, ROUGH)):
        b.add_weighted(up(field), weight, out=total, start=start)
    return [total]


def _compose(b, up):
    norm = up(np.array([2.0], dtype=np.float32))
    return [b.compose(up(FIELD), up(ROUGH), norm=norm, step=0.25, out=b.empty(FIELD.shape))]


def _invert(b, up):
    residual = b.empty((1,))
    return [b.invert(up(FIELD), start=up(-FIELD), tolerance=1e-3, iterations=20, out_residual=residual), residual]


def _mutual_information(bins):
    def call(b, up):
        given = [up(array) for array in (POINTS, VALUES, BINNED)]
        return [b.mutual_information(*given, MATRICES, bins, slopes=slopes, mask=up(MASK)) for slopes in (False, True)]

    return call


FAMILY = AffineFamily(
    left=np.stack([MATRIX, np.eye(4), general_matrix(SHAPE, 8, spread=0.1)]),
    right=general_matrix(SHAPE, 9, spread=0.05),
    kinds=(ROTATION, ROTATION + 1, ROTATION + 2, SCALE + 0b101, ENTRY + 5), translations=3, radius=20.0,
)  # fmt: skip
"""Searches with every kind of parameter."""


def _minimise_affine(formula):
    def call(b, up):
        options, steps = bfgs.bfgs_options(4, 1e-6, 0.1), []
        fixed = (VALUES if formula == "mutual_information" else VALUES - VALUES.mean()).astype(np.float32)
        moving = (BINNED if formula == "mutual_information" else BINNED - BINNED.mean()).astype(np.float32)
        inputs = MetricInputs(*map(up, (POINTS, fixed, moving)), up(MASK), formula, 16)
        found = b.minimise_affine(inputs, FAMILY, options, lambda *step: steps.append(step))
        if found is None:
            found = affine_oracles.minimise_affine(b, inputs, FAMILY, options, lambda *step: steps.append(step))
        return [found, np.array([value for _, value in sorted(steps, key=lambda step: step[0])])]

    return call


def _keep_best_state(b, up):
    trace, step, best = b.upload(new_trace(3)), b.upload(np.ones(1, np.float32)), b.zeros(FIELD.shape)
    for state, energy in ((FIELD, -0.5), (ROUGH, -0.6), (2 * FIELD, -0.55)):
        b.keep_best_state(up(state), up(np.array([energy])), best=best, trace=trace)
        b.update_convergence(up(np.array([energy])), trace=trace, step=step, rule=ConvergenceRule(5, 1e-3))
    return [trace, best]


def _unfold(b, up):
    field = up(ROUGH).copy()
    b.unfold(field, limit=0.05, target=0.1, sweeps=2)
    return [field]


def _update_convergence(b, up):
    trace, step = b.upload(new_trace(8)), b.upload(np.ones(1, np.float32))
    for energy in (-0.5, -0.6, -0.6, -0.59, -0.601, -0.6):
        b.update_convergence(up(np.array([energy])), trace=trace, step=step, rule=ConvergenceRule(5, 1e-3))
    return [trace, step]


OPERATIONS = {
    **{f"sample nearest, {kind}": _sampled(0, label_map(SHAPE, kind)) for kind in LABELS},
    "sample linear": _sampled(1),
    "sample cubic": _sampled(3),
    "sample through a field": lambda b, up: [b.sample(up(FIXED), field=up(ROUGH))],
    "sample_field": lambda b, up: [b.sample_field(up(FIELD), MATRIX, (7, 8, 9))],
    "interpolate nearest": _interpolated(0, "grid-wrap", label_map(SHAPE, "int64")),
    "interpolate linear": _interpolated(
        1, "reflect", coordinates=AffineCoordinates.of(MATRIX[:3, :3], MATRIX[:3, 3], SHAPE)
    ),
    "interpolate cubic": _interpolated(3, "constant"),
    "interpolate cubic, padded": _interpolated(3, "grid-constant"),
    "interpolate quintic": _interpolated(5, "mirror", prefilter=False),
    "gradient": lambda b, up: [b.gradient(up(FIXED))],
    "smooth": _smoothed(FIELD, 0.8, 1.5, 0.0),
    "smooth few voxels": _smoothed(FIELD, 1.5, 0.4, 0.0),
    "smooth several fields": _smoothed(np.stack([FIELD, ROUGH]), 1.0, 0.0, 1.5),
    "smooth a volume": _smoothed(FIXED, 0.4, 1.5, 1.0),
    "smooth far": _smoothed(FIELD, 2.3, 0.0, 0.5),
    "downsample": _downsample,
    "halve": lambda b, up: [b.halve(up(FIELD)), b.halve(up(np.stack([FIELD, ROUGH])))],
    "add_doubled": _add_doubled,
    "local_cc": _local_cc(2),
    "local_cc in a mask": _local_cc(2, WEIGHTS),
    "local_cc, wide": _local_cc(5),
    "squared_difference": _squared_difference,
    "mutual_information_forces": _mutual_information_forces(32),
    "mutual_information_forces in a mask, many bins": _mutual_information_forces(100, WEIGHTS),
    "descriptors.describe": lambda b, up: [b.descriptors.describe(up(BLOCKS), floor=FLOOR)],
    "descriptors.warp": _warp_descriptors,
    "descriptors.forces": _descriptor_forces(np.float64),
    "descriptors.forces in a mask": _descriptor_forces(np.float32, WEIGHTS),
    "map_values": lambda b, up: [b.map_values(up(FIXED), up(CURVE), (0.1, 0.8))],
    "motion": _motion,
    "add_weighted": _add_weighted,
    "compose": _compose,
    "invert": _invert,
    "jacobian": lambda b, up: [b.jacobian(up(FIELD))],
    "least_jacobian": lambda b, up: [b.least_jacobian(up(ROUGH))],
    "unfold": _unfold,
    "statistics": lambda b, up: [b.statistics(up(ROUGH), 0.9, mask=up(MASK)), b.statistics(up(FIXED), 0.5)],
    "sums": lambda b, up: [b.sums(up(FIXED)), b.sums(up(FIXED), mask=up(MASK))],
    "extent": lambda b, up: [b.extent(up(FIXED), MATRIX)],
    "sample_at": lambda b, up: [b.sample_at(up(FIXED), up(POINTS))],
    "affine_moments": lambda b, up: b.affine_moments(up(POINTS), up(VALUES), up(FIXED), MATRIX, mask=up(MASK)),
    "mutual_information": _mutual_information(16),
    "mutual_information, many bins": _mutual_information(70),
    **{f"minimise_affine, {formula}": _minimise_affine(formula) for formula in get_args(Formula)},
    "update_convergence": _update_convergence,
    "keep_best_state": _keep_best_state,
}
"""Name to ``call(backend, upload) -> arrays of the backend``."""


def results(name, backend, upload=None):
    """Host arrays that one operation returns; `upload` puts each input on the device."""
    found = OPERATIONS[name](backend, upload or backend.upload)
    return [array if isinstance(array, np.ndarray) else backend.download(array) for array in found]
