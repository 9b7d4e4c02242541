"""What a check of headers comes to: findings, what cannot be told, and the affine that is proposed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from warpline.space.grid import Grid

Kind = Literal["orientation", "handedness", "spacing", "origin", "mask grid", "mask orientation"]
Outcome = Literal["consistent", "doubtful", "undecided"]


@dataclass(frozen=True)
class Finding:
    """A header, or a mask, that the images speak against.

    Parameters
    ----------
    kind : str
        What is doubtful.
    sentence : str
        Why, and what would mend it.

    Examples
    --------
    >>> from warpline.registration import Finding
    >>> Finding("origin", "the object lies 210 mm from where the reference shows it").kind
    'origin'
    """

    kind: Kind
    sentence: str


@dataclass(frozen=True, eq=False)
class HeaderCheck:
    """Whether the header of an image agrees with what it shows, seen from a reference.

    Parameters
    ----------
    findings : tuple of Finding
        What the images speak against; empty where nothing does.
    undecided : tuple of str
        A sentence for everything that cannot be told from the images.
    proposed : Grid or None
        The grid of the image with a mended affine; None where nothing is to be mended.
    measures : dict
        Agreement under the header and under the best reading of it, and the size of the object.
    warnings : tuple of str
        What the headers leave open, see `Grid.notes`.
    agrees : bool
        Whether the images agree better than by chance, or in one orientation better than in others.

    Examples
    --------
    >>> from warpline.registration import HeaderCheck
    >>> HeaderCheck().outcome
    'consistent'
    """

    findings: tuple[Finding, ...] = ()
    undecided: tuple[str, ...] = ()
    proposed: Grid | None = None
    measures: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    agrees: bool = True

    @property
    def outcome(self) -> Outcome:
        """``"doubtful"`` with findings; ``"undecided"`` where the images agree under no reading; ``"consistent"``."""
        return "doubtful" if self.findings else "consistent" if self.agrees else "undecided"
