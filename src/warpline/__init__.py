"""Registration of medical volumes on a laptop or a GPU.

Every public name is imported when it is first used, so that ``import warpline`` stays instant.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
"""True to type checkers; loading `typing` for its constant would take most of the time of ``import warpline``."""

if TYPE_CHECKING:
    from typing import Any

    from warpline.errors import DeviceError, InputError, OutputError, UsageError, WarplineError
    from warpline.images import Image
    from warpline.io.images import write_image
    from warpline.io.nitransforms_objects import from_nitransforms, to_nitransforms
    from warpline.io.transform_files import identify, read_transform
    from warpline.labelling import Atlas, Labelling, label, run_label
    from warpline.longitudinal import LongitudinalRegistration, register_longitudinal, run_longitudinal
    from warpline.operations import (
        apply,
        apply_points,
        apply_streamlines,
        compose,
        convert,
        invert,
        jacobian,
        read_image,
        write_transform,
    )
    from warpline.recipe import Recipe
    from warpline.registration import (
        HeaderCheck,
        ImagePair,
        Job,
        Landmarks,
        Registration,
        SurfacePair,
        check_headers,
        register,
        run,
    )
    from warpline.resampling import affine_transform, map_coordinates, resample, warp
    from warpline.series import SeriesRegistration, register_series, run_series
    from warpline.space import Affine, Chain, Displacement
    from warpline.space.grid import Grid

_ROOMS = {
    "warpline.errors": ("DeviceError", "InputError", "OutputError", "UsageError", "WarplineError"),
    "warpline.space.grid": ("Grid",),
    "warpline.images": ("Image",),
    "warpline.io.images": ("write_image",),
    "warpline.io.nitransforms_objects": ("from_nitransforms", "to_nitransforms"),
    "warpline.io.transform_files": ("identify", "read_transform"),
    "warpline.longitudinal": ("LongitudinalRegistration", "register_longitudinal", "run_longitudinal"),
    "warpline.registration": (
        "HeaderCheck",
        "ImagePair",
        "Job",
        "Landmarks",
        "Registration",
        "SurfacePair",
        "check_headers",
        "register",
        "run",
    ),
    "warpline.operations": (
        "apply",
        "apply_points",
        "apply_streamlines",
        "compose",
        "convert",
        "invert",
        "jacobian",
        "read_image",
        "write_transform",
    ),
    "warpline.labelling": ("Atlas", "Labelling", "label", "run_label"),
    "warpline.recipe": ("Recipe",),
    "warpline.resampling": ("affine_transform", "map_coordinates", "resample", "warp"),
    "warpline.series": ("SeriesRegistration", "register_series", "run_series"),
    "warpline.space": ("Affine", "Chain", "Displacement"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Affine",
    "Atlas",
    "Chain",
    "DeviceError",
    "Displacement",
    "Grid",
    "HeaderCheck",
    "Image",
    "ImagePair",
    "InputError",
    "Job",
    "Labelling",
    "Landmarks",
    "LongitudinalRegistration",
    "OutputError",
    "Recipe",
    "Registration",
    "SeriesRegistration",
    "SurfacePair",
    "UsageError",
    "WarplineError",
    "affine_transform",
    "apply",
    "apply_points",
    "apply_streamlines",
    "check_headers",
    "compose",
    "convert",
    "from_nitransforms",
    "identify",
    "invert",
    "jacobian",
    "label",
    "map_coordinates",
    "read_image",
    "read_transform",
    "register",
    "register_longitudinal",
    "register_series",
    "resample",
    "run",
    "run_label",
    "run_longitudinal",
    "run_series",
    "to_nitransforms",
    "warp",
    "write_image",
    "write_transform",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("warpline")
    if name not in _HOMES:
        raise AttributeError(f"module 'warpline' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
