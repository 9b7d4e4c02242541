"""One round of a template: every subject registered to it, judged, and averaged anew in the mean of their shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline import cohort
from warpline.backends import Backend
from warpline.cohort import Pair, PairResult, StopReason
from warpline.cohort.layout import output_paths
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.io.drafts import writing
from warpline.io.images import read_image
from warpline.io.transform_files import write_transform
from warpline.recipe import Recipe
from warpline.report.pair_thumbnail import thumbnail
from warpline.resampling import pull_back, warp
from warpline.space import Affine, Chain, Displacement
from warpline.space.fields import to_world
from warpline.space.grid import Grid
from warpline.template.averages import Mean, mirrored_mean, sharpened, weighted_mean
from warpline.template.layout import SPACE, STARTS
from warpline.template.options import Options
from warpline.template.shape import MapFiles, MeanMap
from warpline.template.start import read_normalised
from warpline.template.subjects import label_of


class StoppedError(Exception):
    """A round was stopped before its last subject; the same call goes on.

    Parameters
    ----------
    reason : StopReason
        Why, and the exit code.

    Examples
    --------
    >>> from warpline.cohort import StopReason
    >>> from warpline.template import StoppedError
    >>> StoppedError(StopReason("stopped by SIGTERM", exit_code=75)).reason.exit_code
    75
    """

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.reason)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Registered:
    """Subjects that were registered to one image.

    Parameters
    ----------
    folder : Path
        The output folder of the cohort.
    fixed : Path
        The image.
    subjects : tuple of Pair
        In the order of all sums.
    results : dict
        The result of each, by id.
    """

    folder: Path
    fixed: Path
    subjects: tuple[Pair, ...]
    results: dict[str, PairResult]

    def maps(self) -> list[MapFiles]:
        """The map to every subject."""
        return [self._maps(one) for one in self.subjects]

    def warped(self, subject: Pair) -> Image:
        """A subject on the grid of the image."""
        return read_image(self.folder / output_paths(_paired(subject, self.fixed)).names()["warped"])

    def thumbnail(self, subject: Pair) -> bytes:
        """A picture of a subject beside the image."""
        return thumbnail(read_image(self.fixed), self.warped(subject))

    def without(self, ids: set[str]) -> Registered:
        """The same with fewer subjects."""
        return replace(self, subjects=tuple(one for one in self.subjects if one.id not in ids))

    def _maps(self, subject: Pair) -> MapFiles:
        names = output_paths(_paired(subject, self.fixed)).names()
        files = {name: self.folder / names[name] for name in ("affine", "warp", "velocity")}
        return MapFiles(**{name: path for name, path in files.items() if path.exists()})


def register_all(
    subjects: Sequence[Pair], fixed: Path, folder: Path, recipe: Recipe, *, options: Options, starts: Path | None
) -> Registered:
    """Register every subject to an image, as a cohort: what is done already stays.

    Parameters
    ----------
    subjects : sequence of Pair
        To be registered.
    fixed : Path
        The image.
    folder : Path
        Output folder of the cohort.
    recipe : Recipe
        How.
    options : Options
        Of the template.
    starts : Path, optional
        Folder of affines to start from, of subjects that have one.

    Raises
    ------
    StoppedError
        When it was stopped before the last one.
    """
    pairs = [_paired(one, fixed, starts) for one in subjects]
    summary = cohort.run(pairs, folder, options.cohort(recipe))
    if summary.stop_reason is not None:
        raise StoppedError(summary.stop_reason)
    results = {result.id: result for result in cohort.read_results(folder)}
    return Registered(folder, fixed, tuple(subjects), results)


def _paired(subject: Pair, fixed: Path, starts: Path | None = None) -> Pair:
    """A subject as a pair of a cohort; its labels are carried over later, and once."""
    files = [] if starts is None else [start_file(starts, subject, warped=warped) for warped in (True, False)]
    initial = next((str(path) for path in files if path.exists()), "")
    return replace(subject, fixed=str(fixed), initial=initial, moving_labels="", space=SPACE, columns={})


def start_file(folder: Path, subject: Pair, *, warped: bool = False) -> Path:
    """The map that a round leaves for the next, from its template to a subject: an affine, or a warp and an affine."""
    return folder / f"{label_of(subject)}{'.h5' if warped else '.mat'}"


def write_starts(
    registered: Registered, mean: MeanMap, folder: Path, *, grid: Grid, warped: bool, backend: Backend
) -> None:
    """Write, for every subject, where the next round starts: the map from the new template to it.

    Parameters
    ----------
    registered : Registered
        The subjects.
    mean : MeanMap
        Of their maps.
    folder : Path
        Of the round.
    grid : Grid
        Of the new template.
    warped : bool
        Whether the displacement is part of the start.
    backend : Backend
        What joins displacements.
    """
    with writing(folder / STARTS):
        (folder / STARTS).mkdir(exist_ok=True)
    for subject, files in zip(registered.subjects, registered.maps(), strict=True):
        affine = Affine(files.matrix() @ (~mean.affine).matrix, grid.flat)
        whole = Chain.of(mean.inverse, files.chain())
        write_start(subject, whole, affine, folder / STARTS, grid=grid if warped else None, backend=backend)


def write_start(
    subject: Pair, whole: Chain, affine: Affine, folder: Path, *, grid: Grid | None, backend: Backend
) -> None:
    """Write where a round starts for a subject.

    Parameters
    ----------
    subject : Pair
        The subject.
    whole : Chain
        The map from the template to it.
    affine : Affine
        That of the map.
    folder : Path
        Where the files go.
    grid : Grid, optional
        Of the template, on which the displacement of the whole map is written; None leaves it out.
    backend : Backend
        What joins displacements.
    """
    write_transform(affine, start_file(folder, subject))
    if grid is None:
        return
    seen = pull_back(Chain.of(whole, ~affine), grid, backend)  # its affines are each other's inverses
    if seen.field is not None:
        displacement = Displacement(to_world(seen.field, grid), grid)
        write_transform(Chain((displacement, affine)), start_file(folder, subject, warped=True))


@dataclass(frozen=True, eq=False)
class Averaging:
    """How subjects become a mean image.

    Parameters
    ----------
    registered : Registered
        The subjects.
    weights : tuple of float
        Of each.
    mean : MeanMap
        Of their maps.
    grid : Grid
        Where the mean image lies.
    options : Options
        Of the template.
    backend : Backend
        What computes.
    """

    registered: Registered
    weights: tuple[float, ...]
    mean: MeanMap
    grid: Grid
    options: Options
    backend: Backend

    def image(self, paths: Sequence[str], *, symmetric: bool) -> Mean:
        """The mean of images, one of each subject, given by their paths."""
        found = weighted_mean(self._normalised(paths), self.grid, self._inside())
        image = mirrored_mean(found.image) if symmetric else found.image
        if self.options.sharpen:
            image = sharpened(image, self.options.sharpen)
        return Mean(image, found.residual)

    def labels(self) -> Iterator[tuple[NDArray[np.generic], float]]:
        """Labels of the subjects that have some, on the grid of the mean, and their weights."""
        for subject, chain, weight in self._counted():
            if subject.moving_labels:
                labels = read_image(subject.moving_labels, self.options.geometry)
                yield warp(labels, chain, self.grid, order=0, backend=self.backend).data, weight

    def _normalised(self, paths: Sequence[str]) -> Iterator[tuple[NDArray[np.float32], float]]:
        given = dict(zip((one.id for one in self.registered.subjects), paths, strict=True))
        for subject, chain, weight in self._counted():
            image = read_normalised(given[subject.id], self.options.geometry, self.backend)
            seen = warp(image, chain, self.grid, order=3, backend=self.backend).data
            yield np.clip(seen, image.data.min(), image.data.max(), dtype=np.float32), weight

    def _counted(self) -> Iterator[tuple[Pair, Chain, float]]:
        """Every subject that counts, the map from the mean to it, and its weight."""
        maps = self.registered.maps()
        for subject, files, weight in zip(self.registered.subjects, maps, self.weights, strict=True):
            if weight:
                yield subject, Chain.of(self.mean.inverse, files.chain()), weight

    def _inside(self) -> NDArray[np.bool_]:
        fixed = read_image(self.registered.fixed)
        return foreground_mask(warp(fixed, self.mean.inverse, self.grid, backend=self.backend))
