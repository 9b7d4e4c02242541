"""Every kernel compiled by NVRTC for every architecture, without a GPU or a driver; no register spills."""

from __future__ import annotations

import re

import pytest

from kernel_builds import ARCHITECTURES, KERNELS, MEASURED, VARIANTS, builds
from warpline.backends.cuda_launch import load

pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings and NVRTC are for Linux and Windows")
from resources import compile_for


def spilled(log):
    """Bytes of spill stores and loads and of stack."""
    numbers = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
    return [int(number) for number in numbers.groups()]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_compiles_for_every_architecture(name, architecture):
    compiled, log = compile_for(architecture, load(name).source)
    assert compiled, log


@pytest.mark.parametrize(("name", "defines"), builds())
@pytest.mark.parametrize("architecture", MEASURED)
def test_no_build_spills_registers(name, defines, architecture):
    compiled, log = compile_for(architecture, load(name, defines).source)
    assert compiled, log
    assert spilled(log) == [0, 0, 0], log


def test_an_error_names_file_and_line():
    source = load("compose").source.replace("continue;", "contnue;", 1)
    compiled, log = compile_for("sm_90", source)
    assert not compiled
    line = 1 + open_kernel("compose").split("continue;")[0].count("\n")
    assert f"compose.cu({line})" in log


def open_kernel(name):
    from importlib.resources import files

    return files("warpline.kernels").joinpath(f"{name}.cu").read_text()


def test_an_error_in_a_header_names_the_header():
    source = load("compose").source.replace("struct Voxel {", "strct Voxel {")
    compiled, log = compile_for("sm_90", source)
    assert not compiled
    assert "volume.cuh(" in log


def test_variants_are_of_kernels_that_are_there():
    assert set(VARIANTS) <= set(KERNELS)
