"""Manifests: tables of pairs to register, read, checked, written, and made from patterns of file names."""

from __future__ import annotations

import csv
import glob
import io
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import permutations
from pathlib import Path

from warpline.cohort.tables import MISSING, escape, is_missing, read_lines, unescape
from warpline.errors import InputError, UsageError
from warpline.io.atomic import write_atomic
from warpline.io.relative_paths import relative_path
from warpline.spelling import MISSPELT, nearest

_log = logging.getLogger(__name__)

_FORBIDDEN = {"posix": re.compile(r"[\x00-\x1f/\\]"), "nt": re.compile(r"[\x00-\x1f/\\<>:\"|?*]|\.$")}
"""What the name of a file cannot hold, by `os.name`."""

TABLES = {".tsv": "\t", ".csv": ","}
"""Endings of tables, and what stands between their cells."""

ID = "{id}"
"""Stands in a pattern for the part of a path that becomes the id of a pair."""

_WILDCARDS = {"*": "[^/]*", "?": "[^/]"}
_TOKENS = re.compile(r"\*\*/|\{id\}|\[!?\]?[^\]/]*\]|[*?]")


@dataclass(frozen=True, slots=True)
class Pair:
    """One registration of a cohort, a row of its manifest.

    Parameters
    ----------
    id : str
        What the pair is called, in tables and file names.
    moving, fixed : str
        Paths of the images.
    moving_mask, fixed_mask : str
        Paths of masks, where the metric counts; empty for none. So are all that follow.
    moving_weights, fixed_weights : str
        Paths of weights of the deformable stage.
    moving_labels, fixed_labels : str
        Paths of label images: the moving ones are carried along, overlap is measured where both are there.
    initial : str
        Path of an affine to start from.
    recipe : str
        A preset or a TOML file; empty for the recipe of the run.
    session : str
        Label of the session, for the folder and the names of the outputs.
    space : str
        Label of the fixed image in the names of the outputs; empty takes the name of its file.
    columns : dict
        Columns of the manifest that warpline does not use, copied to the results.

    Examples
    --------
    >>> from warpline.cohort import Pair
    >>> Pair("sub-01", moving="sub-01_T1w.nii.gz", fixed="MNI.nii.gz", columns={"age": "31"}).columns["age"]
    '31'
    """

    id: str
    moving: str
    fixed: str = ""
    moving_mask: str = ""
    fixed_mask: str = ""
    moving_weights: str = ""
    fixed_weights: str = ""
    moving_labels: str = ""
    fixed_labels: str = ""
    initial: str = ""
    recipe: str = ""
    session: str = ""
    space: str = ""
    columns: dict[str, str] = field(default_factory=dict)


USED = tuple(entry.name for entry in fields(Pair) if entry.name != "columns")
"""Columns that mean something to warpline, in the order they are written."""

_MARKS = ("moving_mask", "fixed_mask", "moving_weights", "fixed_weights")
PATHS = ("moving", "fixed", *_MARKS, "moving_labels", "fixed_labels", "initial")
"""Columns that hold paths, relative to the folder of the manifest."""


def read_manifest(path: str | os.PathLike[str], *, fixed: str | None = None) -> list[Pair]:
    """Read a table of pairs.

    Parameters
    ----------
    path : path
        Tab-separated (``.tsv``) or comma-separated (``.csv``), UTF-8, with a header line.
    fixed : path, optional
        The fixed image of every row that names none.

    Raises
    ------
    InputError
        When the table cannot be read, has no rows, lacks a column, or two rows have one id.

    Examples
    --------
    >>> from pathlib import Path
    >>> from warpline.cohort import Pair, read_manifest, write_manifest
    >>> write_manifest([Pair("a", "/data/a.nii", "/data/f.nii", columns={"age": "31"})], Path("c.tsv"))
    >>> read_manifest("c.tsv")[0].columns
    {'age': '31'}
    """
    path = Path(path)
    if path.suffix not in TABLES:
        raise InputError(f"{path} is no manifest; a table .tsv or .csv, or a BIDS folder, is needed")
    try:
        pairs = list(_pairs(path, read_lines(path, TABLES[path.suffix]), fixed))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read as a table: {reason}") from None
    if not pairs:
        raise InputError(f"{path} has no rows; one line per pair is needed under the header")
    check_ids(pairs, str(path))
    return pairs


