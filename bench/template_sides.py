"""How surely templates find who is mirrored, by the number of subjects.

All subjects are registered as `warpline template build` does it. From what their sides have in common in the first
deformable round follows what is found in any group of them: of the group as it is, and with each member mirrored, which
turns the signs of its products around.

    python bench/template_sides.py slices
    python bench/template_sides.py brains
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from template import CASES
from warpline import template
from warpline.template.fit import CLEAR, MIN_SUBJECTS, agreements

RESULTS = Path(__file__).parent / "results" / "template-sides.json"
SPACING = 2.0
"""Of the brains, mm."""

Table = NDArray[np.float64]
"""Products (N, N) of what the two sides of any two subjects differ in."""


def tables_of(files: Sequence[str], out: Path) -> list[Table]:
    """The products that a template of these images compares sides by."""
    found: list[Table] = []

    def kept(tables: Sequence[Table]) -> Table:
        found.extend(tables)
        return agreements(tables)

    shutil.rmtree(out, ignore_errors=True)
    with mock.patch("warpline.template.judging.agreements", kept):
        template.build(files, out, template.Options(threads=1, rounds=1))
    return found


def row_of(tables: Sequence[Table], size: int) -> dict[str, Any]:
    """Shares over all groups of a size: sound ones left out, and mirrored ones found or undecided."""
    accused, found, undecided = [], [], []
    for group in combinations(range(len(tables[0])), size):
        own = [table[np.ix_(group, group)] for table in tables]
        accused.append((agreements(own) < -CLEAR).any())
        for one in range(size):
            signs = np.where(np.arange(size) == one, -1.0, 1.0)
            alike = agreements([table * np.outer(signs, signs) for table in own])[one]
            found.append(alike < -CLEAR)
            undecided.append(abs(alike) <= CLEAR)
    shares = {"sound_left_out": accused, "mirrored_found": found, "mirrored_undecided": undecided}
    return {"subjects": size, "groups": len(accused), **{name: float(np.mean(one)) for name, one in shares.items()}}


def main() -> None:
    """Register, count, keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=tuple(CASES))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("template-work"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    files = [image for image, _ in CASES[options.case](options.data, options.work / options.case, SPACING)]
    tables = tables_of(files, options.work / f"{options.case}-sides")
    rows = [{"case": options.case, **row_of(tables, size)} for size in range(MIN_SUBJECTS, len(files) + 1)]
    known = json.loads(options.out.read_text()) if options.out.exists() else []
    kept = [one for one in known if one["case"] != options.case]
    options.out.write_text(json.dumps([*kept, *rows], indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    sys.exit(main())
