"""`MutualInformationMetric`: the options of linear registration, and the metric itself as a function of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends import select
from warpline.dipy.affine_map import AffineInvalidValuesError, AffineInversionError, AffineMap
from warpline.dipy.grids import affine_of, image_of, mask_of
from warpline.dipy.linear_transforms import Transform, transform_of
from warpline.dipy.recipes import linear_recipe
from warpline.errors import InputError, UsageError
from warpline.images.intensity import normalise
from warpline.registration.objective import AffineObjective, affine_objective
from warpline.registration.pyramid import build_pyramid
from warpline.space.grid import Matrix

_DENSE = 2**23
"""Most points that `setup` compares."""


class MutualInformationMetric:
    """Mutual information after Mattes et al. 2003, doi:10.1109/TMI.2003.809072.

    Parameters
    ----------
    nbins : int
        Bins of the joint histogram along either axis.
    sampling_proportion : float in (0, 1], optional
        Share of the static voxels that is compared at each level; None leaves the number to warpline.

    Raises
    ------
    UsageError
        When the share is not in (0, 1].

    Examples
    --------
    >>> from warpline.dipy import AffineRegistration, MutualInformationMetric
    >>> registration = AffineRegistration(MutualInformationMetric(nbins=32, sampling_proportion=0.5))
    """

    def __init__(self, nbins: int = 32, sampling_proportion: float | None = None) -> None:
        if sampling_proportion is not None and not 0 < sampling_proportion <= 1:
            raise UsageError(f"sampling_proportion is {sampling_proportion!r}; a share above 0 and up to 1 is needed")
        self.nbins = nbins
        self.sampling_proportion = sampling_proportion
        self._objective: AffineObjective | None = None

    def options(self, voxels: int) -> dict[str, Any]:
        """Return entries of `warpline.recipe.Linear` for a static image of so many voxels."""
        if self.sampling_proportion is None:
            return {"metric": "mutual_information", "bins": self.nbins}
        samples = max(int(voxels * self.sampling_proportion), 1000)
        return {"metric": "mutual_information", "bins": self.nbins, "samples": samples}

    def setup(
        self,
        transform: Transform,
        static: NDArray[Any],
        moving: NDArray[Any],
        static_grid2world: Matrix | None = None,
        moving_grid2world: Matrix | None = None,
        starting_affine: Matrix | None = None,
        static_mask: NDArray[Any] | None = None,
        moving_mask: NDArray[Any] | None = None,
    ) -> None:
        """Prepare `distance` and `gradient` for two images at their own voxel size.

        Parameters
        ----------
        transform : Transform
            What the parameters are those of, or an object of DIPY's own.
        static, moving : 2-D or 3-D arrays
            The images.
        static_grid2world, moving_grid2world, starting_affine : (dim + 1, dim + 1), optional
            Identity when None; the start is applied before the transform.
        static_mask, moving_mask : arrays, optional
            Nonzero where an image counts.
        """
        self._transform = transform_of(transform)
        self._start = np.eye(self._transform.dim + 1) if starting_affine is None else np.asarray(starting_affine)
        images = image_of(static, static_grid2world, "static"), image_of(moving, moving_grid2world, "moving")
        voxels = images[0].data.size
        share = 1.0 if self.sampling_proportion is None else self.sampling_proportion
        options = linear_recipe(**{**self.options(voxels), "samples": min(max(int(voxels * share), 1000), _DENSE)})
        assert options.linear is not None
        backend, masks = select(None), (static_mask, moving_mask)
        levels = [
            build_pyramid(
                normalise(image, backend, mask_of(mask, image)), (float(image.grid.voxel_size.min()),), backend
            )[0]
            for image, mask in zip(images, masks, strict=True)
        ]
        self._objective = affine_objective(levels[0], levels[1], options.linear)

    def distance(self, params: ArrayLike) -> float:
        """Return the negative mutual information (nats) at parameters (n,), infinite where they are no map."""
        return self.distance_and_gradient(params)[0]

    def gradient(self, params: ArrayLike) -> NDArray[np.float64]:
        """Return the derivative (n,) of `distance`, zero where the parameters are no map."""
        return self.distance_and_gradient(params)[1]

    def distance_and_gradient(self, params: ArrayLike) -> tuple[float, NDArray[np.float64]]:
        """Return `distance` and `gradient` at once.

        Raises
        ------
        InputError
            Before `setup`.
        """
        if self._objective is None:
            raise InputError("the metric has no images yet; call setup() first")
        try:
            matrix = AffineMap(self._transform.param_to_matrix(params) @ self._start).affine
        except (AffineInversionError, AffineInvalidValuesError):
            return np.inf, np.zeros(self._transform.get_number_of_parameters())
        values, slopes = self._objective.values_and_derivatives(affine_of(matrix).matrix[None])
        axes = tuple(range(self._transform.dim))
        slope = slopes[0][np.ix_(axes, (*axes, 3))]
        derivatives = self._transform.matrix_derivatives(params) @ self._start
        return float(values[0]), np.einsum("pij,ij->p", derivatives[:, :-1], slope)