def write_manifest(pairs: Iterable[Pair], path: Path) -> None:
    """Write a table that `read_manifest` gives back, its paths relative to its folder.

    Parameters
    ----------
    pairs : iterable of Pair
        One row each.
    path : Path
        Its end, ``.tsv`` or ``.csv``, chooses the delimiter.

    Raises
    ------
    UsageError
        When the name ends otherwise, or a path cannot stand in such a table.
    OutputError
        When it cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from warpline.cohort import Pair, write_manifest
    >>> write_manifest([Pair("a", "/data/a.nii", "/data/f.nii", columns={"age": "31"})], Path("c.csv"))
    >>> Path("c.csv").read_text().splitlines()[0]
    'id,moving,fixed,age'
    """
    if path.suffix not in TABLES:
        raise UsageError(f"{path} cannot be a manifest; its name must end in {' or '.join(TABLES)}")
    write_atomic(path, format_manifest(pairs, path.parent, delimiter=TABLES[path.suffix]).encode())


def format_manifest(pairs: Iterable[Pair], folder: Path, *, delimiter: str = "\t") -> str:
    """The text of a manifest that lies in `folder`; columns without any value are left out."""
    pairs = list(pairs)
    used = [name for name in USED if name in ("id", "moving", "fixed") or any(getattr(pair, name) for pair in pairs)]
    free = list(dict.fromkeys(name for pair in pairs for name in pair.columns))
    lines = [(*used, *free)]
    for pair in pairs:
        cells = [_relative(pair, name, folder) for name in used]
        lines.append((*cells, *(" ".join(pair.columns.get(name, "").split()) for name in free)))
    shown = [[escape(cell) for cell in line] for line in lines]
    if delimiter == "\t":
        return "".join("\t".join(_plain(cell) for cell in line) + "\n" for line in shown)
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(
        [cell or MISSING for cell in line] for line in shown
    )
    return text.getvalue()


def _plain(cell: str) -> str:
    """A cell of a tab-separated table, which has no quotes."""
    if any(letter in cell for letter in "\t\r\n"):
        raise UsageError(f"{cell!r} holds a tab or a new line, which a .tsv cannot hold; rename it")
    return cell or MISSING


def find_pairs(
    pattern: str, *, fixed: str | None = None, labels: str | None = None, fixed_labels: str | None = None
) -> list[Pair]:
    """Pairs of every file that matches a pattern such as ``data/{id}_T1w.nii.gz``.

    Parameters
    ----------
    pattern : str
        A shell pattern, ``**`` for any number of folders; ``{id}`` stands for the part of a name that becomes the id,
        the same wherever it is written.
    fixed : path, optional
        The fixed image; without it, all ordered pairs of the files are made. Where the pattern matches it too, it is
        left out of the moving ones, and a warning says so.
    labels : str, optional
        Where the labels of each image lie: ``data/{id}_dseg.nii.gz``.
    fixed_labels : path, optional
        The labels of `fixed`.

    Raises
    ------
    UsageError
        When a pattern has no ``{id}``.
    InputError
        When no file but the fixed image matches, or two have one id.

    Examples
    --------
    >>> from pathlib import Path
    >>> from warpline.cohort import find_pairs
    >>> for name in ("sub-01_T1w.nii", "sub-02_T1w.nii"):
    ...     Path(name).touch()
    >>> [pair.id for pair in find_pairs("{id}_T1w.nii", fixed="MNI.nii.gz")]
    ['sub-01', 'sub-02']
    """
    if labels is not None and ID not in labels:
        raise UsageError(f"labels {labels!r} have no {ID}: every image would get the same; write it where they differ")
    found = _files_by_id(pattern)
    if fixed is not None:
        found = _without_fixed(found, fixed, pattern)
    images = {name: os.path.abspath(path) for name, path in found.items()}
    atlas = {name: os.path.abspath(labels.replace(ID, name)) if labels else "" for name in images}
    if fixed is not None:
        target, known = os.path.abspath(fixed), os.path.abspath(fixed_labels) if fixed_labels else ""
        return [
            Pair(name, path, target, moving_labels=atlas[name], fixed_labels=known) for name, path in images.items()
        ]
    return [
        Pair(f"{a}-to-{b}", images[a], images[b], moving_labels=atlas[a], fixed_labels=atlas[b], space=_label(b))
        for a, b in permutations(images, 2)
    ]


def _without_fixed(found: dict[str, str], fixed: str, pattern: str) -> dict[str, str]:
    """Files by id without the fixed image, whatever links lead to it: onto itself it has nothing to be registered."""
    target = os.path.realpath(fixed)
    moving = {name: path for name, path in found.items() if os.path.realpath(path) != target}
    for name in (name for name in found if name not in moving):
        _log.warning("pattern %r matches the fixed image %s too: it is left out, no pair %s", pattern, fixed, name)
    if not moving:
        raise InputError(f"pattern {pattern!r} matches the fixed image {fixed} alone; it is to match the moving images")
    return moving


def check_ids(pairs: Sequence[Pair], source: str) -> None:
    """Refuse two pairs of one id, and ids that cannot be part of a file name."""
    seen: set[str] = set()
    for pair in pairs:
        if _FORBIDDEN[os.name].search(pair.id) or not any(letter.isalnum() for letter in pair.id):
            raise InputError(f"{source}: id {pair.id!r} cannot name files; use letters, digits, '-' and '_'")
        if pair.id in seen:
            raise InputError(f"{source}: id {pair.id!r} stands in two rows; every pair needs its own")
        seen.add(pair.id)


