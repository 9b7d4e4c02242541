"""The files of one registration among transforms, and whether they are named in the right order."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from itertools import pairwise

AFFINE = "0GenericAffine.mat"
WARP = "1Warp.nii.gz"
INVERSE_WARP = "1InverseWarp.nii.gz"
"""How the names of the maps of a registration end, here and with ANTs."""

Named = tuple[str, bool]
"""A file, and whether its inverse is asked for."""


def order_warning(files: Sequence[Named | None]) -> str | None:
    """What is to be said where the affine and the warp of one registration follow each other in the wrong order.

    Points of the fixed image go through the warp, then through the affine; those of the moving image go through the
    inverse of the affine, then through the inverse warp.

    Parameters
    ----------
    files : sequence of (path, inverted), or None
        In the order in which points go through them; None for a transform that is no file.

    Returns
    -------
    str or None
        The right order, both ways; None where there is nothing to say.

    Examples
    --------
    >>> from warpline.io.transform_order import order_warning
    >>> order_warning([("out/1Warp.nii.gz", False), ("out/0GenericAffine.mat", False)])
    >>> print(order_warning([("0GenericAffine.mat", False), ("1Warp.nii.gz", False)]))
    affine and warp of one registration are in the wrong order: the whole map is -t 1Warp.nii.gz \
-t 0GenericAffine.mat, and the map back -t '[0GenericAffine.mat,1]' -t 1InverseWarp.nii.gz
    """
    for first, second in pairwise(files):
        prefix = None if first is None or second is None else _wrong_prefix(first, second)
        if prefix is not None:
            affine, warp, back, inverse = map(shlex.quote, _entries(prefix))
            return (
                f"affine and warp of one registration are in the wrong order: the whole map is "
                f"-t {warp} -t {affine}, and the map back -t {inverse} -t {back}"
            )
    return None


def _entries(prefix: str) -> tuple[str, str, str, str]:
    """Affine, warp and inverse warp of a registration, and the inverse of the affine, as ``-t`` takes them."""
    return prefix + AFFINE, prefix + WARP, prefix + INVERSE_WARP, f"[{prefix}{AFFINE},1]"


def _wrong_prefix(first: Named, second: Named) -> str | None:
    """The prefix of two files where they are the affine and a warp of one registration, and do not fit together."""
    kinds = [_kind_of(*each) for each in (first, second)]
    if None in kinds:
        return None
    (affine, one, forth), (other, two, same) = (kind for kind in kinds if kind is not None)
    if os.path.normpath(one + "_") != os.path.normpath(two + "_") or affine == other:
        return None
    fits = forth == same and affine != forth  # forwards the warp is first, backwards the affine
    return None if fits else one


def _kind_of(path: str, inverted: bool) -> tuple[bool, str, bool] | None:
    """Whether a file is an affine, its prefix, and whether it maps the fixed to the moving image; None for others."""
    for name in (AFFINE, WARP, INVERSE_WARP):
        if path.endswith(name):
            return name == AFFINE, path.removesuffix(name), (name == INVERSE_WARP) == inverted
    return None
