"""The fast CPU backend: parallel, fused, cached loops compiled by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from warpline.backends import numba_affine, numba_fields, numba_sampling, numba_similarity, numba_smoothing
from warpline.backends.interface import Array
from warpline.geometry import Matrix


def create(threads: int) -> NumbaBackend:
    """A backend on `threads` CPU threads, at most as many as numba was started with."""
    return NumbaBackend(min(threads, numba.config.NUMBA_NUM_THREADS))


class NumbaBackend:
    """Operations of `warpline.backends.interface.Backend`, see there."""

    name = "numba"

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.device = f"CPU, {threads} threads"
        numba.set_num_threads(threads)
