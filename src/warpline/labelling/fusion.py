"""Labels of several atlases on one grid become one: the table of ways, and those that weigh voxel by voxel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.ndimage import uniform_filter

from warpline.errors import UsageError
from warpline.labelling.candidates import Candidates, Floats, Fused
from warpline.labelling.joint_fusion import JointOptions, joint
from warpline.labelling.votes import winners

LOCAL_RADIUS = 2
"""Of the patches of `local`, in voxels; larger, weights are smoother, and places next to each other share them."""
LOCAL_POWER = 4.0
"""Of the correlation of patches in `local`: larger, the atlas that fits best counts more."""
_FLAT = 1e-6
"""Variance of a patch, as a share of that of the image, below which it correlates with nothing."""


def majority(candidates: Candidates) -> Fused:
    """Every atlas has one vote; of labels with equal votes the smallest wins.

    Parameters
    ----------
    candidates : Candidates
        Two or more atlases.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.candidates import Candidates
    >>> from warpline.labelling.fusion import majority
    >>> codes = np.array([[1, 1], [1, 2], [0, 2]], np.int32).reshape(3, 1, 1, 2)
    >>> images = np.zeros((3, 1, 1, 2), np.float32)
    >>> fused = majority(Candidates(images[0], images, codes))
    >>> fused.codes.ravel(), fused.confidence.ravel().round(2)
    (array([1, 2], dtype=int32), array([0.67, 0.67], dtype=float32))
    """
    return Fused(*winners(candidates.codes, np.ones(len(candidates.codes), np.float32)))


def local(candidates: Candidates) -> Fused:
    """Every atlas votes with the local correlation of its image, to a power (Artaechevarria et al. 2009).

    doi:10.1109/TMI.2009.2014372. Correlation does not depend on brightness and contrast of the scans.

    Parameters
    ----------
    candidates : Candidates
        Two or more atlases.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.candidates import Candidates
    >>> from warpline.labelling.fusion import local
    >>> image, *others = np.random.default_rng(0).random((3, 9, 9, 9), dtype=np.float32)
    >>> codes = np.stack([np.full(image.shape, one, np.int32) for one in (1, 0, 0)])
    >>> bool((local(Candidates(image, np.stack([image, *others]), codes)).codes == 1).all())
    True
    """
    weights = np.stack([_correlation(candidates.image, one) for one in candidates.atlases]) ** LOCAL_POWER
    weights += np.float32(1e-6)  # where no atlas correlates, all count alike
    return Fused(*winners(candidates.codes, weights))


def _correlation(image: Floats, atlas: Floats) -> Floats:
    """Correlation of the patches around every voxel, 0 where it is negative."""
    size = [2 * LOCAL_RADIUS + 1 if n > 1 else 1 for n in image.shape]
    first, second = (one - one.mean(dtype=np.float64).astype(np.float32) for one in (image, atlas))
    means = [uniform_filter(one, size, mode="nearest") for one in (first, second)]
    pairs = ((0, 0), (1, 1), (0, 1))
    moments = [
        uniform_filter((first, second)[a] * (first, second)[b], size, mode="nearest") - means[a] * means[b]
        for a, b in pairs
    ]
    least = [np.float32(_FLAT * one.var() + np.finfo(np.float32).tiny) for one in (first, second)]
    spread = np.sqrt(np.maximum(moments[0], least[0]) * np.maximum(moments[1], least[1]))
    return np.asarray(np.clip(moments[2] / spread, 0, 1), dtype=np.float32)


FUSIONS: dict[str, Callable[[Candidates], Fused]] = {"joint": joint, "local": local, "majority": majority}
"""Name to function."""


def chosen_fusion(name: str, joint_options: JointOptions | None = None) -> Callable[[Candidates], Fused]:
    """The function of a name in `FUSIONS`, with its settings.

    Parameters
    ----------
    name : str
        A name in `FUSIONS`.
    joint_options : JointOptions, optional
        Of `joint`; its defaults when None.

    Raises
    ------
    UsageError
        When there is no such fusion, or settings are given for one that has none.

    Examples
    --------
    >>> from warpline.labelling.fusion import chosen_fusion, majority
    >>> chosen_fusion("majority") is majority
    True
    """
    if name not in FUSIONS:
        raise UsageError(f"fusion is {name!r}; choose from {', '.join(FUSIONS)}")
    if joint_options is None:
        return FUSIONS[name]
    if FUSIONS[name] is not joint:
        raise UsageError(
            f"fusion is {name!r}, which has no settings; radii, patches, alpha and beta are those of joint"
        )
    return partial(joint, options=joint_options)
