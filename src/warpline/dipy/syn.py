"""`SymmetricDiffeomorphicRegistration`: warpline's SyN behind DIPY's optimiser object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend, select
from warpline.dipy.diffeomorphic_map import DiffeomorphicMap
from warpline.dipy.grids import affine_of, field_of, flatten, image_of
from warpline.dipy.log_warnings import log_warnings
from warpline.dipy.metrics import SynMetric
from warpline.dipy.recipes import syn_recipe
from warpline.errors import InputError, UsageError
from warpline.registration.alignment import Alignment, align_with_half_maps
from warpline.registration.progress import Progress
from warpline.space import Displacement
from warpline.space.grid import Matrix


class RegistrationStages(IntEnum):
    """Stages at which a callback is called, in DIPY's numbering.

    Examples
    --------
    >>> from warpline.dipy import RegistrationStages
    >>> RegistrationStages.ITER_END.name
    'ITER_END'
    """

    INIT_START = 0
    INIT_END = 1
    OPT_START = 2
    OPT_END = 3
    SCALE_START = 4
    SCALE_END = 5
    ITER_START = 6
    ITER_END = 7


LEVEL_SIGMA = 2.0
"""Smoothing of a level's images in voxels, for every voxel that it is shrunk by and unit of `ss_sigma_factor`.

