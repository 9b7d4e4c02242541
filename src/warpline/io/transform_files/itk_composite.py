"""ITK's composite transforms in HDF5, as ANTs writes them (``Composite.h5``, ``InverseComposite.h5``).

``/TransformGroup/0`` is the composite, the groups 1, 2, … (by number, 10 after 9) are its parts, the **last** of
which points go through first. Each has a ``TransformType`` and, spelt rightly or as in older versions of ITK,
``TransformParameters`` and ``TransformFixedParameters``. What these mean is in `itk_parts`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from warpline.errors import InputError
from warpline.io.transform_files import hdf5, itk_parameters, itk_parts
from warpline.io.transform_files.format import Format, Head
from warpline.space import Chain, Part, Transform


def matches(head: Head) -> bool:
    """Whether a file is HDF5 with ITK's groups."""
    return head.hdf5.itk_class is not None and not matches_flat(head)


def matches_flat(head: Head) -> bool:
    """Whether it is one in 2-D."""
    return head.hdf5.itk_class is not None and "_2_2" in head.hdf5.itk_class


def read(path: Path) -> Transform:
    """Read the composite as a chain, or the transform that is alone in the file; fixed to moving world, RAS+ mm.

    Raises
    ------
    InputError
        When the file is damaged, the class of a part is not known, or several transforms are not
        joined by a composite.
    """
    with hdf5.reading(path) as reader:
        top = reader.child(reader.root, "TransformGroup")
        groups = [] if top is None else reader.numbered(top)
        if not groups:
            raise InputError(f"{path} holds no transform in /TransformGroup; write the file again")
        composite = reader.text(groups[0], "TransformType").startswith(itk_parameters.COMPOSITE)
        if not composite and len(groups) > 1:
            raise InputError(
                f"{path} holds {len(groups)} transforms without a {itk_parameters.COMPOSITE} that says how they are "
                "joined; write them one by one"
            )
        parts = [_part(reader, group) for group in groups[composite:]]
    return Chain(tuple(reversed(parts))) if composite else parts[0]


def encode(transform: Chain) -> bytes:
    """The bytes of a file that ANTs and SimpleITK read; linear parts in double, fields in single precision."""
    return _encode(transform, flat=False)


def encode_flat(transform: Chain) -> bytes:
    """The bytes of a file in 2-D.

    Raises
    ------
    UsageError
        When a part does not fit one.
    """
    return _encode(transform, flat=True)


def _encode(transform: Chain, *, flat: bool) -> bytes:
    parts = [itk_parts.from_part(part, flat=flat) for part in reversed(transform.parts)]

    def fill(root: Any) -> None:
        top = root.create_group("TransformGroup")
        _write(top.create_group("0"), f"{itk_parameters.COMPOSITE}_double_{'2_2' if flat else '3_3'}")
        for number, (name, parameters, fixed) in enumerate(parts, 1):
            _write(top.create_group(str(number)), name, parameters, fixed)

    return hdf5.encode_file(fill)


def _part(reader: hdf5.Reader, group: Any) -> Part:
    name = reader.text(group, "TransformType")
    fixed = reader.array(group, "TransformFixedParameters", "TranformFixedParameters").astype(np.float64)
    parameters = reader.array(group, "TransformParameters", "TranformParameters")
    return itk_parts.to_part(name, parameters.ravel(), fixed.ravel(), reader.path)


def _write(group: Any, name: str, parameters: Any = None, fixed: Any = None) -> None:
    import h5py

    group.create_dataset("TransformType", data=[name], dtype=h5py.string_dtype("ascii"))
    if parameters is not None:
        group.create_dataset("TransformFixedParameters", data=np.asarray(fixed, np.float64))
        group.create_dataset("TransformParameters", data=parameters)


FORMAT = Format(
    about="ITK composite transform in HDF5 (ANTs Composite.h5)",
    stores="fixed to moving",
    unit="mm, LPS",
    holds=Chain,
    suffixes=(".h5", ".hdf5", ".hdf"),
    matches=matches,
    read=read,
    encode=encode,
)
FLAT = replace(FORMAT, about=f"{FORMAT.about}, in 2-D", matches=matches_flat, encode=encode_flat, flat=True)
