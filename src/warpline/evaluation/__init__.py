"""How good a registration is: overlap, folding, smoothness, inverse consistency, landmark error and similarity.

Every result is a frozen dataclass of plain numbers; `dataclasses.asdict` turns it into what JSON can hold.
"""

from warpline.evaluation.measures import (
    TRE,
    Folding,
    Overlap,
    Similarity,
    bending_energy,
    folding,
    inverse_error,
    label_counts,
    landmark_error,
    overlap,
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
