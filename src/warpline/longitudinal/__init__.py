"""Time points of one subject, carried to a middle that prefers none of them, and the change between them.

Read from top to bottom: `registering` (images in, files out) → `summary`, `label_growth` (what the report says) →
`solving` (the steps) → `result` (what is found) → `output_files`, `label_table` → `change_fields` (the deformable maps)
→ `memory` → `middle_space` (grid and images) → `rigid_middle` (the rigid maps) → `recipes`, `points`.
"""

from warpline.longitudinal.registering import register_longitudinal, run_longitudinal
from warpline.longitudinal.result import LongitudinalRegistration, TimePoint

__all__ = ["LongitudinalRegistration", "TimePoint", "register_longitudinal", "run_longitudinal"]
