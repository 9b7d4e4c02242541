"""Labels of an image from labelled atlases: each is registered to it, and their labels are fused.

Read from top to bottom: `labelling` (an image and atlases in, files out) → `warped_atlases` (each on the grid of the
image, and their labels as one) → `result` (labels, saved) → `fusion` (the table of ways to fuse) → `votes`; `atlases`
and `label_names` are what is given.
"""

from warpline.labelling.atlases import Atlas, read_atlases
from warpline.labelling.fusion import FUSIONS
from warpline.labelling.joint_fusion import JointOptions
from warpline.labelling.labelling import label, run_label
from warpline.labelling.result import Labelling
from warpline.labelling.warped_atlases import WarpedAtlas, fuse

__all__ = ["FUSIONS", "Atlas", "JointOptions", "Labelling", "WarpedAtlas", "fuse", "label", "read_atlases", "run_label"]
