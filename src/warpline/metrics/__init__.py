"""Similarity metrics: values to be minimised, each with its own derivative."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Protocol

from warpline.backends import Array, Backend
from warpline.errors import UsageError
from warpline.metrics.class_means import ClassMeans
from warpline.metrics.correlation import Correlation
from warpline.metrics.global_correlation import GlobalCorrelation
from warpline.metrics.labels import LabelAgreement
from warpline.metrics.level_images import LevelImage, intensities
from warpline.metrics.local_cc import LocalCC
from warpline.metrics.mean_squares import MeanSquares
from warpline.metrics.mutual_information import MutualInformation
from warpline.metrics.samples import LinearMetric, Samples
from warpline.metrics.self_similarity import SelfSimilarity
from warpline.metrics.volume_information import VolumeInformation
from warpline.recipe import Linear, Syn
from warpline.recipe.metric_names import allow_names_of

__all__ = [
    "CHANNEL_METRICS",
    "DEFORMABLE_METRICS",
    "LABELS",
    "LINEAR_METRICS",
    "DeformableMetric",
    "LevelImage",
    "LinearMetric",
    "Samples",
    "check_metric",
    "deformable_metric",
    "intensities",
]

LINEAR_METRICS: dict[str, Callable[[Samples, Linear], LinearMetric]] = {
    "mutual_information": lambda samples, options: MutualInformation(samples, options.bins),
    "correlation": lambda samples, _: Correlation(samples),
}
"""Metrics of linear registration by the names recipes use, each made from the options it heeds."""


class DeformableMetric(Protocol):
    """A metric of two images on one grid that exerts a force on either.

    Any class with these members is one; its line in `DEFORMABLE_METRICS` gives it a name in recipes.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.backends import select
    >>> from warpline.metrics import DEFORMABLE_METRICS
    >>> from warpline.recipe import Syn
    >>> metric = DEFORMABLE_METRICS["mean_squares"](Syn())
    >>> ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 8, 8))
    >>> images, forces, value = np.stack([ramp, ramp + 1]), np.zeros((2, 3, 8, 8, 8), np.float32), np.zeros(1)
    >>> metric.forces(images, forces, value, mask=None, backend=select("numpy"))
    >>> value.tolist(), bool(forces[0, 0, 4, 4, 4] > 0)  # the fixed image is pulled to where it is brighter
    ([1.0], True)
    """

    @property
    def smallest_axis(self) -> int:
        """Fewest voxels along an axis that it can use: the width of its window, or of a central difference."""
        ...

    @property
    def is_replayable(self) -> bool:
        """Whether `forces` gives the same launches every time and looks at nothing, see `Backend.repeat`."""
        ...

    def features(self, sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
        """What is warped and compared, of (fixed, moving): volumes (2, I, J, K), or descriptors (2, I, J, K, 16)."""
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
        """Write `value` (1,), to be minimised, and the `forces` (2, 3, I, J, K) that lower it, of warped features.

        Where `mask` (I, J, K) is not positive nothing counts; elsewhere it is the weight of a voxel.
        """


DEFORMABLE_METRICS: dict[str, Callable[[Syn], DeformableMetric]] = {
    "local_cc": lambda options: LocalCC(options.radius, options.contrast_floor),
    "mean_squares": lambda options: MeanSquares(options.newton, options.update_sigma),
    "mutual_information": lambda options: VolumeInformation(options.bins),
    "correlation": lambda options: GlobalCorrelation(),
    "self_similarity": lambda options: SelfSimilarity(options.similarity_floor),
    "class_means": lambda options: ClassMeans(options.classes, options.newton, options.update_sigma),
}
"""Metrics of deformable registration by the names recipes use, each made from the options it heeds.

A script may enter its own: recipes of this process then take its name. Other processes know it once they enter it too;
worker processes of cohorts import the script that started them, without what stands under its ``if __name__``."""

allow_names_of(DEFORMABLE_METRICS.keys())  # of the dictionary as it will be: the view follows it


def check_metric(name: str) -> None:
    """Refuse the name of a deformable metric that this process does not know.

    Parameters
    ----------
    name : str
        Of a recipe that may have been made by another process, which has a metric of its own.

    Raises
    ------
    UsageError
        With the names that are known, and how to make one known.

    Examples
    --------
    >>> from warpline.metrics import check_metric
    >>> check_metric("local_cc")
    """
    if name not in DEFORMABLE_METRICS:
        raise UsageError(
            f"metric {name!r} is unknown to this process, which knows {', '.join(DEFORMABLE_METRICS)}; a metric of "
            "your own works in processes that enter it in DEFORMABLE_METRICS: run cohorts with workers=0, or enter it "
            'outside of if __name__ == "__main__"'
        )


def deformable_metric(name: str, options: Syn) -> DeformableMetric:
    """A metric of deformable registration.

    Parameters
    ----------
    name : str
        Key of `DEFORMABLE_METRICS`.
    options : Syn
        Those that it heeds.

    Raises
    ------
    UsageError
        When this process does not know the name, see `check_metric`.

    Examples
    --------
    >>> from warpline.metrics import deformable_metric
    >>> from warpline.recipe import Syn
    >>> deformable_metric("local_cc", Syn(radius=2)).smallest_axis
    5
    """
    check_metric(name)
    return DEFORMABLE_METRICS[name](options)


LABELS = "labels"
"""The metric of label maps."""

CHANNEL_METRICS: Mapping[str, Callable[[Syn], DeformableMetric]] = ChainMap(
    {LABELS: lambda options: LabelAgreement()}, DEFORMABLE_METRICS
)
"""Metrics of further pairs of images: one of label maps, and those of grey values."""
