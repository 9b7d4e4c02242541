"""Series of volumes: the motion of each, found by least squares, and the series moved back in one interpolation.

Read from top to bottom: `registering` (a series in, files out) → `result` (what is found, saved) → `shells` (one
contrast, or shells of a diffusion series) → `estimation` (references, and fits to them) → `least_squares` (one fit).
"""

from warpline.series.applying import apply_motion
from warpline.series.gradients import Gradients
from warpline.series.motion import Motion
from warpline.series.onward import Destination
from warpline.series.registering import register_series, run_series
from warpline.series.result import SeriesRegistration

__all__ = ["Destination", "Gradients", "Motion", "SeriesRegistration", "apply_motion", "register_series", "run_series"]
