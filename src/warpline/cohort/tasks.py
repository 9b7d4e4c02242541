"""Tasks: pairs with everything a worker needs, and the key that tells whether a result still belongs to them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

from warpline.cohort.layout import Place, check_places, place_of
from warpline.cohort.manifest import PATHS, Pair
from warpline.recipe import NUMERICS, Recipe

Warps = Literal["full", "rounded", "none"]
"""How displacement fields are kept: all bits, rounded to 1/256 mm (half the size), or not at all."""


@dataclass(frozen=True, slots=True)
class Task:
    """One pair, ready to run.

    Parameters
    ----------
    pair : Pair
        Its row of the manifest, with absolute paths.
    recipe : Recipe
        Loaded, so that workers read no recipe files.
    place : Place
        Where the outputs go.
    key : str
        ``<options>-<inputs>``: a digest of recipe, numerics and outputs, and one of size and time of every input.
    bytes : int
        Size of the moving image's file.
    """

    pair: Pair
    recipe: Recipe
    place: Place
    key: str
    bytes: int

    @property
    def id(self) -> str:
        """What the pair is called."""
        return self.pair.id

    def sources(self) -> dict[str, str]:
        """The paths of all inputs, by what they are."""
        return dict(sources_of(self.pair))


def make_tasks(pairs: Sequence[Pair], *, recipe: Recipe, warps: Warps, geometry: str | None = None) -> list[Task]:
    """Tasks of all pairs, in their order.

    Raises
    ------
    UsageError
        When a recipe is unknown, or two pairs would write the same names.
    """
    places = [place_of(pair) for pair in pairs]
    check_places(pairs, places)
    load, digest, stat = (
        cache(Recipe.load),
        cache(partial(options_key, warps=warps, geometry=geometry)),
        cache(fingerprint),
    )
    tasks = []
    for pair, place in zip(pairs, places, strict=True):
        own = load(pair.recipe) if pair.recipe else recipe
        # The moving image is seldom shared: keeping its fingerprint would only take memory.
        prints = {name: (fingerprint if name == "moving" else stat)(path) for name, path in sources_of(pair)}
        inputs = _digest(";".join(f"{name}={size}:{time}" for name, (size, time) in prints.items()))
        tasks.append(Task(pair, own, place, f"{digest(own)}-{inputs}", prints["moving"][0]))
    return tasks


def options_key(recipe: Recipe, warps: Warps, geometry: str | None = None) -> str:
    """Digest of everything but the inputs that makes a result what it is; the recipe's name does not."""
    asked = "" if geometry is None else f"{geometry}|"
    return _digest(f"{NUMERICS}|{warps}|{asked}{recipe.model_dump_json(exclude={'name'})}")


def sources_of(pair: Pair) -> Iterator[tuple[str, str]]:
    """What each input of a pair is, and its path."""
    return ((name, path) for name in PATHS if (path := getattr(pair, name)))


def fingerprint(path: str) -> tuple[int, int]:
    """Size in bytes and time of the last change in ns; (-1, 0) when there is no such file."""
    try:
        stat = os.stat(path)
    except OSError:
        return -1, 0
    return stat.st_size, stat.st_mtime_ns


def checksum(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
