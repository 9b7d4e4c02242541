"""Group summaries of a cohort: means, Jacobian and modulated maps, labels and tables for statistics."""

from warpline.cohort.group.options import GroupOptions
from warpline.cohort.group.summarise import GroupSummary, summarise

__all__ = ["GroupOptions", "GroupSummary", "summarise"]
