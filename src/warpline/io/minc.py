"""Checks of MINC 2 files before nibabel reads them, as of every HDF5 file (`transform_files.hdf5`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from warpline.errors import InputError
from warpline.io.transform_files import hdf5

_PLACE = ("minc-2.0", "image", "0")


def check_minc2(path: Path) -> None:
    """Refuse a file that is no MINC 2, links elsewhere, keeps data elsewhere or claims more than it holds.

    Raises
    ------
    InputError
        Naming the fault.
    """
    with hdf5.reading(path) as reader:
        image = reader.root
        for name in _PLACE:
            image = _need(reader, image, name)
        values = _need(reader, image, "image")
        reader.check_numbers(values, "image", decoded=8)
        reader.check_attributes(values, ("dimorder", "valid_range"))
        for name in ("image-min", "image-max"):
            limit = _need(reader, image, name)
            reader.check_numbers(limit, name)
            reader.check_attributes(limit, ("dimorder",))
        folder = _need(reader, _need(reader, reader.root, _PLACE[0]), "dimensions")
        order = hdf5.as_text(values.attrs["dimorder"]) if "dimorder" in values.attrs else ""
        for name in order.split(",")[: values.ndim]:
            reader.check_attributes(_need(reader, folder, name), None)


def _need(reader: hdf5.Reader, group: Any, name: str) -> Any:
    found = reader.child(group, name)
    if found is None:
        raise InputError(f"{reader.path} is no MINC 2 file: it has no {name} in {group.name}; convert it again")
    return found