DIPY takes ``factor - 1`` in place of ``2 factor``, and interpolates the images linearly. Here splines interpolate; of
the rules that were measured on brains, this one is no worse than DIPY in either direction.
"""

Callback = Callable[["SymmetricDiffeomorphicRegistration", RegistrationStages], Any]


class SymmetricDiffeomorphicRegistration:
    """Deformable registration by SyN (Avants et al. 2008, doi:10.1016/j.media.2007.06.004).

    Parameters
    ----------
    metric : CCMetric, SSDMetric or EMMetric
        The similarity to optimise.
    level_iters : sequence of int
        Iterations of each level, the coarsest first; their number sets the shrink factors ..., 4, 2, 1.
        [100, 100, 25] when None.
    step_length : float
        Longest update of an iteration, in voxels of the level.
    ss_sigma_factor : float
        Smoothing of the images of each level, see `LEVEL_SIGMA`.
    inv_iter, inv_tol : float
        Kept for DIPY's signature. The maps are inverted once, at the end, to within 0.05 voxels on average.
    opt_tol : float
        A level ends when the energy falls by less than this share of itself per iteration.
    callback : callable, optional
        ``callback(optimiser, stage)`` with stages in DIPY's order. It is called for an iteration when its energy is
        read, which is every few iterations.
    backend : str or Backend, optional
        Where to compute; chosen by `warpline.backends.select` when None.

    Attributes
    ----------
    energy_list : list of float
        Energies of the current level as they were read: the mean over voxels, smaller is better.
    full_energy_profile : list of float
        Those of all levels.
    current_level : int
        0 is the finest.

    Raises
    ------
    UsageError
        When there is no metric or `level_iters` is empty, or in `optimize` when an option is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import SSDMetric, SymmetricDiffeomorphicRegistration
    >>> x, y = np.indices((24, 24)) - 11.5
    >>> static, moving = np.exp(-(x**2 + y**2) / 40), np.exp(-((x - 1) ** 2 + y**2) / 40)
    >>> registration = SymmetricDiffeomorphicRegistration(SSDMetric(2), level_iters=[20, 10])
    >>> mapping = registration.optimize(static, moving)
    >>> bool(np.abs(mapping.transform(moving) - static).max() < 0.5 * np.abs(moving - static).max())
    True
    """

    energy_window = 12
    """Energies that DIPY fits a parabola to."""

    def __init__(
        self,
        metric: SynMetric,
        level_iters: Sequence[int] | None = None,
        step_length: float = 0.25,
        ss_sigma_factor: float = 0.2,
        opt_tol: float = 1e-5,
        inv_iter: int = 20,
        inv_tol: float = 1e-3,
        callback: Callback | None = None,
        *,
        backend: str | Backend | None = None,
    ) -> None:
        if not hasattr(metric, "options"):
            raise UsageError(f"metric is {metric!r}; give a CCMetric, SSDMetric or EMMetric of warpline.dipy")
        self.metric = metric
        self.set_level_iters([100, 100, 25] if level_iters is None else level_iters)
        self.step_length = step_length
        self.ss_sigma_factor = ss_sigma_factor
        self.opt_tol = opt_tol
        self.inv_iter = inv_iter
        self.inv_tol = inv_tol
        self.callback = callback
        self.backend = backend
        self.verbosity = 1
        self.energy_list: list[float] = []
        self.full_energy_profile: list[float] = []
        self.current_level = 0
        self.niter = 0

    def set_level_iters(self, level_iters: Sequence[int]) -> None:
        """Replace the schedule, coarsest level first."""
        if len(level_iters) == 0:
            raise UsageError("level_iters is empty; give the iterations of at least one level")
        self.level_iters = [int(n) for n in level_iters]
        self.levels = len(self.level_iters)

    def get_map(self) -> DiffeomorphicMap:
        """Return the map that the last `optimize` found.

        Raises
        ------
        InputError
            When there has been none.
        """
        if not hasattr(self, "static_to_moving"):
            raise InputError("there is no map yet; call optimize() first")
        return self.static_to_moving

    def get_intermediate_maps(self) -> tuple[DiffeomorphicMap, DiffeomorphicMap]:
        """Return the maps from the static and from the moving image to the middle of the last `optimize`.

        Their `transform_inverse` carries the static, or the moving, image to the middle, which lies on the static
        grid; there both look alike. These maps are the optimiser's: the map that `optimize` returns is their
        composition, with folds removed.

        Raises
        ------
        InputError
            When there are none.
        """
        if not hasattr(self, "static_to_ref"):
            raise InputError("there are no maps yet; call optimize() first")
        return self.static_to_ref, self.moving_to_ref

    def _get_energy_derivative(self) -> float:
        """Slope of the parabola through the last energies, in the middle of them, over the size of their sum.

        Raises
        ------
        InputError
            When there are fewer than `energy_window`.
        """
        if len(self.energy_list) < self.energy_window:
            raise InputError(
                f"there are {len(self.energy_list)} energies of this level; {self.energy_window} are needed"
            )
        energies = np.array(self.energy_list[-self.energy_window :])
        slope = np.polyder(np.polyfit(np.arange(self.energy_window), energies, 2))
        return float(np.polyval(slope, self.energy_window / 2) / (-abs(energies.sum()) or 1.0))

    def optimize(
        self,
        static: NDArray[Any],
        moving: NDArray[Any],
        static_grid2world: Matrix | None = None,
        moving_grid2world: Matrix | None = None,
        prealign: Matrix | None = None,
    ) -> DiffeomorphicMap:
        """Register `moving` onto `static`.

        Parameters
        ----------
        static, moving : 2-D or 3-D arrays
            Of the metric's dimension.
        static_grid2world, moving_grid2world : (dim + 1, dim + 1), optional
            Voxel to world; identity when None.
        prealign : (dim + 1, dim + 1), optional
            Static world to moving world, such as the matrix of an `AffineMap`.

        Returns
        -------
        DiffeomorphicMap
            ``transform(moving)`` is the moving image on the static grid, ``transform_inverse(static)`` the reverse.

        Raises
        ------
        InputError
            When an image is not finite, constant or smaller than the metric's window, or the grids do not overlap.
        """
        images = image_of(static, static_grid2world, "static"), image_of(moving, moving_grid2world, "moving")
        self._check_dimension(static, moving)
        factors = tuple(2.0**level for level in reversed(range(self.levels)))
        recipe = syn_recipe(
            factors=factors,
            iterations=tuple(self.level_iters),
            sigmas=tuple(LEVEL_SIGMA * self.ss_sigma_factor * factor if factor > 1 else 0.0 for factor in factors),
            beyond="background",
            step=self.step_length,
            update_weights=(),
            full_steps=True,
            early_stop=self.opt_tol,
            **self.metric.options(),
        )
        initial = affine_of(prealign)
        adapter = _CallbackAdapter(self)
        found, halves = align_with_half_maps(
            *images, recipe, backend=select(self.backend), initial=initial, progress=adapter.on_progress
        )
        adapter.end()
        log_warnings(found)
        self.static_to_moving = map_of(found, self.metric.dim, prealign)
        self.static_to_ref, self.moving_to_ref = halves_of(found, halves, self.metric.dim, prealign)
        self._notify(RegistrationStages.OPT_END)
        return self.static_to_moving

    def _check_dimension(self, *arrays: NDArray[Any]) -> None:
        for name, array in zip(("static", "moving"), arrays, strict=True):
            if np.ndim(array) != self.metric.dim:
                raise UsageError(f"{name} has {np.ndim(array)} axes; the metric was made for {self.metric.dim}")

    def _notify(self, stage: RegistrationStages) -> None:
        if self.callback is not None:
            self.callback(self, stage)


class _CallbackAdapter:
    """Translates progress of the engine into DIPY's attributes and callback stages."""

    def __init__(self, optimiser: SymmetricDiffeomorphicRegistration) -> None:
        self.optimiser = optimiser
        optimiser.full_energy_profile = []
        optimiser._notify(RegistrationStages.OPT_START)
        self._enter(0)

    def on_progress(self, progress: Progress) -> None:
        self._advance_to(progress.level)
        self._show(progress)
        self.optimiser._notify(RegistrationStages.ITER_START)
        self.optimiser.energy_list.append(progress.energy)
        self.optimiser.niter = progress.iteration + 1
        self.optimiser._notify(RegistrationStages.ITER_END)

    def end(self) -> None:
        self._advance_to(self.optimiser.levels - 1)
        self._leave()

    def _show(self, progress: Progress) -> None:
        if self.optimiser.callback is None or progress.images is None:
            return
        metric = self.optimiser.metric
        static, moving = (image if metric.dim == 3 else image[..., 0] for image in progress.images())
        metric.static_image, metric.moving_image = static, moving

    def _advance_to(self, level: int) -> None:
        while self.level < level:
            self._leave()
            self._enter(self.level + 1)

    def _enter(self, level: int) -> None:
        self.level = level
        self.optimiser.current_level = self.optimiser.levels - 1 - level
        self.optimiser.energy_list, self.optimiser.niter = [], 0
        self.optimiser._notify(RegistrationStages.SCALE_START)

    def _leave(self) -> None:
        self.optimiser.full_energy_profile.extend(self.optimiser.energy_list)
        self.optimiser._notify(RegistrationStages.SCALE_END)


