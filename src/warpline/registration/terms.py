"""What is compared at a level of deformable registration: a term for every channel, warped to the middle space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.errors import InputError
from warpline.evaluation.contrast import LEAST_EXPLAINED
from warpline.metrics import CHANNEL_METRICS
from warpline.recipe import Syn
from warpline.recipe.syn import PREDICTABLE, UNLIKE, FurtherTerm
from warpline.registration.comparisons import LEAST_FORCE, ComparedImages
from warpline.registration.contrast import CURVES, Shown, explained, grey_values, predicted
from warpline.registration.cropping import Channel, CroppedPair
from warpline.registration.pulls import Pull
from warpline.registration.pyramid import SharedLevel
from warpline.registration.robust_weights import robust_weights
from warpline.registration.term import LEAST_MASK, Counted, SideOnLevel, Term
from warpline.space.grid import Matrix
from warpline.space.inversion import invert_field_asynchronously

CHOSEN = ("local_cc",)
"""Metrics that are shown what fits best where nobody says."""

OF_WHOLE_IMAGES = ("correlation", "mutual_information")
"""Metrics whose value is no mean over voxels."""

LEAST_GAIN = 1.025
"""Times the local correlation of the images as given that they must have through a curve: brains of one contrast reach
1.00 to 1.02, heads 1.03, squared ones 1.03 to 1.10, inverted ones, T1 and T2, T1 and EPI 1.2 and more. A curve that is
not needed costs a point of Dice, one that is missing six."""

LEAST_OF_FIRST = 0.1
"""Share of its strength at the first level below which a term does not count as weaker: noise would be scaled up."""


@dataclass(frozen=True, eq=False)
class LevelStart:
    """Where a level starts.

    Parameters
    ----------
    level : SharedLevel
        Its grid.
    half_maps : (2, 3, I, J, K)
        In its voxels; nobody may write to them yet.
    shown : tuple of Shown, optional
        How the level before showed each channel; None at the first level.
    """

    level: SharedLevel
    half_maps: Array
    shown: tuple[Shown, ...] | None = None

    def learnt_weights(self, channel: Channel, affine: Matrix, backend: Backend) -> Array:
        """How much places of fixed and moving count (2, I, J, K), see `robust_weights`, by the images of a channel.

        They are learnt in the middle space, where both images lie on each other, and carried back to either image, so
        that they move with it: of each the root, as a place counts by the product of both.
        """
        images, inside, warped = backend.empty(self.half_maps[:, 0].shape), None, backend.empty(self.level.grid.shape)
        for side, half, image in zip(channel.sides(affine), self.half_maps, images, strict=True):
            volume, grid, world, mask = side
            on_level = SideOnLevel(*side, self.level, backend).resampled(volume)
            backend.sample(on_level, field=half, out=image)
            if mask is not None:
                matrix = self.level.grid.voxel_map_to(grid, world)
                seen = backend.sample(mask, matrix, field=half, shape=self.level.grid.shape, out=warped) > LEAST_MASK
                inside = seen if inside is None else inside & seen
        roots = np.sqrt(robust_weights(images, self.level.grid, backend, inside))
        for half, image in zip(self.half_maps, images, strict=True):
            backend.sample(roots, field=invert_field_asynchronously(half, backend), out=image)
        return images


class _Chosen(NamedTuple):
    """A term, how it shows its images, and how well these predict each other where it chose a curve."""

    term: Term
    shown: Shown
    explained: float | None = None

    @property
    def is_poor(self) -> bool:
        """Whether the curve that was chosen explains too little."""
        return self.explained is not None and self.explained < LEAST_EXPLAINED


@dataclass(frozen=True, eq=False)
class _ChannelTerms:
    """The terms that a channel can have: of its images as given, or with one through a curve."""

    channel: Channel
    start: LevelStart
    affine: Matrix
    options: Syn
    backend: Backend
    learnt: Array | None = None

    @property
    def metric(self) -> str:
        """Key of `CHANNEL_METRICS`."""
        return self.channel.metric or self.options.metric

    def best(self, shown: Shown | None) -> _Chosen:
        """The term that fits best: of all contrasts at the first level; of curves, where the level before had one."""
        choices: tuple[Shown, ...] = CURVES if shown in CURVES else ("as given",)
        contrast = self.channel.contrast or self.options.contrast
        if shown is None and contrast == "predicted" and self.metric in PREDICTABLE:
            choices = CURVES
        if shown is None and contrast == "auto" and self.metric in CHOSEN:
            choices = ("as given", *CURVES)
        values = None if choices == ("as given",) else self._grey_values()
        terms = {how: self._term(how, values) for how in choices}
        if len(terms) == 1:
            return _Chosen(terms[choices[0]], choices[0])
        found = dict(zip(terms, -self._values(list(terms.values())), strict=True))
        best, given = max(CURVES, key=found.__getitem__), found.get("as given")
        if given is not None and found[best] <= LEAST_GAIN * given:
            best = "as given"
        said = explained(values) if best in CURVES and values is not None else None
        return _Chosen(terms[best], best, said)

    def _grey_values(self) -> NDArray[np.float32]:
        return grey_values(self.channel, self.start.level, self.affine, self.start.half_maps, self.backend)

    def _term(self, how: Shown, values: NDArray[np.float32] | None) -> Term:
        channel = self.channel if values is None else predicted(self.channel, how, values, self.backend)
        metric = CHANNEL_METRICS[self.metric](self.options)
        where = channel, self.start.level, self.affine, metric, self.backend
        return Term(*where, learnt=self.learnt, is_mean=self.metric not in OF_WHOLE_IMAGES)

    def _values(self, terms: Sequence[Term]) -> NDArray[np.float64]:
        """The energy of each term at the start."""
        half_maps, values = self.start.half_maps, self.backend.zeros((len(terms),), np.float64)
        forces, warped = self.backend.empty(half_maps.shape), self.backend.empty((2, *half_maps.shape[2:]))
        for n, term in enumerate(terms):
            term.compute_forces(half_maps, warped, forces)
            values[n : n + 1] = term.energy()
        return self.backend.download(values)


def _beside(options: Syn, first: _Chosen, before: int | None) -> tuple[FurtherTerm, ...]:
    """What compares the two images beside the `first` term; `before` is how many did at the level before."""
    if options.beside is not None:
        return options.beside
    is_asked = options.contrast == "auto" and options.metric in CHOSEN
    return UNLIKE if before or (before is None and is_asked and first.is_poor) else ()


def _nothing_left(pair: int) -> str:
    whose = "of the two images" if pair == 1 else f"of pair {pair}"
    return (
        f"weights, and masks, leave nothing {whose} to compare: once the images are aligned, what counts in one lies "
        "where nothing counts in the other; check that they mark the same places, or widen them"
    )


class Terms:
    """The terms of a level; several are added up, each in proportion to its weight.

    Beside what a level with one term takes there are, with several of them, a field for either side, and for each but
    the first both its images; descriptors take four volumes a side, and as many more while they are warped.

    Parameters
    ----------
    terms : sequence of Term
        One for each channel, at least one.
    compared : sequence of ComparedImages
        What each compares.
    backend : Backend
        Where everything is computed.
    """

    def __init__(self, terms: Sequence[Term], compared: Sequence[ComparedImages], backend: Backend) -> None:
        self._terms, self._backend, self._compared = tuple(terms), backend, tuple(compared)
        self._images: Array | None = None
        described = [term.features for term in terms if term.features.ndim == 5]
        self._descriptors: Array | None = backend.empty(described[0].shape, np.uint8) if described else None
        self._part: Array | None = None
        self._scales: tuple[Array, ...] = ()
        self._pulls: tuple[Pull, ...] = ()
        self.strengths: tuple[Array, ...] = ()
        """Root mean square of the smoothed forces of each term at the start of the first level; none for one term."""

    @classmethod
    def of(cls, pair: CroppedPair, start: LevelStart, options: Syn, backend: Backend) -> Terms:
        """A term for every channel of a pair, of the contrasts that `start` says, or that fit best."""
        first, *further = pair.channels
        learnt = start.learnt_weights(first, pair.affine, backend) if options.robust else None

        def chosen(channel: Channel, shown: Shown | None) -> _Chosen:
            return _ChannelTerms(channel, start, pair.affine, options, backend, learnt).best(shown)

        made = [chosen(first, start.shown[0] if start.shown else None)]
        beside = _beside(options, made[0], None if start.shown is None else len(start.shown) - len(pair.channels))
        if options.beside is None:
            backend.prepare([term.metric for term in beside])
        channels = [first, *(replace(first, **term.model_dump()) for term in beside), *further]
        shown = start.shown or (None,) * len(channels)
        made += [chosen(channel, how) for channel, how in zip(channels[1:], shown[1:], strict=True)]
        numbers = [1] * (1 + len(beside)) + list(range(2, 2 + len(further)))
        compared = [
            ComparedImages(channel.metric or options.metric, channel.weight, one.shown, None, number, one.explained)
            for channel, one, number in zip(channels, made, numbers, strict=True)
        ]
        return cls([one.term for one in made], compared, backend)

    @property
    def shown(self) -> tuple[Shown, ...]:
        """How the contrast of each channel is shown."""
        return tuple(images.contrast for images in self._compared)

    def compared(self) -> tuple[ComparedImages, ...]:
        """What is compared; with several terms it waits for their strengths."""
        if not self.strengths:
            return self._compared
        strengths = self._backend.zeros((len(self.strengths),), np.float64)
        for n, strength in enumerate(self.strengths):
            strengths[n : n + 1] = strength
        found = self._backend.download(strengths).tolist()
        return tuple(replace(images, strength=one) for images, one in zip(self._compared, found, strict=True))

    def counted_later(self, half_maps: Array) -> Callable[[], tuple[Counted | None, ...]]:
        """A function that waits for how much of each term counts under the half-maps, as they are now.

        It raises `InputError` when weights leave nothing of a pair.
        """
        pending = [term.counted_later(half_maps) for term in self._terms]
        weighted = [images.pair for term, images in zip(self._terms, self._compared, strict=True) if term.is_weighted]
        pairs = [images.pair for images in self._compared]

        def finish() -> tuple[Counted | None, ...]:
            found = tuple(one() for one in pending)
            for pair, left in zip(pairs, found, strict=True):
                if pair in weighted and left is not None and left.is_nothing:
                    raise InputError(_nothing_left(pair))
            return found

        return finish

    @property
    def is_masked(self) -> bool:
        """Whether only a part of any image counts."""
        return any(term.is_masked for term in self._terms)

    @property
    def are_replayable(self) -> bool:
        """Whether forces are the same launches every time."""
        return not self._pulls and all(term.metric.is_replayable for term in self._terms)

    @property
    def are_summed(self) -> bool:
        """Whether the energy is more than the value of one term."""
        return self.is_masked or len(self._terms) > 1 or bool(self._pulls)

    def share_memory(self, fields: Array) -> None:
        """Warp images into the memory of two fields (2, 3, I, J, K), which nobody else uses while forces are made."""
        self._images = fields.reshape(-1, *fields.shape[2:])[:2]

    def balance(self, half_maps: Array, smoothed: Callable[[Array], Array], first: Sequence[Array]) -> None:
        """Scale several terms so that forces, once `smoothed`, are as strong as their weights say.

        Parameters
        ----------
        first : sequence of Array
            The strengths at the first level; empty at that one.
        """
        if len(self._terms) == 1:
            return
        backend = self._backend
        self._part, sums = backend.empty(half_maps.shape), backend.zeros((3,), np.float64)
        strengths, scales = [], []
        for n, term in enumerate(self._terms):
            term.compute_forces(half_maps, self._warped(term), self._part)
            updates = smoothed(self._part)
            backend.sums(updates.reshape(-1, *updates.shape[3:]), out=sums)
            strength = np.sqrt(sums[2:] / sums[:1])
            strengths.append(strength)
            least = np.maximum(LEAST_OF_FIRST * first[n], LEAST_FORCE) if first else LEAST_FORCE
            scale = (strength > LEAST_FORCE) * term.weight / np.maximum(strength, least)
            scales.append(scale.astype(np.float32))
        self._scales, self.strengths = tuple(scales), tuple(first or strengths)

    def add_pulls(self, pulls: Sequence[Pull]) -> None:
        """Add forces of landmarks and surfaces to those of the terms from now on."""
        self._pulls = tuple(pulls)

    def compute_forces(self, half_maps: Array, forces: Array) -> None:
        """Write the forces (2, 3, I, J, K) of all terms under the half-maps."""
        self._add_up(half_maps, forces)
        for pull in self._pulls:
            pull.add(half_maps, forces)

    def _add_up(self, half_maps: Array, forces: Array) -> None:
        if self._part is None:
            (term,) = self._terms
            term.compute_forces(half_maps, self._warped(term), forces)
            return
        for n, (term, scale) in enumerate(zip(self._terms, self._scales, strict=True)):
            term.compute_forces(half_maps, self._warped(term), self._part)
            self._backend.add_weighted(self._part, scale, out=forces, start=n == 0)

    def energy(self) -> Array:
        """The value of the last forces (1,)."""
        start = self._backend.zeros((1,), np.float64)
        for pull in self._pulls:
            start += pull.energy()
        if not self._scales:
            return start + self._terms[0].energy() if self._pulls else self._terms[0].energy()
        parts = (scale * term.energy() for term, scale in zip(self._terms, self._scales, strict=True))
        return sum(parts, start=start)

    def middle_images(self, half_maps: Array) -> Array:
        """Features of the first term in the middle space, on the backend; of descriptors the first number."""
        warped = self._warped(self._terms[0])
        self._terms[0].warp(half_maps, warped)
        return warped[..., 0].astype(np.float32) if warped.ndim == 5 else warped

    def _warped(self, term: Term) -> Array:
        """Memory for the warped features of a term."""
        warped = self._descriptors if term.features.ndim == 5 else self._images
        assert warped is not None, "memory was shared"
        return warped
