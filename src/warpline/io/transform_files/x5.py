"""X5 files, HDF5 in the draft that nitransforms reads and writes (version 1).

The attribute ``Format`` of the file is ``X5``. Each group in ``/TransformGroup`` is a *linear* transform, a 4x4
matrix, or a *nonlinear* one, displacements or deformations (places) (I, J, K, 3) on the grid of its ``Domain``;
RAS mm, fixed to moving. ``/TransformChain/0``, such as ``0/1``, names them in the order in which points go through
them. Another draft, with version 0.0.1 and other groups, is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from warpline.errors import InputError
from warpline.io.transform_files import hdf5, nifti_fields, numbers
from warpline.io.transform_files.format import Format, Head
from warpline.space import Affine, Chain, Displacement, Part, Transform
from warpline.space.grid import Grid, check_affine

_VERSION = 1


def matches(head: Head) -> bool:
    """Whether a file is HDF5 that calls itself X5."""
    return bool(head.hdf5.format == "X5")


def read(path: Path) -> Transform:
    """Read the chain, or the transform that is alone in the file; fixed to moving world, RAS+ mm.

    Raises
    ------
    InputError
        When the file is damaged or of another draft, or does not say how its transforms are joined.
    """
    with hdf5.reading(path) as reader:
        version = reader.attribute(reader.root, "Version")
        if version != _VERSION:
            raise InputError(
                f"{path} is X5 of version {version}; version {_VERSION}, that of nitransforms, can be read"
            )
        top = reader.child(reader.root, "TransformGroup")
        groups = {} if top is None else {group.name.rpartition("/")[2]: group for group in reader.numbered(top)}
        chains = reader.child(reader.root, "TransformChain")
        if chains is None and len(groups) == 1:
            return _part(reader, *groups.values())
        if chains is None or set(chains) != {"0"}:
            raise InputError(f"{path} holds {len(groups)} transforms, but not one chain of them; write them one by one")
        named = reader.text(chains, "0").split("/")
        if not set(named) <= set(groups):
            raise InputError(f"{path} has a chain {'/'.join(named)} of transforms {', '.join(groups)}; write it again")
        parts = {name: _part(reader, groups[name]) for name in dict.fromkeys(named)}
        return Chain(tuple(parts[name] for name in named))


def encode(transform: Chain) -> bytes:
    """The bytes of a file with all parts, and a chain where there are several."""

    def fill(root: Any) -> None:
        root.attrs["Format"], root.attrs["Version"] = "X5", np.uint16(_VERSION)
        top = root.create_group("TransformGroup")
        for number, part in enumerate(transform.parts):
            _WRITERS[type(part)](top.create_group(str(number)), part)
        if len(transform.parts) != 1:
            names = "/".join(str(number) for number in range(len(transform.parts)))
            root.create_group("TransformChain").create_dataset("0", data=names)

    return hdf5.encode_file(fill)


def _part(reader: hdf5.Reader, group: Any) -> Part:
    kind = reader.attribute(group, "Type")
    if kind not in _READERS or reader.attribute(group, "ArrayLength") not in (None, 1):
        raise InputError(f"{reader.path} holds a {kind} transform or a series; one linear or nonlinear can be read")
    return _READERS[kind](reader, group)


def _linear(reader: hdf5.Reader, group: Any) -> Affine:
    stored = reader.array(group, "Transform").astype(np.float64)
    if stored.shape not in ((4, 4), (1, 4, 4)):
        raise InputError(f"{reader.path} holds a matrix of shape {stored.shape}; (4, 4) is needed")
    return numbers.affine(stored.reshape(4, 4), reader.path)


def _nonlinear(reader: hdf5.Reader, group: Any) -> Displacement:
    representation = reader.attribute(group, "Representation")
    if representation not in ("displacements", "deformations"):
        raise InputError(f"{reader.path} holds a field of {representation}; displacements or deformations can be read")
    domain = reader.child(group, "Domain")
    if domain is None:
        raise InputError(f"{reader.path} does not say on which grid its field lies (Domain); write it again")
    stored = reader.array(group, "Transform")
    affine = check_affine(reader.array(domain, "Mapping"), f"{reader.path}: the grid of its field")
    if stored.ndim != 4 or stored.shape[3] != 3 or not np.isfinite(stored).all():
        raise InputError(f"{reader.path} holds a field of shape {stored.shape}; finite (I, J, K, 3) is needed")
    field = nifti_fields.components_first(stored)
    if representation == "deformations":
        field = nifti_fields.transform_vectors(field, np.eye(3), -affine)
    return Displacement(field, Grid(field.shape[1:], affine))


def _write_linear(group: Any, part: Affine) -> None:
    _describe(group, Type="linear", SubType="affine", Representation="matrix")
    group.create_dataset("Transform", data=part.matrix)


def _write_nonlinear(group: Any, part: Displacement) -> None:
    _describe(group, Type="nonlinear", SubType="densefield", Representation="displacements")
    group.create_dataset("Transform", data=nifti_fields.components_last(part.field))
    domain = group.create_group("Domain")
    domain.attrs["Coordinates"] = "cartesian"
    domain.create_dataset("Grid", data=np.uint8(1))
    domain.create_dataset("Size", data=np.array(part.grid.shape))
    domain.create_dataset("Mapping", data=part.grid.affine)


def _describe(group: Any, **attributes: str) -> None:
    group.attrs.update(attributes | {"ArrayLength": 1})
    group.create_dataset("DimensionKinds", data=np.array(["space"] * 3 + ["vector"], "S"))


_READERS: dict[str, Callable[[hdf5.Reader, Any], Part]] = {"linear": _linear, "nonlinear": _nonlinear}
_WRITERS: dict[type, Any] = {Affine: _write_linear, Displacement: _write_nonlinear}

FORMAT = Format(
    about="X5 draft of nitransforms, in HDF5",
    stores="fixed to moving",
    unit="mm, RAS",
    holds=Chain,
    suffixes=(".x5",),
    matches=matches,
    read=read,
    encode=encode,
)
