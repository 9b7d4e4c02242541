"""The examples of examples/interoperability and examples/notebooks: run, or held against our own command line."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from warpline.cli.main import build_parser
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.phantom import brain_pair
from warpline.registration.output_files import ENDINGS

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FOLDER = EXAMPLES / "interoperability"
QUICK = "rigid"


@pytest.fixture(scope="module")
def pair():
    return brain_pair((20, 23, 20), voxel_size=9.0)


@pytest.fixture
def files(pair, tmp_path, monkeypatch):
    """A folder with fixed.nii.gz and sub-01.nii.gz, in which commands of this environment are found."""
    for image, name in ((pair.fixed, "fixed"), (pair.moving, "sub-01")):
        write_image(image, tmp_path / f"{name}.nii.gz")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def example(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parsed(command):
    """The options of a command line of warpline, as its own parser reads them."""
    program, *arguments = shlex.split(command)
    assert program == "warpline"
    return build_parser(arguments).parse_args(arguments)


# -- tensors --------------------------------------------------------------------------------------------------------


@pytest.mark.interoperability
def test_a_meta_tensor_comes_back_on_the_fixed_grid(pair):
    monai, torch = pytest.importorskip("monai"), pytest.importorskip("torch")
    given = [
        monai.data.MetaTensor(torch.from_dlpack(image)[None], affine=torch.from_numpy(image.affine.copy()))
        for image in (pair.fixed, pair.moving)
    ]
    warped = example("monai_images").register(*given, QUICK)
    assert warped.shape == (1, *pair.fixed.grid.shape)
    np.testing.assert_allclose(warped.affine, pair.fixed.affine)


@pytest.mark.interoperability
def test_an_image_of_torchio_comes_back_on_the_fixed_grid(pair):
    torchio, torch = pytest.importorskip("torchio"), pytest.importorskip("torch")
    given = [
        torchio.ScalarImage(tensor=torch.from_dlpack(image)[None], affine=image.affine)
        for image in (pair.fixed, pair.moving)
    ]
    warped = example("torchio_images").register(*given, QUICK)
    assert warped.shape == (1, *pair.fixed.grid.shape)
    np.testing.assert_allclose(warped.affine, pair.fixed.affine)


# -- workflows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "command"), [("Register", "register"), ("Apply", "apply")])
def test_options_of_the_nipype_interface_exist(name, command):
    source = (
        (FOLDER / "nipype_interface.py").read_text().partition(f"class {name}Inputs")[2].partition("\n\n\nclass")[0]
    )
    options = set(re.findall(r'argstr="(--[\w-]+)', source))
    known = {option for action in build_parser([command])._subparsers._group_actions[0].choices[command]._actions
             for option in action.option_strings}  # fmt: skip
    assert len(options) >= 5 and options <= known


@pytest.mark.interoperability
def test_the_nipype_interface_registers_and_applies(files, monkeypatch):
    monkeypatch.setenv("NIPYPE_NO_ET", "1")  # it would ask a server for its newest version
    pytest.importorskip("nipype")
    module = example("nipype_interface")
    assert set(module.ENDINGS.items()) <= set(ENDINGS.items())
    register = module.Register(fixed="fixed.nii.gz", moving="sub-01.nii.gz", output_prefix="out/", recipe=QUICK)
    assert parsed(register.cmdline).output == "out/"
    found = register.run().outputs
    apply = module.Apply(image="sub-01.nii.gz", reference="fixed.nii.gz", transforms=[found.affine])
    np.testing.assert_allclose(
        read_image(apply.run().outputs.output).data, read_image(found.warped).data, rtol=1e-4, atol=1e-3
    )


def rule(files, warped, **masks):
    """What Snakemake hands to a script."""
    given = {"fixed": str(files / "fixed.nii.gz"), "moving": str(files / "sub-01.nii.gz"), **masks}
    return SimpleNamespace(
        input=SimpleNamespace(**given, get=given.get),
        output=SimpleNamespace(warped=warped),
        params={"recipe": QUICK},
        threads=1,
    )


def run_wrapper(rule):
    path = FOLDER / "snakemake" / "wrapper.py"
    exec(compile(path.read_text(), path, "exec"), {"snakemake": rule})


def test_the_snakemake_wrapper_writes_what_its_rule_names(files):
    run_wrapper(rule(files, "registered/sub-01_Warped.nii.gz"))
    outputs = re.findall(r'"registered/\{subject\}(_\S+)"', (FOLDER / "snakemake" / "Snakefile").read_text())
    assert len(outputs) == 4 and all((files / "registered" / f"sub-01{ending}").exists() for ending in outputs)


def test_the_snakemake_wrapper_heeds_masks_and_names(files, pair):
    mask = Image((pair.fixed.data > 0).astype(np.uint8), pair.fixed.grid)
    write_image(mask, files / "mask.nii.gz")
    run_wrapper(rule(files, "a_Warped.nii.gz", fixed_mask=str(files / "mask.nii.gz")))
    assert json.loads((files / "a_report.json").read_text())["inputs"]["fixed_mask"]["path"].endswith("mask.nii.gz")
    with pytest.raises(UsageError, match="let its name end in Warped"):
        run_wrapper(rule(files, "warped.nii.gz"))


@pytest.mark.interoperability
def test_the_rules_of_snakemake_run(files):
    if importlib.util.find_spec("snakemake") is None:
        pytest.skip("snakemake is not installed")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", f"recipe={QUICK}"]
    shutil.copytree(FOLDER / "snakemake", files / "workflow")
    found = subprocess.run([*command, "--snakefile", "workflow/Snakefile"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert (files / "registered" / "sub-01_Warped.nii.gz").exists()


def test_the_command_of_the_nextflow_process_is_ours():
    source = (FOLDER / "nextflow" / "register.nf").read_text()
    values = {"fixed": "fixed.nii.gz", "moving": "sub-01.nii.gz", "id": "sub-01", "recipe": QUICK, "task.cpus": "2"}
    command = re.search(r'"""\s*(warpline .+?)\s*"""', source, re.DOTALL)[1]
    options = parsed(re.sub(r"\$\{(.+?)\}", lambda found: values[found[1]], command))
    assert (options.command, options.fixed, options.output, options.threads) == (
        "register",
        "fixed.nii.gz",
        "sub-01_",
        2,
    )
    written = re.findall(r'path\("\$\{id\}_(\S+?)"\)', source)
    assert len(written) == 4 and set(written) <= set(ENDINGS.values())
    assert "include { WARPLINE_REGISTER } from './register.nf'" in (FOLDER / "nextflow" / "main.nf").read_text()


def test_the_nextflow_workflow_runs(files):
    if shutil.which("nextflow") is None:
        pytest.skip("nextflow is not installed")
    command = ["nextflow", "run", FOLDER / "nextflow" / "main.nf", "--recipe", QUICK]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    assert list((files / "work").rglob("sub-01_Warped.nii.gz"))


# -- notebooks ------------------------------------------------------------------------------------------------------


def test_the_notebook_runs(tmp_path, monkeypatch):
    path = EXAMPLES / "notebooks" / "one_pair.ipynb"
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert path.stat().st_size < 100_000 and notebook["nbformat"] == 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in cells:
        exec("".join(cell["source"]), names)
    assert names["result"]._repr_html_().startswith("<iframe")
    assert (tmp_path / "out" / "pair_report.html").exists()
