"""What every option of a recipe is checked by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, field_validator

Iterations = Annotated[int, Field(ge=0, le=100_000)]
LEVELS = Field(max_length=12)
"""How many levels a stage may have: twelve halve 4096 voxels to one."""


def check_levels(
    name: str, levels: Sequence[float] | None, usual: Sequence[float], **counted: Sequence[float] | None
) -> None:
    """Refuse options that have another number of entries than there are levels.

    Parameters
    ----------
    name, levels
        The option that sets the levels, coarse to fine, and its value; None takes `usual`.
    usual : sequence of float
        The levels where it is off.
    **counted : sequence of float, optional
        Options that need an entry for each level; None is not counted.

    Raises
    ------
    ValueError
        Saying how many entries came, how many levels there are and why, and what to write.
    """
    sizes = usual if levels is None else levels
    if not sizes:
        raise ValueError(f'{name} is empty; give one entry per level, or {name} = "off" for {_listed(usual)}')
    lengths = {option: len(values) for option, values in counted.items() if values is not None}
    why = f"{name} off = {_listed(usual)}" if levels is None else f"{name} = [{_listed(sizes)}]"
    for option, length in lengths.items():
        if length != len(sizes):
            may_add = levels is None and length and len(set(lengths.values())) == 1
            add = f"add {name} = [{_listed(_levels(usual, length))}], or " if may_add else ""
            came = f"{option} has {length} entr{'y' if length == 1 else 'ies'} for {len(sizes)} level"
            raise ValueError(f"{came}{'s' * (len(sizes) > 1)} ({why}): {add}give {option} one entry per level")


def _listed(sizes: Sequence[float]) -> str:
    return ", ".join(f"{size:g}" for size in sizes)


def _levels(usual: Sequence[float], count: int) -> list[float]:
    """So many levels: the finest of the usual ones, or coarser ones before them, each of twice the size."""
    sizes = list(usual[-count:])
    while len(sizes) < count:
        sizes.insert(0, 2 * sizes[0])
    return sizes


class Options(BaseModel):
    """A frozen table of options, which refuses unknown ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _of_its_kind(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        """Refuse what pydantic would read as a number, or as true or false, and is not."""
        found = read(value)
        for given, taken in zip(_entries(value), _entries(found), strict=True):
            if isinstance(taken, bool) != isinstance(given, bool):
                raise ValueError("true or false is needed" if isinstance(taken, bool) else "a number is needed")
            if isinstance(given, str) and not isinstance(taken, str):
                raise ValueError("a number is needed, without quotation marks")
        return found


def _entries(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)