def map_of(found: Alignment, dim: int, prealign: Matrix | None) -> DiffeomorphicMap:
    """Wrap an alignment as DIPY's SyN returns it: domain moving, codomain static, `is_inverse` set."""
    if found.warp is None or found.warp.inverse_field is None:
        raise InputError("the alignment has no warp; run a recipe with a deformable stage")
    fixed, moving = (flatten(image.affine, dim) for image in (found.fixed, found.moving))
    mapping = DiffeomorphicMap(
        dim,
        found.fixed.grid.shape[:dim],
        fixed,
        found.moving.grid.shape[:dim],
        moving,
        found.fixed.grid.shape[:dim],
        fixed,
        None if prealign is None else np.asarray(np.linalg.inv(prealign), dtype=np.float64),
    )
    mapping.backward = field_of(found.warp.field, dim)
    mapping.forward = field_of(found.warp.inverse_field, dim)
    mapping.is_inverse = True
    return mapping


def halves_of(
    found: Alignment, halves: tuple[Displacement, Displacement], dim: int, prealign: Matrix | None
) -> tuple[DiffeomorphicMap, DiffeomorphicMap]:
    """Wrap the maps to the middle: domains the static and the moving grid, the codomain of both the static one."""
    fixed = flatten(found.fixed.affine, dim)
    maps = []
    starts = (None, None if prealign is None else np.asarray(np.linalg.inv(prealign), dtype=np.float64))
    for image, start, half in zip((found.fixed, found.moving), starts, halves, strict=True):
        shape, grid = found.fixed.grid.shape[:dim], flatten(image.affine, dim)
        made = DiffeomorphicMap(dim, shape, fixed, image.grid.shape[:dim], grid, shape, fixed, start)
        assert half.inverse_field is not None
        made.backward, made.forward = field_of(half.field, dim), field_of(half.inverse_field, dim)
        maps.append(made)
    return maps[0], maps[1]
