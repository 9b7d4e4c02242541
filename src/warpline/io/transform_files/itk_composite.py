"""ITK's composite transforms in HDF5, as ANTs writes them (``Composite.h5``, ``InverseComposite.h5``).

``/TransformGroup/0`` is the composite, the groups 1, 2, … (by number, 10 after 9) are its parts, the **last** of
which points go through first. Each has a ``TransformType`` and, spelt rightly or as in older versions of ITK,
``TransformParameters`` and ``TransformFixedParameters``. Of a displacement field the fixed ones are size, origin,
spacing and direction, the others its vectors in LPS mm, components fastest, then x, y, z. What a linear part
means is in `itk_parameters`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.geometry import Grid, check_affine
from warpline.io.nifti import c_ordered
from warpline.io.transform_files import hdf5, itk_parameters
from warpline.io.transform_files.format import Format, Head
from warpline.io.transform_files.itk_parameters import LPS
from warpline.transforms import Affine, Chain, Displacement, Part, Transform

_FIELD = "DisplacementFieldTransform"
_FIELD_NAME = "DisplacementFieldTransform_float_3_3"
_FIXED_SIZES = {18: 3, 10: 2}
"""Number of fixed parameters of a field to its dimension."""


def matches(head: Head) -> bool:
    """Whether a file is HDF5 with ITK's groups."""
    if not head.content.startswith(hdf5.SIGNATURE):
        return False
    with hdf5.reading(head.path) as reader:
        return "TransformGroup" in reader.root and reader.attribute(reader.root, "Format") is None


def read(path: Path) -> Transform:
    """Read the composite as a chain, or the transform that is alone in the file; fixed to moving world, RAS+ mm.

    Raises
    ------
    InputError
        When the file is damaged, a part is neither linear nor a displacement field, or several transforms are not
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

    def fill(root: Any) -> None:
        top = root.create_group("TransformGroup")
        _write(top.create_group("0"), "CompositeTransform_double_3_3")
        for number, part in enumerate(reversed(transform.parts), 1):
            group = top.create_group(str(number))
            if isinstance(part, Affine):
                _write(group, itk_parameters.LINEAR_NAME, *itk_parameters.from_affine(part))
            else:
                _write(group, _FIELD_NAME, *_field_parameters(part))

    return hdf5.written(fill)


def _part(reader: hdf5.Reader, group: Any) -> Part:
    name = reader.text(group, "TransformType")
    fixed = reader.array(group, "TransformFixedParameters", "TranformFixedParameters").astype(np.float64)
    parameters = reader.array(group, "TransformParameters", "TranformParameters")
    if _FIELD not in name:
        return itk_parameters.to_affine(name, parameters.astype(np.float64), fixed, reader.path)
    dimension = _FIXED_SIZES.get(fixed.size, 0)
    if not dimension or not np.isfinite(fixed).all():
        raise InputError(f"{reader.path}: the {name} has {fixed.size} fixed parameters; 18 finite ones are needed")
    grid, shape = _grid(fixed, dimension, reader.path)
    if parameters.size != dimension * np.prod(shape, dtype=object):
        raise InputError(
            f"{reader.path}: {parameters.size} numbers are no field of {dimension} x {shape}; copy it anew"
        )
    return Displacement(_field(parameters, dimension, grid, reader.path), grid)


def _grid(fixed: NDArray[np.float64], dimension: int, path: Path) -> tuple[Grid, tuple[int, ...]]:
    sizes, origin, spacing = fixed[: 3 * dimension].reshape(3, dimension)
    affine = np.eye(4)
    affine[:dimension, :dimension] = fixed[3 * dimension :].reshape(dimension, dimension) * spacing
    affine[:dimension, 3] = origin
    shape = tuple(int(n) for n in sizes)
    if min(shape) < 1:
        raise InputError(f"{path} holds a field of {shape} voxels; at least one along each axis is needed")
    affine = check_affine(LPS @ affine, f"{path}: the grid of its displacement field")
    return Grid((*shape, 1)[:3], affine), shape  # type: ignore[arg-type]


def _field(parameters: NDArray[Any], dimension: int, grid: Grid, path: Path) -> NDArray[np.float32]:
    if not np.isfinite(parameters).all():
        raise InputError(f"{path} has NaN or infinite displacements; write the field again")
    vectors = parameters.reshape((dimension, *grid.shape), order="F")
    field = np.zeros((3, *grid.shape), np.float32)
    for axis in range(dimension):
        field[axis] = c_ordered(vectors[axis], np.float32) * np.float32(LPS[axis, axis])
    return field


def _field_parameters(part: Displacement) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    grid, spacing = part.grid, part.grid.voxel_size
    affine = LPS @ grid.affine
    fixed = np.concatenate([grid.shape, affine[:3, 3], spacing, (affine[:3, :3] / spacing).ravel()])
    signs = np.diag(LPS)[:3, None, None, None].astype(np.float32)
    return c_ordered((part.field * signs).T, np.float32).ravel(), fixed


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
