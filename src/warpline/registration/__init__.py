"""Registration, from images to the maps between them.

Read from top to bottom: `job` (files in, files out) → `result` (read, compute, save) → `alignment` (the stages) →
`initialisation` → `linear` → `syn` → `inverse_consistency`, with `judgement` between them.
"""

from warpline.io.transform_order import AFFINE, INVERSE_WARP, WARP
from warpline.registration.alignment import Alignment, align
from warpline.registration.header_check import Finding, HeaderCheck, check_headers
from warpline.registration.image_pairs import ImagePair
from warpline.registration.inputs import Inputs, in_one_plane, load, read
from warpline.registration.job import Job, plan, register, run
from warpline.registration.landmarks import Landmarks
from warpline.registration.memory_plan import MemoryPlan, PlannedLevel, plan_memory
from warpline.registration.output_files import (
    INVERSE_WARPED,
    REPORT,
    WARPED,
    Stored,
    check_names,
    names_after,
    store,
)
from warpline.registration.progress import LevelRecord, Progress, ProgressCallback
from warpline.registration.quality import Quality
from warpline.registration.result import Registration, compute
from warpline.registration.surfaces import SurfacePair

__all__ = [
    "AFFINE",
    "INVERSE_WARP",
    "INVERSE_WARPED",
    "REPORT",
    "WARP",
    "WARPED",
    "Alignment",
    "Finding",
    "HeaderCheck",
    "ImagePair",
    "Inputs",
    "Job",
    "Landmarks",
    "LevelRecord",
    "MemoryPlan",
    "PlannedLevel",
    "Progress",
    "ProgressCallback",
    "Quality",
    "Registration",
    "Stored",
    "SurfacePair",
    "align",
    "check_headers",
    "check_names",
    "compute",
    "in_one_plane",
    "load",
    "names_after",
    "plan",
    "plan_memory",
    "read",
    "register",
    "run",
    "store",
]
