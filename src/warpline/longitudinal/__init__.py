"""Time points of one subject, carried to a middle that prefers none of them, and the change between them.

Read from top to bottom: `registering` (images in, files out) → `output_files` → `result` (what is found) →
`change_fields` (the deformable maps) → `middle_space` (grid and images) → `rigid_middle` (the rigid maps) → `points`.
"""

from warpline.longitudinal.registering import register_longitudinal, run_longitudinal
from warpline.longitudinal.result import LongitudinalRegistration, TimePoint

__all__ = ["LongitudinalRegistration", "TimePoint", "register_longitudinal", "run_longitudinal"]
