"""The container's recipe, read as text: no container engine runs here."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from warpline.cli.main import build_parser

ROOT = Path(__file__).parents[1]
KNOWN = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "VOLUME", "USER", "ENTRYPOINT", "CMD"}


@pytest.fixture(scope="module")
def steps():
    """Instruction and argument of every step, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments(steps, name):
    return [argument for instruction, argument in steps if instruction == name]


def test_every_instruction_is_one_of_docker(steps):
    assert {instruction for instruction, _ in steps} <= KNOWN
    assert steps[0][0] == "ARG" and all(len(step) == 2 for step in steps)


def test_what_is_copied_is_there_and_not_ignored(steps):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for copied in arguments(steps, "COPY"):
        *sources, _ = [word for word in shlex.split(copied) if not word.startswith("--")]
        for source in sources if "--from" not in copied else ():
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_the_image_is_slim_and_its_user_is_not_root(steps):
    assert all("-slim" in base for base in arguments(steps, "FROM"))
    order = [instruction for instruction, _ in steps]
    assert arguments(steps, "USER") == ["warpline"]
    assert order.index("USER") < order.index("ENTRYPOINT") and "RUN" not in order[order.index("USER") :]
    assert "pip install --no-cache-dir" in " ".join(arguments(steps, "RUN"))


def test_caches_lie_in_scratch_and_the_driver_is_asked_for(steps):
    pairs = [pair.partition("=") for text in arguments(steps, "ENV") for pair in text.split()]
    values = {name: value for name, _, value in pairs}
    assert values["NUMBA_CACHE_DIR"].startswith("/scratch") and values["CUPY_CACHE_DIR"].startswith("/scratch")
    assert values["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


def test_what_is_compiled_outlives_the_layer(steps):
    """Layers cut dates to whole seconds: what belongs to a date is compiled after the dates were made whole."""
    build = next(text for text in arguments(steps, "RUN") if "pip install" in text)
    order = [
        build.index(part) for part in ("--no-compile", "touch --date=", "compileall", "NUMBA_CACHE_DIR=", "doctor")
    ]
    assert order == sorted(order)
    pairs = dict(pair.split("=", 1) for text in arguments(steps, "ENV") for pair in text.split())
    assert f"NUMBA_CACHE_DIR={pairs['WARPLINE_COMPILED']} " in build


def test_the_entry_point_takes_the_call_of_a_bids_app(steps):
    entry = json.loads(arguments(steps, "ENTRYPOINT")[0])
    call = [*entry[1:], "/data/bids", "/data/out", "participant", "--participant-label", "01", "02", "--fixed", "t.nii"]
    options = build_parser(()).parse_args(call)
    assert entry[0] == "warpline" and options.action == "run" and options.level == "participant"
