"""Label maps, compared by the shares that their labels have of every voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends import Array, Backend
from warpline.backends.descriptors import CHANNELS, LARGEST
from warpline.errors import InputError
from warpline.metrics.level_images import LevelImage, descriptor_forces, new_descriptors

_VARIABLES = np.stack([(np.arange(CHANNELS) >> n) & 1 for n in range(4)])
_PRODUCTS = [(a, b) for a in range(4) for b in range(a + 1, 4)]
_BASIS = np.array(
    [np.ones(CHANNELS, np.int64), *_VARIABLES, *(_VARIABLES[a] * _VARIABLES[b] for a, b in _PRODUCTS)], np.int64
)
"""Bits of the words that all others are sums of: the Reed-Muller code of second order over four variables."""

MOST_LABELS = 2 ** len(_BASIS) - 1
"""Labels, beside the background, that have words of their own."""


@dataclass(frozen=True)
class LabelAgreement:
    """Mean squared difference of the words of labels, blurred and interpolated as shares of a voxel.

    Each label has a word of 16 bits, the background that of zeros, so that a descriptor holds the shares of any number
    of labels at once. Words of the first 31 labels differ in 8 bits or in all, those of further ones in 4 at least.
    """

    @property
    def smallest_axis(self) -> int:
        """An inner voxel with two neighbours, for the gradient."""
        return 3

    @property
    def is_replayable(self) -> bool:
        """Yes: nothing waits for the device."""
        return True

    def features(self, sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
        """Words (2, I, J, K, 16) on the level, of volumes of words as `words` makes them."""
        found = new_descriptors(sides, backend)
        for one, side in zip(found, sides, strict=True):
            for bit in range(CHANNELS):
                shares = side.resampled(((side.volume >> bit) & 1).astype(np.float32), order=1)
                one[..., bit] = np.rint(shares * np.float32(LARGEST)).astype(np.uint8)
        return found

    def forces(self, images: Array, forces: Array, value: Array, *, mask: Array | None, backend: Backend) -> None:
        """Write the force on either image, and the value: `DescriptorOperations.forces`."""
        descriptor_forces(images, forces, value, mask=mask, backend=backend)


def word(number: int) -> int:
    """The word of a label by its number; 0, the background, has no bit.

    Examples
    --------
    >>> [format(word(number), "016b") for number in (0, 1, 2)]
    ['0000000000000000', '1111111111111111', '1010101010101010']
    """
    chosen = [(number >> n) & 1 for n in range(len(_BASIS))]
    bits = np.array(chosen) @ _BASIS % 2
    return int((bits << np.arange(CHANNELS)).sum())


def words(labels: NDArray[np.integer], common: Sequence[int]) -> NDArray[np.uint16]:
    """Labels (I, J, K) as words; those that are not among the `common` ones are background.

    Raises
    ------
    InputError
        When there are more labels than words.
    """
    if len(common) > MOST_LABELS:
        raise InputError(f"label maps have {len(common)} labels in common; at most {MOST_LABELS} can be compared")
    numbers = np.array([0, *common])
    table = np.array([word(n) for n in range(len(numbers))], np.uint16)
    at = np.searchsorted(numbers[1:], labels)
    known = np.append(numbers[1:], -1)[np.minimum(at, len(common))] == labels
    found: NDArray[np.uint16] = table[np.where(known, np.minimum(at, len(common) - 1) + 1, 0)]
    return found


def common_labels(fixed: ArrayLike, moving: ArrayLike) -> list[int]:
    """Labels other than 0 that two maps share, ascending."""
    shared = np.intersect1d(fixed, moving)
    return [int(label) for label in shared if label > 0]
