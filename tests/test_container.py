"""The steps of the container's recipe, run where no container engine is: on a folder in place of the image."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from test_packaging import PARTS
from warpline.cli.main import build_parser

ROOT = Path(__file__).parents[1]
HOME = "/opt/warpline"
"""Where the image has its environment."""

RECIPE = ("release/install.sh", "release/container.lock")
"""What installs it there."""

STUBS = {
    "pip": 'mkdir -p "$HERE/lib" && echo "x = 1" > "$HERE/lib/module.py" && echo "$WANTED $*" >> "$HERE/pip.log"',
    "warpline": 'mkdir -p "$NUMBA_CACHE_DIR" && touch "$NUMBA_CACHE_DIR/$1-$WARPLINE_BACKEND"',
    "python": f'case "$*" in "-m venv"*) ;; *) exec {shlex.quote(sys.executable)} "$@" ;; esac',
}
"""Programs that the build step calls, in short."""


@pytest.fixture(scope="module")
def steps():
    """Instruction and argument of every step, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments(steps, name):
    return [argument for instruction, argument in steps if instruction == name]


def environment(steps):
    return dict(pair.split("=", 1) for text in arguments(steps, "ENV") for pair in text.split())


@pytest.fixture(scope="module")
def built(steps, tmp_path_factory):
    """The folder that the build step leaves, its programs replaced by `STUBS`."""
    home = tmp_path_factory.mktemp("image")
    (home / "bin").mkdir()
    for name, script in STUBS.items():
        (home / "bin" / name).write_text(
            f"#!/bin/sh\nHERE={shlex.quote(str(home))}\nWANTED=$SETUPTOOLS_SCM_PRETEND_VERSION_FOR_WARPLINE\n{script}\n"
        )
        (home / "bin" / name).chmod(0o755)
    (build,) = (text for text in arguments(steps, "RUN") if "install.sh" in text)
    path = {"PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}", "VERSION": "0.2.0"}
    subprocess.run(["sh", "-c", build.replace(HOME, str(home))], env=path, check=True, cwd=ROOT)
    return home


def test_what_is_copied_is_what_a_wheel_is_built_from(steps):
    copied = {word for text in arguments(steps, "COPY") if "--from" not in text for word in shlex.split(text)[:-1]}
    assert copied == {*PARTS, *RECIPE}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*" and {f"!{part}" for part in copied} <= set(ignored)


def test_apptainer_copies_and_sets_what_docker_does(steps):
    definition = (ROOT / "release" / "warpline.def").read_text()
    assert {line.split()[0] for line in definition.splitlines() if " /source/" in line} == {*PARTS, *RECIPE}
    exported = dict(re.findall(r"export (\w+)=(\S+)", definition))
    assert exported.items() <= environment(steps).items()
    assert {"PATH", "TMPDIR", "NUMBA_CACHE_DIR", "WARPLINE_COMPILED"} <= exported.keys()
    (base,) = (text.partition("=")[2] for text in arguments(steps, "ARG") if text.startswith("BASE="))
    assert f"From: {base}\n" in definition
    assert "exec " + " ".join(json.loads(arguments(steps, "ENTRYPOINT")[0])) in definition


def test_compiled_modules_are_valid_in_layers_that_cut_dates(built):
    """Layers keep whole seconds: Python compares the date in the compiled file with that of the source."""
    module = built / "lib" / "module.py"
    compiled = Path(importlib.util.cache_from_source(str(module)))
    stamp = int.from_bytes(compiled.read_bytes()[8:12], "little")
    assert module.stat().st_mtime == int(module.stat().st_mtime) == stamp


def test_packages_are_those_of_the_lock_file(built):
    packages, package = (built / "pip.log").read_text().splitlines()
    assert "--require-hashes --requirement release/container.lock" in packages
    assert package.startswith("0.2.0 install ") and "--no-deps" in package and package.endswith(" .")


def test_no_image_is_built_without_a_version(steps, tmp_path):
    (build,) = (text for text in arguments(steps, "RUN") if "install.sh" in text)
    done = subprocess.run(["sh", "-c", build.replace(HOME, str(tmp_path))], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and "--build-arg VERSION=" in done.stderr and list(tmp_path.iterdir()) == []
    definition = (ROOT / "release" / "warpline.def").read_text()
    assert f"sh release/install.sh {HOME} {{{{ VERSION }}}}\n" in definition


def test_kernels_are_compiled_where_the_image_looks_for_them(steps, built):
    folder = Path(environment(steps)["WARPLINE_COMPILED"].replace(HOME, str(built)))
    assert [path.name for path in folder.iterdir()] == ["doctor-numba"]


def test_the_entry_point_takes_the_call_of_a_bids_app(steps):
    entry = json.loads(arguments(steps, "ENTRYPOINT")[0])
    call = [*entry[1:], "/data/bids", "/data/out", "participant", "--participant-label", "01", "02", "--fixed", "t.nii"]
    options = build_parser(call).parse_args(call)
    assert entry[0] == "warpline" and options.action == "run" and options.level == "participant"


def test_the_user_is_not_root_and_writes_to_scratch_only(steps):
    order = [instruction for instruction, _ in steps]
    assert arguments(steps, "USER") == ["warpline"] and "RUN" not in order[order.index("USER") :]
    writable = {name: environment(steps)[name] for name in ("TMPDIR", "NUMBA_CACHE_DIR", "CUPY_CACHE_DIR")}
    assert all(folder.startswith("/scratch") for folder in writable.values())
