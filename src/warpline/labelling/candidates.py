"""What atlases say about an image, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Candidates:
    """What atlases say about an image, on its grid.

    Parameters
    ----------
    image : (I, J, K) float32
        What is to be labelled; all arrays in C order.
    atlases : (N, I, J, K) float32
        The images of the atlases, warped.
    codes : (N, I, J, K) int32
        Their labels, numbered from 0 in ascending order.
    backend : str
        Name of the backend of the run: ``"numpy"`` keeps to NumPy, all others take compiled loops on the CPU.
    threads : int
        CPU threads to use.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.candidates import Candidates
    >>> image = np.zeros((2, 2, 2), np.float32)
    >>> Candidates(image, np.stack([image, image]), np.zeros((2, 2, 2, 2), np.int32)).threads
    1
    """

    image: Floats
    atlases: Floats
    codes: Codes
    backend: str = "auto"
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Fused:
    """One label a voxel.

    Parameters
    ----------
    codes : (I, J, K) int32
        Labels, numbered as those of the candidates.
    confidence : (I, J, K) float32
        Share of the weight that voted for it, 0 to 1.
    """

    codes: Codes
    confidence: Floats
