"""Overlap against smoothness: warpline and its peers, each at several settings of its smoothing, on the same pairs.

``python bench/front.py --tools warpline,greedy`` writes one JSON, one Markdown page and one picture.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import brains
import front_page
import front_picture
import measure
from compare import Results, run_row
from front_settings import NAMES, SETTINGS
from peers import TOOLS

HERE = Path(__file__).parent
IDENTITY = ("tool", "setting", "pair")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; `settings` becomes the names of settings by tool."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared/data/oasis-trt-20")
    parser.add_argument("--pairs", nargs="+", default=list(brains.DEVELOPMENT_PAIRS), metavar="FIXED,MOVING")
    parser.add_argument("--tools", default=",".join(NAMES), help=f"comma-separated, of {', '.join(NAMES)}")
    parser.add_argument("--settings", nargs="+", metavar="NAME", help=f"only these; {known(list(NAMES))}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--margin", type=int, default=8, help="voxels kept around the brain; -1: do not crop")
    parser.add_argument("--out", type=Path, default=HERE / "results/front.json")
    parser.add_argument("--picture", type=Path, help="SVG; default: beside --out")
    parser.add_argument("--work", type=Path, help="keep all files in this folder (default: temporary)")
    parser.add_argument("--resume", action="store_true", help="keep rows of same version and settings")
    taken_from = "JSON of compare.py, or of a front on another machine, whose rows of the same settings are taken over"
    parser.add_argument("--take", type=Path, help=taken_from)
    parser.add_argument("--redraw", action="store_true", help="run nothing: page and picture of the rows there are")
    options = parser.parse_args(arguments)
    options.tools = options.tools.split(",")
    options.picture = options.picture or options.out.with_suffix(".svg")
    if unknown := [tool for tool in options.tools if tool not in NAMES]:
        parser.error(f"--tools: {', '.join(unknown)} unknown; choose from {', '.join(NAMES)}")
    names, options.settings = options.settings, chosen(options.tools, options.settings)
    if unknown := [name for name in names or () if not any(name in of for of in options.settings.values())]:
        parser.error(f"--settings: {', '.join(unknown)} unknown; {known(options.tools)}")
    return options


def chosen(tools: list[str], names: list[str] | None) -> dict[str, list[str]]:
    """The settings of each tool that are to be run; None: all of its front."""
    if names is None:
        return {tool: list(NAMES[tool]) for tool in tools}
    return {tool: [name for name in names if name in NAMES[tool] or _is_recipe(tool, name)] for tool in tools}


def _is_recipe(tool: str, name: str) -> bool:
    from warpline.errors import UsageError
    from warpline.recipe import Recipe

    recipe, *changes = name.split(":")
    try:
        return tool == "warpline" and bool(Recipe.load(recipe).with_options(*changes))
    except UsageError:
        return False


def known(tools: list[str]) -> str:
    """The settings that tools have, in words."""
    has = "; ".join(f"{tool} has {', '.join(NAMES[tool])}" for tool in tools)
    return f"{has}; warpline any RECIPE:KEY=VALUE:KEY=VALUE too"


def describe(tool: str, setting: str, pair: str, options: argparse.Namespace) -> dict[str, Any]:
    """What identifies a row, settings in full."""
    return {
        "tool": tool,
        "setting": setting,
        "version": measure.version(TOOLS[tool].package, TOOLS[tool].python()),
        "pair": pair,
        "threads": options.threads,
        "margin": options.margin,
        "settings": SETTINGS[tool](setting),
    }


def taken(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a comparison, or of another front, with one of the settings here, and where they were run."""
    known_settings = [(tool, name, SETTINGS[tool](name)) for tool, names in NAMES.items() for name in names]
    return [
        {**row, "tool": tool, "setting": name, "machine": row.get("machine", document["machine"])}
        for row in document["runs"]
        for tool, name, settings in known_settings
        if row["settings"] == settings and TOOLS[row["tool"]].package == TOOLS[tool].package
    ]


def run(options: argparse.Namespace, work: Path, results: Results) -> None:
    """Go through all pairs, every setting of every tool on a pair before the next pair."""
    for pair in options.pairs:
        fixed, moving = (brains.prepare(options.data, s, work / "brains", options.margin) for s in pair.split(","))
        for tool, setting in ((tool, name) for tool, names in options.settings.items() for name in names):
            key = describe(tool, setting, pair, options)
            if options.resume and results.has(key):
                continue
            folder = work / re.sub(r"[^\w.-]", "-", f"{tool}-{setting}-{pair}")  # Greedy splits paths at commas
            results.put(run_row(key, (fixed, moving), folder))
            if options.work is None:
                shutil.rmtree(folder)


def main() -> None:
    """Run what is asked for, print the tables and draw the fronts."""
    options = parse_arguments()
    results = Results(options.out, keep=options.resume or options.redraw, page=front_page.page, identity=IDENTITY)
    for row in taken(json.loads(options.take.read_text())) if options.take else ():
        if not results.has({name: row[name] for name in IDENTITY}):
            results.put(row)
    if not options.redraw:
        with tempfile.TemporaryDirectory(prefix="front-") as temporary:
            run(options, options.work or Path(temporary), results)
    document = results.load()
    page = front_page.page(document)
    options.out.with_suffix(".md").write_text(page)
    print(page)
    front_picture.draw(document["runs"], options.picture)


if __name__ == "__main__":
    main()
