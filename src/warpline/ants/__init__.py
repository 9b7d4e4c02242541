"""ANTsPy's registration under its own names, computed by warpline.

A script written for ANTsPy runs after ``import ants`` becomes ``from warpline import ants``, as far as it reads,
writes, prepares, registers and resamples. Images are nibabel images in place of ANTsImage; wherever one is taken, a
path does as well. Transforms are files, as there, in the same formats and with the same names, order and directions.
"""

from warpline.ants.applying import apply_transforms, apply_transforms_to_points, create_jacobian_determinant_image
from warpline.ants.images import image_read, image_write
from warpline.ants.measuring import image_similarity, label_overlap_measures
from warpline.ants.motion import motion_correction
from warpline.ants.preprocessing import denoise_image, histogram_match_image, n4_bias_field_correction
from warpline.ants.registering import TYPES, registration
from warpline.ants.resampling import resample_image, resample_image_to_target
from warpline.ants.templates import build_template
from warpline.ants.transform_files import fsl2antstransform, read_transform, write_transform
from warpline.ants.transforms import (
    ANTsTransform,
    apply_ants_transform,
    apply_ants_transform_to_image,
    apply_ants_transform_to_point,
    apply_ants_transform_to_vector,
    compose_ants_transforms,
    invert_ants_transform,
)

__all__ = [
    "TYPES",
    "ANTsTransform",
    "apply_ants_transform",
    "apply_ants_transform_to_image",
    "apply_ants_transform_to_point",
    "apply_ants_transform_to_vector",
    "apply_transforms",
    "apply_transforms_to_points",
    "build_template",
    "compose_ants_transforms",
    "create_jacobian_determinant_image",
    "denoise_image",
    "fsl2antstransform",
    "histogram_match_image",
    "image_read",
    "image_similarity",
    "image_write",
    "invert_ants_transform",
    "label_overlap_measures",
    "motion_correction",
    "n4_bias_field_correction",
    "read_transform",
    "registration",
    "resample_image",
    "resample_image_to_target",
    "write_transform",
]
