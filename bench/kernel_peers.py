"""What scipy.ndimage, or cupyx.scipy.ndimage on a GPU, does in place of operations of `kernel_calls.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernel_calls import Call, KernelInputs


def _map_coordinates(order: int, mode: str) -> Callable[[KernelInputs, Any], Call]:
    def prepare(s: KernelInputs, ndimage: Any) -> Call:
        out, at = s.volume(), s.coordinates()  # as by a caller who keeps them beside the field
        return lambda: ndimage.map_coordinates(s.moving, at, order=order, mode=mode, output=out)

    return prepare


def _affine_transform(order: int) -> Callable[[KernelInputs, Any], Call]:
    def prepare(s: KernelInputs, ndimage: Any) -> Call:
        volume = s.labels if order == 0 else s.moving
        out, matrix = s.backend.empty(s.shape, volume.dtype), s.backend.upload(s.matrix)
        return lambda: ndimage.affine_transform(volume, matrix, order=order, mode="constant", output=out)

    return prepare


def _gaussian(sigma: float, of: str) -> Callable[[KernelInputs, Any], Call]:
    def prepare(s: KernelInputs, ndimage: Any) -> Call:
        parts = list(getattr(s, of)) if of == "field" else [getattr(s, of)]
        outs = [s.volume() for _ in parts]
        how = {"mode": "nearest", "truncate": 3.0}
        return lambda: [
            ndimage.gaussian_filter(part, sigma, output=out, **how) for part, out in zip(parts, outs, strict=True)
        ]

    return prepare


PEERS: dict[str, Callable[[KernelInputs, Any], Call]] = {
    "sample linear, field": _map_coordinates(1, "nearest"),
    "sample linear, matrix": _affine_transform(1),
    "sample cubic, matrix": _affine_transform(3),
    "sample nearest, matrix": _affine_transform(0),
    "interpolate nearest, matrix": _affine_transform(0),
    "interpolate linear, matrix": _affine_transform(1),
    "interpolate linear, coordinates": _map_coordinates(1, "constant"),
    "interpolate cubic, matrix": _affine_transform(3),
    "interpolate cubic, coordinates": _map_coordinates(3, "constant"),
    "interpolate quintic, matrix": _affine_transform(5),
    "smooth field 1.5": _gaussian(1.5, "field"),
    "smooth field 0.42": _gaussian(0.42, "field"),
    "smooth volume 1.5": _gaussian(1.5, "fixed"),
    "smooth volume 4": _gaussian(4.0, "fixed"),
}
"""What does the same as an operation, where there is one: ``prepare(inputs, ndimage)``."""
