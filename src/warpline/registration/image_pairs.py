"""Further pairs of images, which deformable registration compares beside its fixed and moving image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from warpline.backends import Backend
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.images.checks import check_contrast, check_finite, check_one_volume
from warpline.images.intensity import normalise
from warpline.io.images import Source
from warpline.metrics import CHANNEL_METRICS, LABELS
from warpline.metrics.labels import common_labels, words
from warpline.recipe import Recipe
from warpline.recipe.syn import Contrast
from warpline.registration.axis_order import reorder_axes
from warpline.registration.checks import check_counts, check_same_dimension, check_window
from warpline.registration.cropping import Channel, own_channel, weights_on
from warpline.registration.initial_warp import InitialWarp

SHOWN = 8
"""Most labels that a note names."""
WEIGHTS = (1e-3, 1e3)
"""Least and largest weight."""


@dataclass(frozen=True, eq=False)
class ImagePair:
    """Two more images of what the fixed and the moving image show, in their worlds, on any grids.

    Parameters
    ----------
    fixed, moving : path, nibabel image, Image, array or (array, affine)
        One volume each, of grey values, or label maps.
    weight : float
        Of its forces beside those of the fixed and the moving image, which have 1; forces of either are as strong as
        their weights say at the start of the first level.
    metric : str, optional
        ``"local_cc"``, ``"mean_squares"``, ``"mutual_information"``, ``"self_similarity"``, or ``"labels"`` for label
        maps; that of the recipe when None.
    fixed_mask, moving_mask : like the images, optional
        Where the metric counts (voxels other than 0), on any grid.
    fixed_weights, moving_weights : like the images, optional
        How much places count, on any grid: from 0, not at all, to the largest value, fully.
    contrast : {"auto", "given", "predicted"}, optional
        Whether ``local_cc`` and ``mean_squares`` are shown the images as given, or one of them as its grey values
        predict the other; that of the recipe when None.

    Raises
    ------
    UsageError
        When the metric or the contrast is unknown, or the weight out of range.

    Examples
    --------
    >>> from warpline import ImagePair
    >>> ImagePair("t2_a.nii.gz", "t2_b.nii.gz", weight=0.5).metric is None
    True
    """

    fixed: Source
    moving: Source
    weight: float = 1.0
    metric: str | None = None
    fixed_mask: Source | None = None
    moving_mask: Source | None = None
    contrast: Contrast | None = None
    fixed_weights: Source | None = None
    moving_weights: Source | None = None

    def __post_init__(self) -> None:
        if self.contrast is not None and self.contrast not in get_args(Contrast):
            known = ", ".join(get_args(Contrast))
            raise UsageError(f"contrast {self.contrast!r} of a pair is unknown; choose from {known}")
        if self.metric is not None and self.metric not in CHANNEL_METRICS:
            raise UsageError(f"metric {self.metric!r} of a pair is unknown; choose from {', '.join(CHANNEL_METRICS)}")
        low, high = WEIGHTS
        if not low <= self.weight <= high:
            raise UsageError(f"weight {self.weight!r} of a pair; between {low:g} and {high:g} is needed")

    def sources(self, number: int) -> Iterator[tuple[str, str, Source]]:
        """Field, name in messages and reports, and source of all that is given; `number` counts pairs from 2."""
        for field in ("fixed", "moving", "fixed_mask", "moving_mask", "fixed_weights", "moving_weights"):
            source = getattr(self, field)
            if source is not None:
                side, mark, kind = field.partition("_")
                yield field, f"{side}_{number}{mark}{kind}", source

    def loaded(self, number: int, images: Mapping[str, Image]) -> LoadedImages:
        """The pair with its `images`, by the names of `sources`."""
        own = {field: images[name] for field, name, _ in self.sources(number)}
        return LoadedImages(**own, weight=self.weight, metric=self.metric, contrast=self.contrast)


def sources_of(pairs: Sequence[ImagePair]) -> dict[str, Source]:
    """All that further pairs give, by its name in messages and reports; the first pair is number 2."""
    return {name: source for number, pair in enumerate(pairs, 2) for _, name, source in pair.sources(number)}


@dataclass(frozen=True, eq=False)
class LoadedImages:
    """An `ImagePair` whose images were read and checked.

    Parameters
    ----------
    fixed, moving : Image
        Of grey values, or labels.
    weight, metric, contrast
        As for `ImagePair`.
    fixed_mask, moving_mask : Image, optional
        Where they count, each on the grid of its image.
    fixed_weights, moving_weights : Image, optional
        How much places count, on any grid.
    """

    fixed: Image
    moving: Image
    weight: float
    metric: str | None
    fixed_mask: Image | None = None
    moving_mask: Image | None = None
    contrast: Contrast | None = None
    fixed_weights: Image | None = None
    moving_weights: Image | None = None

    @property
    def images(self) -> tuple[Image, ...]:
        """Both images, and their masks where given."""
        masks = (mask for mask in (self.fixed_mask, self.moving_mask) if mask is not None)
        return self.fixed, self.moving, *masks

    def check(self, recipe: Recipe, fixed: Image) -> None:
        """Refuse what cannot be compared beside the `fixed` image of a registration.

        Raises
        ------
        UsageError
            When the recipe has no deformable stage.
        InputError
            Naming the image.
        """
        if recipe.syn is None:
            raise UsageError(f"recipe {recipe.name} runs no deformable stage, which compares further pairs: use syn")
        check_same_dimension(self.fixed, fixed)
        check_same_dimension(self.moving, fixed)
        fixed_side = self.fixed, self.fixed_mask, self.fixed_weights
        for image, mask, weights in (fixed_side, (self.moving, self.moving_mask, self.moving_weights)):
            check_one_volume(image)
            check_finite(image)
            check_counts(image, mask, weights)
            if self.metric == LABELS:
                _check_labels(image)
            else:
                check_contrast(image, mask)
            check_window(image, recipe)

    def notes(self) -> tuple[str, ...]:
        """A sentence where labels of either map do not count."""
        if self.metric != LABELS:
            return ()
        common = common_labels(self.fixed.data, self.moving.data)
        counts = ((image, np.setdiff1d(image.data, [0, *common])) for image in (self.fixed, self.moving))
        return tuple(
            f"{image.name}: {len(alone)} labels that the other map has not, or below 0, count as background: "
            f"{', '.join(f'{label:g}' for label in alone[:SHOWN])}{', ...' if len(alone) > SHOWN else ''}"
            for image, alone in counts
            if len(alone)
        )

    def seen_through(self, warp: InitialWarp, beyond: str) -> LoadedImages:
        """The same with the moving image resampled through a start; `beyond` as for `crop_pair`."""
        moving, mask = warp.see(self.moving, self.moving_mask, labels=self.metric == LABELS, beyond=beyond)
        weights = None if self.moving_weights is None else warp.see_weights(self.moving_weights)
        return replace(self, moving=moving, moving_mask=mask, moving_weights=weights)

    def reorder_axes(self, backend: Backend) -> LoadedImages:
        """The same with no thin axis first or last, see `AxisOrder`."""
        fixed, fixed_mask = reorder_axes(self.fixed, self.fixed_mask, backend)
        moving, moving_mask = reorder_axes(self.moving, self.moving_mask, backend)
        return replace(self, fixed=fixed, moving=moving, fixed_mask=fixed_mask, moving_mask=moving_mask)

    def channel(self, backend: Backend, beyond: str) -> Channel:
        """The images on the backend, normalised, and their weights; `beyond` as for `crop_pair`."""
        fixed, moving = weights_on((self.fixed_weights, self.moving_weights), backend)
        return replace(self._images(backend, beyond), fixed_weights=fixed, moving_weights=moving)

    def _images(self, backend: Backend, beyond: str) -> Channel:
        if self.metric == LABELS:
            return self._label_channel(backend)
        fixed = normalise(self.fixed, backend, self.fixed_mask)
        moving = normalise(self.moving, backend, self.moving_mask)
        channel = own_channel(fixed, moving, backend=backend, beyond=beyond)
        return replace(channel, metric=self.metric, weight=self.weight, contrast=self.contrast)

    def _label_channel(self, backend: Backend) -> Channel:
        common = common_labels(self.fixed.data, self.moving.data)
        if not common:
            raise InputError(f"{self.fixed.name} and {self.moving.name} have no label in common, so nothing to compare")
        fixed, moving = (
            backend.upload(words(np.rint(image.data).astype(np.int64), common)) for image in (self.fixed, self.moving)
        )
        fixed_mask, moving_mask = (
            None if mask is None else backend.upload((mask.data != 0).astype(np.float32))
            for mask in (self.fixed_mask, self.moving_mask)
        )
        grids = self.fixed.grid, self.moving.grid
        return Channel(fixed, moving, *grids, fixed_mask, moving_mask, self.metric, self.weight)


def _check_labels(image: Image) -> None:
    if not np.array_equal(image.data, np.rint(image.data)):
        raise InputError(f"{image.name} has values that are no whole numbers; metric labels compares label maps")
