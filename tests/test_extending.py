"""Adding one of each kind takes the steps that CONTRIBUTING says and no other, shown in a copy of the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "src/warpline"
ADDITIONS = ROOT / "tests" / "extending"

STEPS = {
    "Add a metric": {
        "metrics/log_cosh.py": (),
        "metrics/product_ratio.py": (),
        "metrics/__init__.py": (
            "from warpline.metrics.local_cc import LocalCC\n",
            "from warpline.metrics.log_cosh import LogCosh\n",
            "from warpline.metrics.mutual_information import MutualInformation\n",
            "from warpline.metrics.product_ratio import ProductRatio\n",
            "LINEAR_METRICS: dict[str, Callable[[Samples, Linear], LinearMetric]] = {\n",
            '    "product_ratio": lambda samples, _: ProductRatio(samples),\n',
            "DEFORMABLE_METRICS: dict[str, Callable[[Syn], DeformableMetric]] = {\n",
            '    "log_cosh": lambda _: LogCosh(),\n',
        ),
        "recipe/linear.py": ('    metric: Literal["mutual_information"', ', "product_ratio"'),
        "recipe/metric_names.py": ("BUILT_IN = (", '"log_cosh", '),
        "backends/affine_problem.py": ('Formula = Literal["mutual_information"', ', "product_ratio"'),
    },
    "Add a backend operation": {
        "backends/interface.py": (
            "class Backend(SimilarityOperations, Protocol):\n",
            "    def saturated_difference(self, a: Array, b: Array, *, out: Array) -> Array: ...\n",
        ),
        "backends/numpy_backend.py": (
            "class NumpyBackend(HostBackend):\n",
            "    def saturated_difference(self, a, b, *, out):\n        return np.tanh(a - b, out=out)\n",
        ),
    },
    "Add a backend": {
        "backends/plain_backend.py": (),
        "backends/__init__.py": ("BACKENDS = {\n", '    "plain": "warpline.backends.plain_backend",\n'),
    },
    "Add an image format": {
        "io/text_images.py": (),
        "io/image_formats.py": (
            "from warpline.io import limits",
            ", text_images",
            "FORMATS = {\n",
            '    "text": ImageFormat("2-D text", (".grid",), text_images.open_image),\n',
        ),
    },
    "Add a transform format": {
        "io/transform_files/shift.py": (),
        "io/transform_files/__init__.py": (
            "    matrix,\n",
            "    shift,\n",
            "FORMATS = {\n",
            '    "shift": shift.FORMAT,\n',
        ),
    },
    "Add an interpolation": {
        "resampling/rounding_down.py": (),
        "resampling/__init__.py": (
            "from warpline.space.dense import Pullback, pull_back\n",
            "from warpline.resampling.rounding_down import warp_down\n",
            "INTERPOLATIONS: dict[str, Interpolation] = {\n",
            '    "down": warp_down,\n',
        ),
        "cli/apply.py": ("INTERPOLATIONS = (", '"down", '),
    },
    "Add a command": {
        "cli/spacing.py": (),
        "cli/main.py": ("COMMANDS = {\n", '    "spacing": "warpline.cli.spacing",\n'),
    },
}
"""Section of CONTRIBUTING to files of the package: new ones from `ADDITIONS` where nothing is listed, else pairs of a
text in the file and what is written after it."""

USE = r"""
import contextlib, io, json, sys
import numpy as np
from scipy.ndimage import gaussian_filter
import warpline
from warpline.backends import select
from warpline.cli.main import main


def command(*words):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main(list(words))
    return [code, said.getvalue()]


def text_image(name, shift):
    x, y = np.indices((28, 24))
    inside = ((x - 13 - shift) / 9) ** 2 + ((y - 12) / 7) ** 2 < 1
    values = gaussian_filter(np.where(inside, 100 + 8 * x, 0.0), 1)
    with open(name, "w") as file:
        file.write(f"28 24\n{' '.join(f'{value:.3f}' for value in values.ravel())}\n")
    return warpline.read_image(name)


