"""What label fusion asks of a CPU: errors of patches of several atlases, and votes over patches."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Shape


class LabelFusion(Protocol):
    """The operations; arrays of NumPy, C order. Patches that cross a border repeat the values there."""

    def joint_errors(
        self,
        image: NDArray[np.float32],
        atlases: NDArray[np.float32],
        offsets: NDArray[np.int8],
        places: NDArray[np.int32],
        *,
        radius: Shape,
        threads: int = 1,
    ) -> NDArray[np.float32]:
        """Mean product over a patch of the errors of two atlases, for every two of N: (M, N, N).

        The error is the difference between a patch of the image and that of an atlas, both with mean 0 and standard
        deviation 1, without its sign.

        Parameters
        ----------
        image : (I, J, K) float32
            What is labelled.
        atlases : (N, I, J, K) float32
            Warped images.
        offsets : (N, I, J, K, 3) int8
            Voxels from a place to the centre of the patch of each atlas that is compared with the one there.
        places : (M, 3) int32
            Voxels.
        radius : (3,) int
            Of a patch, in voxels: ``2 * radius + 1`` along each axis.
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
            As for `joint_errors`.
        weights : (M, N) float32
            Of every atlas at each place, at least 0.
        radius : (3,) int
            Of the patch that votes.
        count : int
            Labels.
        threads : int
            CPU threads to use.
        """


def label_fusion(backend: str) -> LabelFusion:
    """The operations that go with a backend: NumPy's for ``"numpy"``, else the compiled ones where numba is there."""
    if backend == "numpy" or importlib.util.find_spec("numba") is None:
        return cast(LabelFusion, importlib.import_module("warpline.backends.numpy_label_fusion"))
    from warpline.backends import numba_cache

    numba_cache.choose_cache_folder()
    return cast(LabelFusion, importlib.import_module("warpline.backends.numba_label_fusion"))