def abbreviate(names: Sequence[str]) -> str:
    """The first five of some names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _pairs(path: Path, rows: Iterator[list[str]], fixed: str | None) -> Iterator[Pair]:
    header = [unescape(name.strip()) for name in next(rows, [])]
    _check_header(header, path, fixed)
    folder = os.path.abspath(path.parent)
    shared = {} if fixed is None else {"fixed": os.path.abspath(fixed)}
    for number, row in enumerate(rows, 2):
        if not any(row):
            continue
        if any("\0" in cell for cell in row):
            raise InputError(f"{path}, line {number}: a byte 0, which no text has; write the table again as UTF-8")
        if len(row) != len(header):
            raise InputError(f"{path}, line {number}: {len(row)} cells where the header has {len(header)} columns")
        cells = {
            name: unescape(cell.strip()) for name, cell in zip(header, row, strict=True) if not is_missing(cell.strip())
        }
        used = {
            name: os.path.join(folder, cells[name]) if name in PATHS else cells[name] for name in cells.keys() & USED
        }
        free = {name: cell for name, cell in cells.items() if name not in USED}
        values = {**shared, **used}
        for name in ("id", "moving", "fixed"):
            if name not in values:
                raise InputError(f"{path}, line {number}: no {name}; every row needs one")
        yield Pair(**values, columns=free)


def _check_header(header: Sequence[str], path: Path, fixed: str | None) -> None:
    needed = ("id", "moving") if fixed else ("id", "moving", "fixed")
    absent = [name for name in needed if name not in header]
    if absent:
        hint = ", or --fixed" if absent == ["fixed"] else ""
        raise InputError(f"{path}: column {' and '.join(absent)} is missing{hint}; the header has {', '.join(header)}")
    twice = sorted({name for name in header if header.count(name) > 1 or not name})
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} stands twice in the header, or has no name")
    for name in header:
        close = resembles_used(name)
        if close is not None and name not in USED:
            raise InputError(f"{path}: column {name!r} looks like {close!r}; write it so, or choose another name")


def resembles_used(name: str) -> str | None:
    """The column of `USED` that a name is, or looks like; None where it is another."""
    return nearest(name, USED, MISSPELT)


def _relative(pair: Pair, name: str, folder: Path) -> str:
    value: str = getattr(pair, name)
    return relative_path(value, folder) if value and name in PATHS else value


def _label(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum())


# -- patterns of file names -------------------------------------------------------------------------------------------


def _files_by_id(pattern: str) -> dict[str, str]:
    """Files that a pattern matches, by what stands at its ``{id}``, in the order of their paths.

    Parameters
    ----------
    pattern : str
        A shell pattern with ``*``, ``?``, ``[...]`` and, as a folder of its own, ``**`` for any number of folders.
        ``{id}`` stands for a part of one name, the same wherever it is written.

    Raises
    ------
    UsageError
        When the pattern has no ``{id}``.
    InputError
        When no file matches, or two files have one id.
    """
    if ID not in pattern:
        raise UsageError(f"pattern {pattern!r} has no {ID}; write it where the names differ: 'data/{ID}_T1w.nii.gz'")
    expression, found = re.compile(_expression(pattern.replace(os.sep, "/")), re.DOTALL), dict[str, str]()
    for path in sorted(glob.glob(pattern.replace(ID, "*"), recursive=True)):
        match = expression.fullmatch(path.replace(os.sep, "/"))
        if match is None or not os.path.isfile(path):
            continue
        other = found.setdefault(match["id"], path)
        if other != path:
            raise InputError(
                f"pattern {pattern!r} finds id {match['id']!r} twice: {other} and {path}; write {ID} where the "
                "paths differ, or choose one folder"
            )
    if not found:
        raise InputError(f"pattern {pattern!r} matches no file; check it with ls")
    return found


def _expression(pattern: str) -> str:
    """The regular expression of a pattern; the first mark captures, the others repeat what it captured."""
    parts, position, seen = [], 0, False
    for token in _TOKENS.finditer(pattern):
        parts.append(re.escape(pattern[position : token.start()]))
        parts.append(_token_expression(token[0], seen))
        seen, position = seen or token[0] == ID, token.end()
    return "".join(parts) + re.escape(pattern[position:])


def _token_expression(token: str, seen: bool) -> str:
    if token == ID:
        return "(?P=id)" if seen else "(?P<id>[^/]+?)"
    if token == "**/":
        return "(?:[^/]+/)*"
    if token.startswith("["):
        inside = token[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
    return _WILDCARDS[token]
