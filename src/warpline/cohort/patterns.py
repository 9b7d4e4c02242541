"""Patterns of file names with a place for the id: ``data/**/{id}_T1w.nii.gz``."""

from __future__ import annotations

import glob
import os
import re

from warpline.errors import InputError, UsageError

MARK = "{id}"
"""Stands for the part of a path that becomes the id."""

_WILDCARDS = {"*": "[^/]*", "?": "[^/]"}
_TOKENS = re.compile(r"\*\*/|\{id\}|\[!?\]?[^\]/]*\]|[*?]")


def files_by_id(pattern: str) -> dict[str, str]:
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
    if MARK not in pattern:
        raise UsageError(
            f"pattern {pattern!r} has no {MARK}; write it where the names differ: 'data/{MARK}_T1w.nii.gz'"
        )
    expression, found = re.compile(_expression(pattern), re.DOTALL), dict[str, str]()
    for path in sorted(glob.glob(pattern.replace(MARK, "*"), recursive=True)):
        match = expression.fullmatch(path)
        if match is None or not os.path.isfile(path):
            continue
        other = found.setdefault(match["id"], path)
        if other != path:
            raise InputError(
                f"pattern {pattern!r} finds id {match['id']!r} twice: {other} and {path}; write {MARK} where the "
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
        parts.append(_meaning(token[0], seen))
        seen, position = seen or token[0] == MARK, token.end()
    return "".join(parts) + re.escape(pattern[position:])


def _meaning(token: str, seen: bool) -> str:
    if token == MARK:
        return "(?P=id)" if seen else "(?P<id>[^/]+?)"
    if token == "**/":
        return "(?:[^/]+/)*"
    if token.startswith("["):
        inside = token[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
    return _WILDCARDS[token]
