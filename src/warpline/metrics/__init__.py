"""Similarity metrics: values to be minimised, each with its own derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from warpline.backends import Array, Backend
from warpline.backends.affine_search import MetricInputs
from warpline.metrics.class_means import ClassMeans
from warpline.metrics.correlation import Correlation
from warpline.metrics.local_cc import LocalCC
from warpline.metrics.mean_squares import MeanSquares
from warpline.metrics.mutual_information import MutualInformation
from warpline.metrics.samples import Doubles, Samples
from warpline.recipe import Linear, Syn

__all__ = ["DEFORMABLE_METRICS", "LINEAR_METRICS", "DeformableMetric", "LinearMetric", "Samples"]


class LinearMetric(Protocol):
    """A metric of two images under an affine map, over sample points of the fixed one."""

    worst: float
    """The value without any overlap."""

    @property
    def backend(self) -> Backend:
        """The backend of its arrays."""

    @property
    def inputs(self) -> MetricInputs:
        """Arrays and formula, for a backend that searches by itself; the worst value must be 0."""

    def values(self, matrices: Doubles) -> tuple[Doubles, Doubles]:
        """Values, and shares of the points that overlap, at fixed voxel to moving voxel `matrices` (S, 4, 4)."""

    def values_and_derivatives(self, matrices: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Values, shares of the points that overlap, and derivatives (S, 3, 4) by the entries of `matrices`."""


LINEAR_METRICS: dict[str, Callable[[Samples, Linear], LinearMetric]] = {
    "mutual_information": lambda samples, options: MutualInformation(samples, options.bins),
    "correlation": lambda samples, _: Correlation(samples),
}
"""Metrics of linear registration by the names recipes use, each made from the options it heeds."""


class DeformableMetric(Protocol):
    """A metric of two volumes on one grid that exerts a force on either."""

    @property
    def smallest_axis(self) -> int:
        """Fewest voxels along an axis that it can use: the width of its window, or of a central difference."""
        ...

    def forces(
        self,
        images: Array,
        forces: Array,
        value: Array,
        *,
        mask: Array | None,
        backend: Backend,
    ) -> None:
        """Write `value` (1,), to be minimised, and the `forces` (2, 3, I, J, K) that lower it, on two `images`."""


DEFORMABLE_METRICS: dict[str, Callable[[Syn], DeformableMetric]] = {
    "local_cc": lambda options: LocalCC(options.radius, options.contrast_floor),
    "mean_squares": lambda options: MeanSquares(options.newton, options.update_sigma),
    "class_means": lambda options: ClassMeans(options.classes, options.newton, options.update_sigma),
}
"""Metrics of deformable registration by the names recipes use, each made from the options it heeds."""
