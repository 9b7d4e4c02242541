"""Tables of points: CSV or TSV with coordinates in mm, every other column kept as it is."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError, UsageError
from warpline.io.atomic import write_atomic
from warpline.io.limits import MEGABYTE, read_bounded
from warpline.io.lps import SIGNS

SPACES = {"ras": np.ones(3), "lps": SIGNS}
"""Convention of a table's coordinates, to the signs that take them to RAS+ and back."""

NAME_COLUMNS = ("name", "landmark", "label")
"""Headings of a column that names points; the last two where no cell of theirs stands twice, as labels of ANTs may."""

_AXES = ("x", "y", "z")
_DECIMALS = 6
"""Of coordinates in mm when they are written."""

_SHOWN = 120
"""Letters of a line that an error repeats."""

_LONGEST, _MOST_CELLS = 64 * MEGABYTE, 4_000_000
"""Bytes and cells of the largest table: a million points; more belong into a streamline file."""


@dataclass(frozen=True, eq=False)
class PointTable:
    """Points with the other columns of their file.

    Parameters
    ----------
    points : (N, 3) float64
        World, RAS+ mm.
    rows : tuple of tuple of str
        Every cell of every line with a point, coordinates as they were written.
    columns : tuple of int
        Which cells of a row are x, y, z; or x, y alone, of points of 2-D images, whose z is 0.
    heading : tuple of str or None
        The first line, when it holds words.
    delimiter : str
        Between cells.
    """

    points: NDArray[np.float64]
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[int, ...] = (0, 1, 2)
    heading: tuple[str, ...] | None = None
    delimiter: str = ","

    def with_points(self, points: NDArray[np.float64]) -> PointTable:
        """The same table with other coordinates."""
        return PointTable(points, self.rows, self.columns, self.heading, self.delimiter)

    def names(self) -> tuple[str, ...] | None:
        """The names of the points, of the first column that has some, see `NAME_COLUMNS`; None without one.

        Raises
        ------
        InputError
            When a name stands twice in a column called name.
        """
        heading = [cell.strip().lower() for cell in self.heading or ()]
        for column in (heading.index(name) for name in NAME_COLUMNS if name in heading):
            cells = tuple(row[column].strip() if column < len(row) else "" for row in self.rows)
            again = [cell for cell, count in Counter(cells).items() if cell and count > 1]
            if not again and all(cells):
                return cells
            if again and heading[column] == NAME_COLUMNS[0]:
                raise InputError(f"the name {again[0]!r} stands twice in a table of points; give each point its own")
        return None


def read_point_table(path: str | os.PathLike[str], space: str = "ras") -> PointTable:
    """Read a table of points, separated by commas or tabs.

    A heading is optional. With columns called x, y and z (in any case and place) those are the coordinates, else
    the first three columns are. A table of two columns that are called x and y holds points of 2-D images.

    Parameters
    ----------
    path : path
        The file, UTF-8.
    space : {"ras", "lps"}
        Convention of the coordinates: ``"lps"`` is ANTs' and ITK's.

    Raises
    ------
    InputError
        When the file is missing, is no table of points, or a coordinate is not finite; the line is named.
    UsageError
        When the space is not known.
    """
    signs = _signs(space)
    numbers, rows, delimiter = _rows(Path(path))
    heading = None if not rows or _is_number(rows[0][0]) else rows.pop(0)
    first = len(numbers) - len(rows)
    if not rows:
        raise InputError(f"{path} has no points; a line x,y,z for each is needed, in mm")
    columns = _coordinate_columns(heading, max(map(len, rows)))
    points = _points(rows, columns, lambda at: f"{path}, line {numbers[first + at]}")
    return PointTable(points * signs, tuple(rows), columns, heading, delimiter)


def read_points(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """The points (N, 3) of a table, world RAS+ mm."""
    return read_point_table(path).points


def write_point_table(table: PointTable, path: str | os.PathLike[str], space: str = "ras") -> None:
    """Write a table with new coordinates in the convention `space`, complete or not at all.

    Raises
    ------
    OutputError
        When the file cannot be written.
    InputError
        When points of a table without z have left the plane.
    UsageError
        When the space is not known.
    """
    axes = len(table.columns)
    if np.abs(table.points[:, axes:]).max(initial=0) > 10.0**-_DECIMALS:
        raise InputError(
            f"{os.fspath(path)}: points of two coordinates leave their plane under these transforms; give x,y,z, or "
            "transforms of 2-D images"
        )
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=table.delimiter, lineterminator="\n")
    if table.heading:
        writer.writerow(table.heading)
    for row, point in zip(table.rows, table.points * _signs(space), strict=True):
        cells = list(row)
        for column, value in zip(table.columns, point[:axes], strict=True):
            cells[column] = f"{value + 0.0:.{_DECIMALS}f}"
        writer.writerow(cells)
    write_atomic(Path(path), stream.getvalue().encode())


def _signs(space: str) -> NDArray[np.float64]:
    if space not in SPACES:
        raise UsageError(f"space of points is {space!r}; choose from {', '.join(SPACES)}")
    return SPACES[space]


def _rows(path: Path) -> tuple[list[int], list[tuple[str, ...]], str]:
    """Numbers of the lines that are not empty, their cells, and what separates these."""
    try:
        text = read_bounded(path, _LONGEST).decode("utf-8-sig")
        delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
        cells = text.count(delimiter) + text.count("\n") + text.count("\r")
        if cells > _MOST_CELLS:
            raise InputError(
                f"{path} has more than {_MOST_CELLS} cells; split it, or use a streamline file (.tck, .trk)"
            )
        numbers, rows = [], []
        for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True), 1):
            if any(cell.strip() for cell in row):
                numbers.append(number)
                rows.append(tuple(row))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table of points, a line x,y,z for each: {error}") from None
    return numbers, rows, delimiter


def _coordinate_columns(heading: Sequence[str] | None, cells: int) -> tuple[int, ...]:
    """Places of x, y and z, or of x and y where a table has just these; the first three where they are not named."""
    names = [name.strip().lower() for name in heading or ()]
    axes = _AXES[:2] if cells == 2 else _AXES
    return tuple(map(names.index, axes)) if set(axes) <= set(names) else (0, 1, 2)


def _points(rows: Sequence[Sequence[str]], columns: Sequence[int], place: Callable[[int], str]) -> NDArray[np.float64]:
    """Coordinates (N, 3) of rows of cells; `place` names the line of a row."""
    points = np.zeros((len(rows), 3))
    for at, cells in enumerate(rows):
        try:
            points[at, : len(columns)] = [float(cells[column]) for column in columns]
        except (ValueError, IndexError):
            shown = ",".join(cells)[:_SHOWN]
            raise InputError(f"{place(at)} cannot be read as a point: {shown!r}; x,y,z in mm are needed") from None
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        at = int(np.argmin(finite))
        shown = ",".join(rows[at])[:_SHOWN]
        raise InputError(f"{place(at)} holds a coordinate that is not finite: {shown!r}; remove the line")
    return points


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
