"""What users do with transforms, on files and on objects: apply, compose, invert, convert, measure."""

from warpline.operations.chains import Entries, Entry, paths_in, read_chain
from warpline.operations.files import compose, convert, write_transform
from warpline.operations.images import apply, check_labels, jacobian
from warpline.operations.points import Destination, apply_points, apply_streamlines, carry
from warpline.operations.reading import Place, grid_of, place_of, read, read_image, say
from warpline.space.inversion import Inversion, inversion, invert
from warpline.space.preimages import Preimages, preimages

__all__ = [
    "Destination",
    "Entries",
    "Entry",
    "Inversion",
    "Place",
    "Preimages",
    "apply",
    "apply_points",
    "apply_streamlines",
    "carry",
    "check_labels",
    "compose",
    "convert",
    "grid_of",
    "inversion",
    "invert",
    "jacobian",
    "paths_in",
    "place_of",
    "preimages",
    "read",
    "read_chain",
    "read_image",
    "say",
    "write_transform",
]
