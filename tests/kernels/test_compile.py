"""Every kernel compiled by NVRTC for every architecture, without a GPU or a driver; no register spills."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import tempfile
from functools import cache
from pathlib import Path

import pytest

from cuda_on_cpu.emulated import build_folder
from kernel_builds import ARCHITECTURES, KERNELS, MEASURED, VARIANTS, builds
from warpline.backends.cuda_launch import load

pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings and NVRTC are for Linux and Windows")
from cuda.bindings import nvrtc

from resources import compile_for


@cache
def compiler_build():
    """PTX of an empty kernel, whose first lines name the version and the build of the compiler."""
    _, program = nvrtc.nvrtcCreateProgram(b'extern "C" __global__ void empty() {}', b"empty.cu", 0, None, None)
    nvrtc.nvrtcCompileProgram(program, 0, [])
    _, size = nvrtc.nvrtcGetPTXSize(program)
    ptx = bytearray(size)
    nvrtc.nvrtcGetPTX(program, ptx)
    nvrtc.nvrtcDestroyProgram(program)
    return bytes(ptx)


def compile_once(architecture, source):
    """As `compile_for`; what this compiler once compiled with these options is read again, what failed is not."""
    of = [compiler_build(), inspect.getsource(compile_for).encode(), architecture.encode(), source.encode()]
    kept = build_folder() / f"nvrtc-{hashlib.blake2b(repr(of).encode(), digest_size=16).hexdigest()}.log"
    if kept.exists():
        return True, kept.read_text()
    compiled, log = compile_for(architecture, source)
    if compiled:
        with tempfile.TemporaryDirectory(dir=build_folder()) as folder:
            made = Path(folder) / "log"
            made.write_text(log)
            os.replace(made, kept)
    return compiled, log


def spilled(log):
    """Bytes of spill stores and loads and of stack."""
    numbers = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
    return [int(number) for number in numbers.groups()]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_compiles_for_every_architecture(name, architecture):
    compiled, log = compile_once(architecture, load(name).source)
    assert compiled, log


@pytest.mark.parametrize(("name", "defines"), builds())
@pytest.mark.parametrize("architecture", MEASURED)
def test_no_build_spills_registers(name, defines, architecture):
    compiled, log = compile_once(architecture, load(name, defines).source)
    assert compiled, log
    assert spilled(log) == [0, 0, 0], log


def test_the_compiler_names_its_build():
    """So that what another one compiled is not taken for its own work."""
    assert re.search(rb"Cuda compilation tools, release \d+\.\d+, V\d+\.\d+\.\d+", compiler_build())


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
