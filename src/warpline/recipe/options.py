"""What every option of a recipe is checked by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, field_validator

Iterations = Annotated[int, Field(ge=0, le=100_000)]
LEVELS = Field(max_length=12)
"""How many levels a stage may have: twelve halve 4096 voxels to one."""


def check_lengths(**lists: tuple[float, ...]) -> None:
    """Refuse lists that differ in length, or are empty."""
    if len({len(values) for values in lists.values()}) != 1 or not all(lists.values()):
        raise ValueError(f"{' and '.join(lists)} need one entry per level each")


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
