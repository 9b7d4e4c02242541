"""ANTsPy's registration under its own names, computed by warpline.

A script written for ANTsPy runs after ``import ants`` becomes ``from warpline import ants``, as far as it reads,
writes, registers and resamples. Images are nibabel images in place of ANTsImage; wherever one is taken, a path does
as well. Transforms are files, as there, in the same formats and with the same names, order and directions.
"""

from warpline.ants.applying import apply_transforms, apply_transforms_to_points, create_jacobian_determinant_image
from warpline.ants.images import image_read, image_write
from warpline.ants.registering import TYPES, registration

__all__ = [
    "TYPES",
    "apply_transforms",
    "apply_transforms_to_points",
    "create_jacobian_determinant_image",
    "image_read",
    "image_write",
    "registration",
]
