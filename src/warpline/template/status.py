"""How a template goes: what lies in its output folder, also while another process works there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from warpline.cohort.json_files import read_object
from warpline.errors import InputError
from warpline.template.layout import LEFT_OUT, ROUND, ROUNDS
from warpline.template.records import LeftOut, RoundRecord, Template, read_template


@dataclass(frozen=True)
class Underway:
    """A template that is not finished.

    Parameters
    ----------
    rounds : tuple of RoundRecord
        Those that are done.
    left_out : tuple of LeftOut
        Who is left out so far.

    Examples
    --------
    >>> from warpline import template
    >>> template.Underway((), (template.LeftOut("sub-03", "does not fit"),)).left_out[0].id
    'sub-03'
    """

    rounds: tuple[RoundRecord, ...]
    left_out: tuple[LeftOut, ...]


def status(folder: str | os.PathLike[str]) -> Template | Underway:
    """The template in an output folder, or how far it has come.

    Parameters
    ----------
    folder : path
        The output folder of `build`.

    Raises
    ------
    InputError
        When no template was begun there.

    Examples
    --------
    >>> from warpline import template
    >>> template.status("out")  # doctest: +SKIP
    """
    root = Path(os.path.abspath(folder))
    made = read_template(root)
    if made is not None:
        return made
    if not (root / ROUNDS).is_dir():
        raise InputError(f"{root} holds no template; begin one by warpline template build")
    records = (RoundRecord.read(path / ROUND) for path in sorted((root / ROUNDS).iterdir()))
    left_out = read_object(root / LEFT_OUT).get("left_out") or ()
    return Underway(tuple(one for one in records if one is not None), tuple(LeftOut(**one) for one in left_out))
