"""Colours of values from 0 to 1, for pictures and for the page of a pair."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHRINKS_GROWS = ("#c9e7ff", "#4a93d9", "#1d3a5f", "#0e1116", "#6b2d16", "#e0703a", "#ffdcb8")
"""Dark where nothing changes, so that what changes stands out on a dark page."""

MAGMA = (
    *("#000004", "#0a0822", "#1d1147", "#36106b", "#51127c", "#6a1c81", "#832681", "#9c2e7f", "#b73779"),
    *("#cf4070", "#e55064", "#f4695c", "#fb8761", "#fea571", "#fec287", "#fde0a1", "#fcfdbf"),
)
"""Perceptually uniform, from black (S. van der Walt and N. Smith, 2015)."""

HEAT = ("#000000", "#3b0f40", "#8c1d4f", "#d8433a", "#f98e2b", "#ffe98a")

_STEPS = 1024
"""Of a ramp."""


def coloured(values: NDArray[Any], ramp: Sequence[str]) -> NDArray[np.float32]:
    """Colours (..., 3) of values from 0 to 1, linear between those of the ramp, in 1024 steps."""
    steps = np.clip(values * (_STEPS - 1) + 0.5, 0, _STEPS - 1).astype(np.intp)
    return _table(tuple(ramp))[steps]


@cache
def _table(ramp: tuple[str, ...]) -> NDArray[np.float32]:
    colours = np.array([[int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] for colour in ramp], np.float32)
    places = np.linspace(0, 1, len(colours))
    channels = [np.interp(np.linspace(0, 1, _STEPS), places, channel) for channel in colours.T]
    return np.stack(channels, axis=-1).astype(np.float32)


def bytes_of(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Shades or colours from 0 to 1 as they are stored; what is stored so already stays."""
    return picture if picture.dtype == np.uint8 else np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
