"""The NumPy backend under another name."""

from __future__ import annotations

from warpline.backends.numpy_backend import NumpyBackend


class PlainBackend(NumpyBackend):
    """Everything as in NumPy."""

    name = "plain"


def create(threads: int, ordinal: str) -> PlainBackend:
    """One backend for any number of threads."""
    return PlainBackend()
