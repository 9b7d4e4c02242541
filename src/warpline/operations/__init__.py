"""What users do with transforms, on files and on objects: apply, compose, invert, convert, measure."""

from warpline.io.transform_lists import Entries, Entry, paths_in
from warpline.operations.chains import read_chain
from warpline.operations.files import compose, convert, write_transform
from warpline.operations.images import apply, check_labels, jacobian
from warpline.operations.points import Destination, apply_points, apply_streamlines, map_points
from warpline.operations.reading import GridLike, grid_of, log_notes, optional_grid_of, read, read_image
from warpline.space.inversion import Inversion, inversion, invert
from warpline.space.preimages import Preimages, preimages

__all__ = [
    "Destination",
    "Entries",
    "Entry",
    "GridLike",
    "Inversion",
    "Preimages",
    "apply",
    "apply_points",
    "apply_streamlines",
    "check_labels",
    "compose",
    "convert",
    "grid_of",
    "inversion",
    "invert",
    "jacobian",
    "log_notes",
    "map_points",
    "optional_grid_of",
    "paths_in",
    "preimages",
    "read",
    "read_chain",
    "read_image",
    "write_transform",
]
