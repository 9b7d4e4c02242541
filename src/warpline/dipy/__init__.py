"""DIPY's registration under its own names, computed by warpline.

A script written for DIPY runs after its import lines are changed: whatever came from ``dipy.align``,
``dipy.align.imaffine``, ``dipy.align.imwarp``, ``dipy.align.metrics``, ``dipy.align.reslice``,
``dipy.align.transforms``, ``dipy.io.image``, ``dipy.segment.mask`` or ``dipy.viz`` comes from here. DIPY's *static* and
*moving* are warpline's *fixed* and *moving*.
"""

from warpline.dipy import regtools
from warpline.dipy.affine_map import (
    AffineInvalidValuesError,
    AffineInversionError,
    AffineMap,
    transform_centers_of_mass,
    transform_geometric_centers,
    transform_origins,
)
from warpline.dipy.diffeomorphic_map import DiffeomorphicMap
from warpline.dipy.grids import get_direction_and_spacings, mult_aff
from warpline.dipy.images import load_nifti, load_nifti_data, save_nifti
from warpline.dipy.linear import AffineRegistration
from warpline.dipy.linear_transforms import (
    AffineTransform2D,
    AffineTransform3D,
    RigidIsoScalingTransform2D,
    RigidIsoScalingTransform3D,
    RigidScalingTransform2D,
    RigidScalingTransform3D,
    RigidTransform2D,
    RigidTransform3D,
    RotationTransform2D,
    RotationTransform3D,
    ScalingTransform2D,
    ScalingTransform3D,
    Transform,
    TranslationTransform2D,
    TranslationTransform3D,
    regtransforms,
)
from warpline.dipy.mapping_files import read_mapping, write_mapping
from warpline.dipy.masking import median_otsu
from warpline.dipy.metrics import CCMetric, EMMetric, SSDMetric
from warpline.dipy.mutual_information import MutualInformationMetric
from warpline.dipy.one_call import (
    affine,
    affine_registration,
    center_of_mass,
    resample,
    rigid,
    rigid_isoscaling,
    rigid_scaling,
    syn_registration,
    translation,
)
from warpline.dipy.regtools import (
    draw_lattice_2d,
    overlay_images,
    overlay_slices,
    plot_2d_diffeomorphic_map,
    plot_slices,
)
from warpline.dipy.reslice import reslice
from warpline.dipy.series import motion_correction, register_dwi_series, register_dwi_to_template, register_series
from warpline.dipy.syn import RegistrationStages, SymmetricDiffeomorphicRegistration

__all__ = [
    "AffineInvalidValuesError",
    "AffineInversionError",
    "AffineMap",
    "AffineRegistration",
    "AffineTransform2D",
    "AffineTransform3D",
    "CCMetric",
    "DiffeomorphicMap",
    "EMMetric",
    "MutualInformationMetric",
    "RegistrationStages",
    "RigidIsoScalingTransform2D",
    "RigidIsoScalingTransform3D",
    "RigidScalingTransform2D",
    "RigidScalingTransform3D",
    "RigidTransform2D",
    "RigidTransform3D",
    "RotationTransform2D",
    "RotationTransform3D",
    "SSDMetric",
    "ScalingTransform2D",
    "ScalingTransform3D",
    "SymmetricDiffeomorphicRegistration",
    "Transform",
    "TranslationTransform2D",
    "TranslationTransform3D",
    "affine",
    "affine_registration",
    "center_of_mass",
    "draw_lattice_2d",
    "get_direction_and_spacings",
    "load_nifti",
    "load_nifti_data",
    "median_otsu",
    "motion_correction",
    "mult_aff",
    "overlay_images",
    "overlay_slices",
    "plot_2d_diffeomorphic_map",
    "plot_slices",
    "read_mapping",
    "register_dwi_series",
    "register_dwi_to_template",
    "register_series",
    "regtools",
    "regtransforms",
    "resample",
    "reslice",
    "rigid",
    "rigid_isoscaling",
    "rigid_scaling",
    "save_nifti",
    "syn_registration",
    "transform_centers_of_mass",
    "transform_geometric_centers",
    "transform_origins",
    "translation",
    "write_mapping",
]
