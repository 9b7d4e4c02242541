"""Templates: the mean shape and the mean image of several subjects.

`build` makes one in rounds: every subject is registered to the template of the round before as a cohort, judged, and
averaged anew where their mean shape is. `add` and `remove` change who is in a finished one.
"""

from warpline.template.building import build
from warpline.template.living import add, remove
from warpline.template.options import Options
from warpline.template.records import LeftOut, Member, RoundRecord, Template, read_template
from warpline.template.rounds import StoppedError
from warpline.template.sequence import described
from warpline.template.status import Underway, status

__all__ = [
    "LeftOut",
    "Member",
    "Options",
    "RoundRecord",
    "StoppedError",
    "Template",
    "Underway",
    "add",
    "build",
    "described",
    "read_template",
    "remove",
    "status",
]
