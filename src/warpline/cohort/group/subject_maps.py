"""The maps of one subject on the grid of the fixed image: its image, its Jacobian, tissues and labels, modulated."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.cohort.group.options import IMAGE, JACOBIANS, MODULATED, GroupOptions, label_map
from warpline.cohort.group.subjects import Subject
from warpline.cohort.manifest import ID
from warpline.errors import InputError
from warpline.images import Image
from warpline.images.checks import check_one_volume
from warpline.io.images import read_image
from warpline.operations import check_labels, jacobian, read_chain
from warpline.resampling import warp
from warpline.space import Chain
from warpline.space.grid import Grid

Volume = NDArray[np.float32]

LEAST_DETERMINANT = 0.01
"""Determinants are raised to this before their logarithm is taken; a map that folds has lower ones."""

_FWHM = 2 * np.sqrt(2 * np.log(2))
"""Full width at half maximum of a Gaussian, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Registered:
    """What the sidecar of a registration says.

    Parameters
    ----------
    kinds : frozenset of str
        The files that were written.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers was asked for.
    recipe : str
        Its name.
    """

    kinds: frozenset[str]
    geometry: str | None
    recipe: str


@dataclass(frozen=True)
class MapSettings:
    """What the maps of all subjects have in common.

    Parameters
    ----------
    root : Path
        The output folder of the run.
    grid : Grid
        Of the fixed image.
    options : GroupOptions
        Which maps.
    backend : Backend
        Where fields are computed.
    """

    root: Path
    grid: Grid
    options: GroupOptions
    backend: Backend


class SubjectMaps:
    """The maps of one subject.

    Parameters
    ----------
    settings : MapSettings
        What is asked for.
    subject : Subject
        Whose they are.
    registered : Registered
        What its registration left.
    """

    def __init__(self, settings: MapSettings, subject: Subject, registered: Registered) -> None:
        self.subject = subject
        self.geometry = registered.geometry
        self.raised_voxels = 0
        self.notes: list[str] = []
        self._settings, self._kinds = settings, registered.kinds

    def image(self, name: str) -> Volume:
        """A map by its name, (I, J, K)."""
        if name in JACOBIANS:
            found: Volume = self._log_jacobian if name == "log_jacobian" else self._jacobian
            return found
        if name.startswith(MODULATED):
            return np.asarray(self._carried(name.removeprefix(MODULATED)) * self._jacobian, np.float32)
        return self._carried(name)

    def path(self, kind: str) -> Path:
        """The path of a file of the registration."""
        return self._settings.root / self.subject.task.outputs.names()[kind]

    def has(self, kind: str) -> bool:
        """Whether the registration wrote a file."""
        return kind in self._kinds

    @cached_property
    def chain(self) -> Chain:
        """Fixed world to moving world."""
        parts = [str(self.path(kind)) for kind in ("warp", "affine") if self.has(kind)]
        return read_chain(parts, backend=self._settings.backend)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The moving labels on the fixed grid, as the run carried them, (I, J, K)."""
        return whole(self._on_grid(self.path("warped_labels")))

    @cached_property
    def _jacobian(self) -> Volume:
        """Determinant of the whole map, or of the displacement alone."""
        settings = self._settings
        whole_map = self.chain if settings.options.with_affine else Chain(self.chain.parts[:-1])
        found: Volume = jacobian(whole_map, settings.grid, backend=settings.backend).data  # type: ignore[assignment]
        return found

    @cached_property
    def _log_jacobian(self) -> Volume:
        self.raised_voxels = int(np.count_nonzero(self._jacobian < LEAST_DETERMINANT))
        return np.asarray(np.log(np.maximum(self._jacobian, LEAST_DETERMINANT)), np.float32)

    def _carried(self, name: str) -> Volume:
        options = self._settings.options
        if name == IMAGE:
            return np.asarray(self._on_grid(self.path("warped")).data, np.float32)
        if name in options.tissues:
            return self._carried_tissue(name)
        label = next(label for label in options.labels if label_map(label) == name)
        return np.asarray(self.labels == label, np.float32)

    def _carried_tissue(self, name: str) -> Volume:
        """An image in the world of the moving one, linearly interpolated; 0 beyond it."""
        settings = self._settings
        image = read_image(settings.options.tissues[name].replace(ID, self.subject.id), self.geometry)
        check_one_volume(image)
        if not np.isfinite(image.data).all():
            raise InputError(f"{image.name} holds NaN or infinite values; write 0 where nothing is known")
        carried: Any = warp(image, self.chain, settings.grid, backend=settings.backend).data
        self.notes += image.grid.notes if carried.any() else (f"{image.name} shows nothing on the fixed grid",)
        return np.asarray(carried, np.float32)

    def _on_grid(self, path: Path) -> Image:
        image = read_image(path)
        if image.grid != self._settings.grid:
            raise InputError(
                f"{path} (shape {image.grid.shape}) does not lie on the grid of the fixed image "
                f"{self._settings.grid.shape}: one of them has changed; run the cohort again"
            )
        return image


def whole(image: Image) -> NDArray[np.int64]:
    """Labels as integers (I, J, K).

    Raises
    ------
    InputError
        When they have fractions.
    """
    check_labels(image)
    return image.data.astype(np.int64)


def smoothed(volume: Volume, grid: Grid, fwhm: float) -> Volume:
    """A volume (I, J, K) smoothed by a Gaussian of `fwhm` mm, 0 beyond the grid; as it is where that is 0.

    Axes of one voxel are left alone.
    """
    if fwhm == 0:
        return volume
    from scipy.ndimage import gaussian_filter

    sigmas = [0.0 if n == 1 else fwhm / _FWHM / size for n, size in zip(grid.shape, grid.voxel_size, strict=True)]
    found: Volume = gaussian_filter(volume, sigmas, mode="constant", cval=0.0)
    return found


def check_registered(subject: Subject, options: GroupOptions, sidecar: Mapping[str, Any]) -> Registered:
    """What a registration left, refused where the maps need more.

    Raises
    ------
    InputError
        When its displacement was not kept, it has none and the affine is to be left out, or it has no moving labels.
    """
    kinds = frozenset(map(sys.intern, sidecar.get("files") or {}))
    recipe = sidecar.get("recipe") or {}
    deformed = recipe.get("syn") is not None
    needed = options.needs_field or options.tissues
    if needed and deformed and "warp" not in kinds:
        raise InputError(
            f"{subject.id} was registered with --warp none, so that its Jacobian is not known; run the cohort with "
            "--warp forward, or choose --maps warped or none"
        )
    if options.needs_field and not options.with_affine and not deformed:
        raise InputError(
            f"{subject.id} was registered by an affine alone: without it nothing is left; leave out --without-affine"
        )
    if options.labels and "warped_labels" not in kinds:
        raise InputError(f"{subject.id} has no moving labels, for --label; name them in the manifest, and run it again")
    return Registered(kinds, sidecar.get("geometry"), sys.intern(str(recipe.get("name"))))
