"""Names that were misspelt: which known name was meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

LONGEST = 80
"""Letters of a name that are compared."""

RESEMBLES = 0.6
"""Least ratio of `difflib` of a name that may have been meant, and is proposed."""

MISSPELT = 0.85
"""Least ratio of a name that is refused as a misspelt one, where other names are allowed: `session_id` is no `session`,
and `fixed_maks` is `fixed_mask`."""


def nearest(name: str, known: Collection[str], least: float = RESEMBLES) -> str | None:
    """The known name that resembles a name most; None where none does.

    Parameters
    ----------
    name : str
        As it was written.
    known : collection of str
        Names to compare it with.
    least : float
        Smallest ratio, from 0 to 1, of letters in common: `RESEMBLES` or `MISSPELT`.

    Examples
    --------
    >>> from warpline.spelling import nearest
    >>> nearest("iteratons", ["iterations", "radius"])
    'iterations'
    """
    return next(iter(difflib.get_close_matches(name[:LONGEST], known, 1, least)), None)


def did_you_mean(name: Any, known: Collection[str]) -> str:
    """``"did you mean 'iterations'? "`` where one known name resembles this one, or alone contains it; else ``""``.

    Examples
    --------
    >>> from warpline.spelling import did_you_mean
    >>> did_you_mean("cc", ["local_cc", "mean_squares"])
    "did you mean 'local_cc'? "
    """
    written = str(name).lower()[:LONGEST]
    holding = [one for one in known if written and written in one]
    meant = nearest(written, known) or (holding[0] if len(holding) == 1 else None)
    return f"did you mean {meant!r}? " if meant else ""