fixed, moving = text_image("fixed.grid", 0), text_image("moving.grid", 3)
open("a.shift", "w").write("shift 3 0 0\n")
settings = ["linear.metric=product_ratio", "syn.metric=log_cosh", "linear.voxel_sizes=[2]", "linear.iterations=[30]"]
settings += ["syn.factors=[2, 1]", "syn.iterations=[20, 10]", "initialise.rotations=false", "linear.stages=['rigid']"]
recipe = warpline.Recipe.load("syn").with_options(*settings)
result = warpline.register(fixed, moving, recipe=recipe, backend="plain")
warped = result.warped.data
apply = ["-i", "moving.grid", "-r", "fixed.grid", "-t", "a.shift", "-o", "down.nii", "--backend", "numpy"]
json.dump({
    "package": warpline.__file__,
    "backend": result.report["backend"],
    "before": float(np.corrcoef(fixed.data.ravel(), moving.data.ravel())[0, 1]),
    "after": float(np.corrcoef(fixed.data.ravel(), warped.ravel())[0, 1]),
    "operation": float(select("plain").saturated_difference(np.full(2, 9.0), np.zeros(2), out=np.zeros(2))[0]),
    "convert": command("convert", "a.shift", "a.mat"),
    "read": warpline.read_transform("a.mat").matrix[:3, 3].tolist(),
    "back": [*command("convert", "a.mat", "b.shift"), open("b.shift").read()],
    "apply": command("apply", *apply, "--interpolation", "down"),
    "help": command("--help"),
    "spacing": command("spacing", "fixed.grid"),
}, sys.__stdout__)
"""


def insert(path: Path, *changes: str) -> None:
    """Write every second text of `changes` after the text before it."""
    text = path.read_text()
    for place, addition in zip(changes[::2], changes[1::2], strict=True):
        assert text.count(place) == 1, f"{place!r} is {text.count(place)} times in {path.name}"
        text = text.replace(place, place + addition)
    path.write_text(text)


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """What a user gets from a copy of the package with one more of each kind."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / PACKAGE, folder / "warpline")
    for files in STEPS.values():
        for name, changes in files.items():
            if changes:
                insert(folder / "warpline" / name, *changes)
            else:
                shutil.copy(ADDITIONS / name, folder / "warpline" / name)
    environment = {**os.environ, "PYTHONPATH": str(folder), "WARPLINE_THREADS": "1", "WARPLINE_BACKEND": "numpy"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", USE], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["package"] == str(folder / "warpline" / "__init__.py")
    return found


@pytest.mark.parametrize("section", STEPS)
def test_contributing_names_these_files(section):
    text = (ROOT / "CONTRIBUTING.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    named = set(re.findall(rf"`{PACKAGE}/([\w/<>.]+)`", text))
    edited = {name for name, changes in STEPS[section].items() if changes}
    assert {name for name in named if "<" not in name} == edited
    folders = {re.sub(r"<\w+>\w*\.py$", "", name) for name in named if "<" in name}
    assert folders == {f"{Path(name).parent}/" for name, changes in STEPS[section].items() if not changes}


def test_new_metrics_register_on_a_new_backend(used):
    assert used["backend"]["name"] == "plain"
    assert used["before"] < 0.9 and used["after"] > 0.98


def test_a_new_operation_is_part_of_every_backend(used):
    assert used["operation"] == pytest.approx(np.tanh(9), rel=1e-6)


def test_a_new_transform_format_is_converted(used):
    assert used["convert"][0] == 0 and used["read"] == [3, 0, 0]
    assert used["back"] == [0, used["back"][1], "shift 3.0 0.0 0.0\n"]


def test_a_new_interpolation_carries_an_image_over(used):
    assert used["apply"] == [0, "wrote down.nii: 28 x 24 x 1 float64\n"]


def test_a_new_command_is_listed_and_runs(used):
    assert "show the voxel sizes of an image" in used["help"][1]
    assert used["spacing"] == [0, "1 x 1 x 1\n"]
