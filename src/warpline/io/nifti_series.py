"""NIfTI files of many volumes, written one volume after the other: no more than one of them is in memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import OutputError
from warpline.io import nifti
from warpline.space.grid import Grid

TYPE = np.dtype("<f4")
"""Of all values."""


class SeriesFile:
    """An uncompressed 4-D NIfTI file of float32 that grows by volumes.

    It is whole after the ``with`` block. `volumes` maps those that are there into memory, to read and to change.

    Parameters
    ----------
    path : Path
        Ends in ``.nii``; the file is made anew.
    grid : Grid
        Of every volume.
    most : int
        Volumes that follow: exactly so many where they are more than 32767, which NIfTI-2 alone holds; else at most.
    """

    def __init__(self, path: Path, grid: Grid, most: int) -> None:
        self.count = 0
        self._path, self._grid = path, grid
        self._offset = len(self._head(most))
        self._file = path.open("w+b")
        self._file.write(bytes(self._offset))

    def __enter__(self) -> SeriesFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._file.seek(0)
                self._file.write(self._head(self.count))
        finally:
            self._file.close()

    def append(self, volume: NDArray[Any]) -> None:
        """Write a volume (I, J, K) behind the others."""
        self._file.seek(0, 2)
        self._file.write(nifti.c_ordered(volume.T, TYPE).data.cast("B"))
        self.count += 1

    def volumes(self) -> NDArray[np.float32]:
        """All volumes, (N, K, J, I): changes are changes of the file."""
        self._file.flush()
        shape = (self.count, *self._grid.shape[::-1])
        return np.memmap(self._path, TYPE, "r+", self._offset, shape)

    def _head(self, count: int) -> bytes:
        return nifti.encode_head((*self._grid.shape, count), TYPE, self._grid.affine)


def size_of_series(grid: Grid, count: int) -> int:
    """Bytes of a `SeriesFile` of `count` volumes on a grid, its head left out."""
    return int(np.prod(grid.shape, dtype=np.int64)) * TYPE.itemsize * count


def check_space(folder: Path, sizes: dict[str, int]) -> None:
    """Refuse files that the disk of a folder has no room for.

    Parameters
    ----------
    folder : Path
        An existing one.
    sizes : dict
        Bytes of each file by its name.

    Raises
    ------
    OutputError
        Saying how much is needed, and how much is free.
    """
    need, free = sum(sizes.values()), shutil.disk_usage(folder).free
    if need > free:
        largest = max(sizes, key=lambda name: sizes[name])
        raise OutputError(
            f"{folder} has {free / 1e9:.1f} GB free and {need / 1e9:.1f} GB are needed, {sizes[largest] / 1e9:.1f} of "
            f"them for {largest}; choose fewer maps, or a folder on a larger disk"
        )
