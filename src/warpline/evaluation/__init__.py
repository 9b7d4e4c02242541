"""How good a registration is: overlap, folding, smoothness, inverse consistency, landmark error and similarity.

Every result is a frozen dataclass of plain numbers; `dataclasses.asdict` turns it into what JSON can hold.
"""

from warpline.evaluation.label_overlap import Overlap, label_counts, overlap
from warpline.evaluation.measures import (
    TRE,
    Folding,
    Similarity,
    bending_energy,
    folding,
    inverse_error,
    landmark_error,
    similarity,
)

__all__ = [
    "TRE",
    "Folding",
    "Overlap",
    "Similarity",
    "bending_energy",
    "folding",
    "inverse_error",
    "label_counts",
    "landmark_error",
    "overlap",
    "similarity",
]
