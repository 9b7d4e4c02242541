"""Mutual information of two volumes on the GPU: the histogram, the value and the table of forces."""

from __future__ import annotations

from typing import Any

import numpy as np

from warpline.backends.arrays import Array
from warpline.backends.cuda_workspace import REALS, Workspace, block_count

CHUNK, THREADS = 16384, 512
"""Voxels that a block counts, and its threads; kernels/value_histogram.cu."""


def bins_of(span: tuple[float, float], bins: int) -> dict[str, Any]:
    """The ends of the span of grey values, and the bins per unit, as kernels take them."""
    low, high = span
    return {"low": low, "high": high, "scale": (bins - 3) / (high - low)}


def information_table(
    work: Workspace, arrays: dict[str, Any], bins: int, span: tuple[float, float], value: Array
) -> Array:
    """Write the negative mutual information of two volumes; the table (bins squared,) of their forces.

    Parameters
    ----------
    work : Workspace
        Where it runs.
    arrays : dict
        ``fixed`` and ``moving`` (I, J, K) and their ``mask`` or None, as `Backend.mutual_information_forces` has them.
    """
    cells, count = bins * bins, arrays["fixed"].size
    flat: dict[str, Any] = {name: None if array is None else array.ravel() for name, array in arrays.items()}
    table = work.scratch(("information table", bins), (cells,), np.float32)
    work.launch(
        "value_histogram", (block_count(count, CHUNK), 1, 1), (("BINS", bins), ("VALUE", REALS[value.dtype])),
        (THREADS, 1, 1), **flat, **bins_of(span, bins), table=table, value=value, arrived=work.arrived(),
        counts=work.scratch(("value counts", bins), (cells,), np.uint64),
        work=work.scratch(("information", bins), (2, cells), np.float64),
    )  # fmt: skip
    return table
