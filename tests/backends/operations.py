"""One typical call of every operation, for tests that hold for all of them."""

from __future__ import annotations

import numpy as np

from synthetic import ellipsoid, general_matrix, label_map, smooth_field, smooth_volume, wide_field

SHAPE = (13, 11, 9)
FIXED, MOVING = smooth_volume(SHAPE, 1), smooth_volume(SHAPE, 2)
FIELD, ROUGH = smooth_field(SHAPE, 3), wide_field(SHAPE, 4)
MASK = ellipsoid(SHAPE).astype(np.uint8)
MATRIX = general_matrix(SHAPE, 5)
MATRICES = np.stack([general_matrix(SHAPE, seed) for seed in range(5, 12)])
POINTS = np.random.default_rng(6).uniform(-1, 13, (2000, 3)).astype(np.float32)
VALUES = np.random.default_rng(7).uniform(2, 13, 2000).astype(np.float32)
BINNED = 2 + 11 * MOVING
TABLE = np.random.default_rng(8).normal(size=(16, 16))


def _sampled(order, array=FIXED):
    return lambda b, up: [b.sample(up(array), MATRIX, field=up(ROUGH), order=order)]


def _smooth(b, up):
    out = b.empty(FIELD.shape)
    return [b.smooth(up(FIELD), (1.5, 0.4, 0.0), out=out), out]


def _downsample(b, up):
    return [b.downsample(up(FIXED), (2.0, 2.0, 1.0), out=b.empty((7, 6, 9)))]


def _local_cc(b, up):
    outs = [b.empty(FIELD.shape), b.empty(FIELD.shape), b.empty((1,))]
    keys = dict(zip(("out_fixed", "out_moving", "value"), outs, strict=True))
    b.local_cc(up(FIXED), up(MOVING), 2, floor=1e-5, mask=up(MASK), **keys)
    return outs


def _squared_difference(b, up):
    outs = [b.empty(FIELD.shape), b.empty(FIELD.shape), b.empty((1,))]
    keys = dict(zip(("out_fixed", "out_moving", "value"), outs, strict=True))
    b.squared_difference(up(FIXED), up(MOVING), mask=up(MASK), **keys)
    return outs


def _compose(b, up):
    norm = up(np.array([2.0], dtype=np.float32))
    return [b.compose(up(FIELD), up(ROUGH), norm=norm, step=0.25, out=b.empty(FIELD.shape))]


def _invert(b, up):
    out = b.empty(FIELD.shape)
    return [b.invert(up(FIELD), start=up(-FIELD), tolerance=1e-3, iterations=20, out=out), out]


def _joint_histogram(b, up):
    return [b.joint_histogram(up(POINTS), up(VALUES), up(BINNED), MATRICES, 16, mask=up(MASK))]


def _histogram_derivative(b, up):
    return [b.histogram_derivative(up(POINTS), up(VALUES), up(BINNED), MATRIX, TABLE, mask=up(MASK))]


OPERATIONS = {
    "sample nearest": _sampled(0, label_map(SHAPE, np.int16)),
    "sample linear": _sampled(1),
    "sample cubic": _sampled(3),
    "sample through a field": lambda b, up: [b.sample(up(FIXED), field=up(ROUGH))],
    "sample_field": lambda b, up: [b.sample_field(up(FIELD), MATRIX, (7, 8, 9))],
    "gradient": lambda b, up: [b.gradient(up(FIXED))],
    "smooth": _smooth,
    "downsample": _downsample,
    "local_cc": _local_cc,
    "squared_difference": _squared_difference,
    "compose": _compose,
    "invert": _invert,
    "jacobian": lambda b, up: [b.jacobian(up(FIELD))],
    "length_statistics": lambda b, up: [b.length_statistics(up(ROUGH), 0.9, mask=up(MASK))],
    "affine_moments": lambda b, up: b.affine_moments(up(POINTS), up(VALUES), up(FIXED), MATRIX, mask=up(MASK)),
    "joint_histogram": _joint_histogram,
    "histogram_derivative": _histogram_derivative,
}
"""Name to ``call(backend, upload) -> arrays of the backend``."""


def results(name, backend, upload=None):
    """Host arrays that one operation returns; `upload` puts each input on the device."""
    return [np.array(backend.download(array)) for array in OPERATIONS[name](backend, upload or backend.upload)]
