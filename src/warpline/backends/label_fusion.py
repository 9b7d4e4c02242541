"""What label fusion asks of a CPU: patches of atlases that look like those of an image, their weights, their votes."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Shape


class LabelFusion(Protocol):
    """The operations; arrays of NumPy, C order. Patches that cross a border repeat the values there."""

    def best_offsets(
        self,
        image: NDArray[np.float32],
        atlas: NDArray[np.float32],
        places: NDArray[np.bool_],
        *,
        radius: Shape,
        search: Shape,
        count: int,
        threads: int = 1,
    ) -> NDArray[np.int8]:
        """Where the patches of an atlas lie that differ least from that of each place: (count, I, J, K, 3) voxels.

        The difference is the mean square over the patch, and `NEARER` times the squared length of the offset, in
        voxels: where all patches are alike the nearest one is taken. The best comes first; 0 outside of `places`.

        Parameters
        ----------
        image, atlas : (I, J, K) float32
            On one grid, of intensities that can be compared.
        places : (I, J, K) bool
            Voxels whose patch is looked for.
        radius : (3,) int
            Of a patch, in voxels: ``2 * radius + 1`` along each axis.
        search : (3,) int
            Largest offsets along each axis, in voxels.
        count : int
            How many offsets, at most ``prod(2 * search + 1)``.
        threads : int
            CPU threads to use.
        """

    def joint_weights(
        self,
        image: NDArray[np.float32],
        atlases: NDArray[np.float32],
        offsets: NDArray[np.int8],
        places: NDArray[np.int32],
        *,
        radius: Shape,
        flat: float,
        beta: float,
        alpha: float,
        threads: int = 1,
    ) -> NDArray[np.float32]:
        """Weights of the patches at every place, at least 0 and 1 together: (M, N, P).

        They minimise the expected error of the vote, ``w = m^-1 1 / (1' m^-1 1)``. For every two patches `m` has the
        mean product of their errors to the power `beta`, and `alpha` on its diagonal beside. The error of a patch is
        its difference from that of the image, both with mean 0 and standard deviation 1, without its sign. Negative
        weights are set to 0; all are equal where none is positive.

        Parameters
        ----------
        image : (I, J, K) float32
            What is labelled.
        atlases : (N, I, J, K) float32
            Warped images.
        offsets : (N, P, I, J, K, 3) int8
            Voxels from a place to the centres of the P patches of each atlas that are compared with the one there.
        places : (M, 3) int32
            Voxels.
        radius : (3,) int
            Of a patch, in voxels.
        flat : float
            Standard deviation of a patch below which its values say nothing: it counts as constant.
        beta : float
            Power of the mean products.
        alpha : float
            Added to the diagonal; above 0.
        threads : int
            CPU threads to use.
        """

    def patch_votes(
        self,
        codes: NDArray[np.int32],
        offsets: NDArray[np.int8],
        weights: NDArray[np.float32],
        places: NDArray[np.int32],
        *,
        radius: Shape,
        count: int,
        threads: int = 1,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The label of each place with the most weight, (M,), and its share of the weight, (M,).

        Every place around it, not farther than `radius`, votes with its own weights and offsets.

        Parameters
        ----------
        codes : (N, I, J, K) int32
            Labels of the atlases, from 0 to ``count - 1``.
        offsets, places
            As for `joint_weights`.
        weights : (M, N, P) float32
            Of every patch at each place, at least 0.
        radius : (3,) int
            Of the patch that votes.
        count : int
            Labels.
        threads : int
            CPU threads to use.
        """


NEARER = 1e-5
"""What a squared voxel of distance adds to the difference of patches: else noise moves patches where all is flat."""


def label_fusion(backend: str) -> LabelFusion:
    """The operations that go with a backend: NumPy's for ``"numpy"``, else the compiled ones where numba is there."""
    if backend == "numpy" or importlib.util.find_spec("numba") is None:
        return cast(LabelFusion, importlib.import_module("warpline.backends.numpy_label_fusion"))
    from warpline.backends import numba_cache

    numba_cache.choose_cache_folder()
    return cast(LabelFusion, importlib.import_module("warpline.backends.numba_label_fusion"))


def offsets_by_distance(search: Shape) -> NDArray[np.int64]:
    """All offsets of a search, (S, 3) voxels, the nearest first."""
    axes = np.meshgrid(*(np.arange(-reach, reach + 1) for reach in search), indexing="ij")
    offsets = np.stack(axes, axis=-1).reshape(-1, 3)
    return offsets[np.argsort((offsets**2).sum(axis=1), kind="stable")]
