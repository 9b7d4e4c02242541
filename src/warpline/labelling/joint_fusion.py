"""Joint label fusion: atlases that err alike count less together (Wang et al. 2013, doi:10.1109/TPAMI.2012.143).

At every voxel each atlas gives the patches near by that look most like that of the image. The weights of all these
patches minimise the expected error of the vote, and each votes for the labels of all voxels that it covers.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, maximum_filter, minimum_filter

from warpline.backends.label_fusion import LabelFusion, label_fusion
from warpline.errors import UsageError
from warpline.labelling.candidates import Candidates, Codes, Floats, Fused
from warpline.labelling.local_contrast import box_around, local_contrast
from warpline.space.grid import Shape

FLAT = 1e-6
"""Standard deviation of a patch, as a share of that of the image, below which its values say nothing."""
BLOCK_BYTES = 2**27
"""What offsets and weights may take at once; a large image is fused block by block."""
_IMAGES_AT_ONCE = 4
"""Images whose local contrast is computed at once: each takes about ten times its memory meanwhile."""
LARGEST_RADIUS = 10
"""Of patches and of the search, in voxels: larger ones take hours."""
LEAST_ALPHA, LARGEST_BETA = 1e-6, 10.0
"""Beyond these the errors of atlases that are alike cannot be told apart in float64."""
MOST_PATCHES = 8
"""Of each atlas."""


@dataclass(frozen=True)
class JointOptions:
    """Settings of joint label fusion, called as in ``antsJointFusion``; defaults did best on two brains of 2 mm.

    Parameters
    ----------
    patch_radius : int
        Of the patches that are compared and that vote, in voxels: ``2 * patch_radius + 1`` a side. Larger, fewer wrong
        patches look right; smaller, thin structures are kept.
    search_radius : int
        How far an atlas may move a patch, in voxels along each axis. Larger, worse registrations are mended; smaller,
        neighbours are mistaken less. 0 keeps every patch where it is.
    patches : int
        How many patches of each atlas have weights and votes, the most similar ones, as far as the search reaches so
        many; ``antsJointFusion`` takes one.
    beta : float
        Power of the errors: larger, the best patches count more.
    alpha : float
        Added to the diagonal of their matrix, `rho` in ANTsPy: larger, weights are more alike, and noise counts less.

    Raises
    ------
    UsageError
        When a setting is not allowed.

    Examples
    --------
    >>> from warpline.labelling import JointOptions
    >>> JointOptions(search_radius=3, beta=4.0, alpha=0.01).patch_radius
    1
    """

    patch_radius: int = 1
    search_radius: int = 2
    patches: int = 2
    beta: float = 2.0
    alpha: float = 0.1

    def __post_init__(self) -> None:
        """Check every setting."""
        _check_whole("patch_radius", self.patch_radius, 1, LARGEST_RADIUS)
        _check_whole("search_radius", self.search_radius, 0, LARGEST_RADIUS)
        _check_whole("patches", self.patches, 1, MOST_PATCHES)
        if not (_is_number(self.beta) and 0 < self.beta <= LARGEST_BETA):
            raise UsageError(f"beta is {self.beta!r}; a number above 0, at most {LARGEST_BETA:g}, is needed")
        if not (_is_number(self.alpha) and LEAST_ALPHA <= self.alpha < np.inf):
            raise UsageError(f"alpha is {self.alpha!r}; a number of at least {LEAST_ALPHA:g} is needed")


def joint(candidates: Candidates, options: JointOptions | None = None) -> Fused:
    """Labels voted for with the weights of joint label fusion, patch by patch.

    Where all that patches could vote for is one label it is taken, with confidence 1.

    Parameters
    ----------
    candidates : Candidates
        Two or more atlases.
    options : JointOptions, optional
        The defaults when None.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.candidates import Candidates
    >>> from warpline.labelling.joint_fusion import joint
    >>> image = np.random.default_rng(0).random((9, 9, 9), dtype=np.float32)
    >>> other = np.random.default_rng(1).random((9, 9, 9), dtype=np.float32)
    >>> codes = np.stack([np.full(image.shape, one, np.int32) for one in (1, 0, 0)])
    >>> fused = joint(Candidates(image, np.stack([image, other, other]), codes))
    >>> bool((fused.codes == 1).mean() > 0.9)  # two that err alike do not outvote one that is right
    True
    """
    asked = options or JointOptions()
    fused = Fused(candidates.codes[0].copy(), np.ones(candidates.image.shape, np.float32))
    voting = _Voting.of(candidates, asked)
    if voting is not None:
        for block in voting.blocks():
            voting.fuse(block, fused)
    return fused


@dataclass(frozen=True, eq=False)
class _Voting:
    """What all blocks share: images with their local contrast, where labels are open, settings for this grid."""

    given: Candidates
    asked: JointOptions
    open_places: NDArray[np.bool_]
    contrasts: tuple[Floats, ...]
    patch: Shape
    search: Shape

    @classmethod
    def of(cls, given: Candidates, asked: JointOptions) -> _Voting | None:
        """None where patches could vote for one label only, everywhere."""
        shape = given.image.shape
        patch, search = _along(shape, asked.patch_radius), _along(shape, asked.search_radius)
        open_places = _open_places(given.codes, search)
        if not open_places.any():
            return None
        box = box_around(open_places)
        with ThreadPoolExecutor(min(given.threads, _IMAGES_AT_ONCE)) as pool:
            images = (given.image, *given.atlases)
            contrasts = pool.map(lambda one: local_contrast(one, open_places, box), images)
            return cls(given, asked, open_places, tuple(contrasts), patch, search)

    def blocks(self) -> Iterator[tuple[slice, ...]]:
        """Parts of the volume with open places, which cover all of them; cut along the first axis."""
        (extent,) = find_objects(self.open_places.astype(np.uint8))
        plane = int(np.prod([along.stop - along.start for along in extent[1:]]))
        planes = max(BLOCK_BYTES // (7 * plane * len(self.given.atlases) * self.asked.patches), 1)
        for start in range(extent[0].start, extent[0].stop, planes):
            block = slice(start, min(start + planes, extent[0].stop)), *extent[1:]
            if self.open_places[block].any():
                yield block

    def fuse(self, block: tuple[slice, ...], fused: Fused) -> None:
        """Write labels and confidence of a block; what its patches can reach is read around it."""
        around, inner = _grown(block, self._reach(), self.open_places.shape)
        open_places = np.zeros([along.stop - along.start for along in around], bool)
        open_places[inner] = self.open_places[block]
        centres = maximum_filter(open_places, [2 * r + 1 for r in self.patch], mode="constant")
        places = np.ascontiguousarray(np.argwhere(centres), dtype=np.int32)
        best, share = self._votes(around, centres, places)
        voted = open_places[tuple(places.T)]
        at = tuple((places[voted] + [along.start for along in around]).T)
        fused.codes[at], fused.confidence[at] = best[voted], share[voted]

    def _votes(
        self, around: tuple[slice, ...], centres: NDArray[np.bool_], places: NDArray[np.int32]
    ) -> tuple[Codes, Floats]:
        """The label of each place with the most weight, and its share."""
        given, asked = self.given, self.asked
        operations, threads = label_fusion(given.backend), given.threads
        image, atlases = np.ascontiguousarray(given.image[around]), np.stack([one[around] for one in given.atlases])
        codes = np.stack([one[around] for one in given.codes])
        offsets = self._offsets(operations, around, centres)
        weights = operations.joint_weights(
            image, atlases, offsets, places, radius=self.patch, flat=FLAT * float(given.image.std()), beta=asked.beta,
            alpha=asked.alpha, threads=threads,
        )  # fmt: skip
        count = int(given.codes.max()) + 1
        return operations.patch_votes(codes, offsets, weights, places, radius=self.patch, count=count, threads=threads)

    def _offsets(
        self, operations: LabelFusion, around: tuple[slice, ...], centres: NDArray[np.bool_]
    ) -> NDArray[np.int8]:
        image, *atlases = (np.ascontiguousarray(one[around]) for one in self.contrasts)
        count = min(self.asked.patches, int(np.prod([2 * reach + 1 for reach in self.search])))
        settings: dict[str, Any] = {"radius": self.patch, "search": self.search, "count": count}
        threads = self.given.threads
        return np.stack([operations.best_offsets(image, one, centres, threads=threads, **settings) for one in atlases])

    def _reach(self) -> Shape:
        """How far what a voxel is given depends on others: a patch around it, its own patch, moved."""
        first, second, third = (2 * r + s for r, s in zip(self.patch, self.search, strict=True))
        return first, second, third


def _open_places(codes: Codes, search: Shape) -> NDArray[np.bool_]:
    """Where patches that move as far as `search` could vote for more than one label."""
    size = [2 * reach + 1 for reach in search]
    least = minimum_filter(codes.min(axis=0), size, mode="nearest")
    places: NDArray[np.bool_] = least != maximum_filter(codes.max(axis=0), size, mode="nearest")
    return places


def _grown(
    block: tuple[slice, ...], reach: Shape, shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """A block and what lies around it, inside a volume; and where in it the block is."""
    around, inner = [], []
    for along, far, length in zip(block, reach, shape, strict=True):
        start = max(along.start - far, 0)
        around.append(slice(start, min(along.stop + far, length)))
        inner.append(slice(along.start - start, along.stop - start))
    return tuple(around), tuple(inner)


def _along(shape: tuple[int, ...], radius: int) -> Shape:
    """A radius along each axis: none along one of a single voxel."""
    first, second, third = (radius if n > 1 else 0 for n in shape)
    return first, second, third


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_whole(name: str, value: int, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UsageError(f"{name} is {value!r}; a whole number from {least} to {most} is needed")
