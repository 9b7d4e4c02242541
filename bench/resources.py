"""What the compiler gives each kernel: registers, shared memory, spills and the occupancy that follows; needs no GPU.

``python bench/resources.py`` prints one Markdown table; cuda-bindings and NVRTC come with the `test` extra.
"""

from __future__ import annotations

import argparse
import re

from cuda.bindings import nvrtc

from warpline.backends.cuda_launch import Defines, load

HOT: dict[str, Defines] = {
    "warp": (),
    "local_cc": (("RADIUS", 2), ("MASKED", 0)),
    "smooth (update, 1.5)": (("COMPONENTS", 3), ("RI", 5), ("RJ", 5), ("RK", 5)),
    "smooth (few voxels, 1.5)": (("COMPONENTS", 3), ("RI", 0), ("RJ", 5), ("RK", 5), ("NORM", 0)),
    "smooth_along_i (few voxels, 1.5)": (("COMPONENTS", 3), ("RI", 5)),
    "smooth (total, 0.42)": (("COMPONENTS", 3), ("RI", 1), ("RJ", 1), ("RK", 1)),
    "compose": (),
    "halve": (),
    "add_doubled": (),
    "keep_best_state": (),
    "invert": (),
    "jacobian": (),
    "least_jacobian": (),
    "unfold": (),
    "norm_quantile": (),
    "sample": (("ORDER", 3),),
    "cubic_prefilter (i, j)": (("ALONG_K", 0),),
    "cubic_prefilter (k)": (("ALONG_K", 1),),
    "filter_axis (i, j)": (("ALONG_K", 0),),
    "filter_axis (k)": (("ALONG_K", 1),),
    "interpolate (order 1)": (("NDIM", 3), ("ORDER", 1), ("VALUE", "float")),
    "interpolate (order 3)": (("NDIM", 3), ("ORDER", 3), ("VALUE", "double")),
    "spline_prefilter (order 3)": (("ORDER", 3), ("VALUE", "double")),
    "affine_moments": (),
    "joint_histogram": (("BINS", 32),),
    "histogram_derivative": (),
    "bfgs": (),
    "map_values": (),
    "add_weighted": (),
    "self_similarity": (),
    "warp_descriptors": (),
    "descriptor_forces": (),
    "motion_sums": (("ROWS", 11),),
    "motion_gram": (("ROWS", 11),),
}
"""The builds of a default registration, and of descriptors."""

REGISTERS, THREADS, SHARED = 65536, 2048, {"sm_80": 164, "sm_90": 228}
"""Of a multiprocessor; shared memory in KiB, of which each block also takes one for the system."""

BLOCK = 256


def compile_for(architecture: str, source: str) -> tuple[bool, str]:
    """Whether NVRTC compiles a source, and what it and its assembler say."""
    options = [f"-arch={architecture}".encode(), b"-std=c++17", b"--ptxas-options=-v"]
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, None, None)
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = bytearray(size)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    return status == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode().rstrip("\0 ")


def number(pattern: str, log: str) -> int:
    """The number in a pattern; 0 where it is not there."""
    found = re.search(pattern, log)
    return int(found[1]) if found else 0


def row(name: str, architecture: str) -> str:
    """One line of the table."""
    compiled, log = compile_for(architecture, load(name.split()[0], HOT[name]).source)
    if not compiled:
        raise SystemExit(log)
    registers, shared = number(r"Used (\d+) registers", log), number(r"(\d+) bytes smem", log)
    spilled = number(r"(\d+) bytes spill stores", log) + number(r"(\d+) bytes spill loads", log)
    by_registers = REGISTERS // (-(-registers // 8) * 8 * BLOCK)
    blocks = min(THREADS // BLOCK, by_registers, SHARED[architecture] * 1024 // (shared + 1024))
    share = f"{blocks * BLOCK / THREADS:.0%}"
    return f"| {name} | {architecture} | {registers} | {shared / 1024:.1f} | {spilled} | {blocks} | {share} |"


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(
        "| kernel | for | registers | shared KiB | spilled bytes | blocks | occupancy |\n|---|---|---|---|---|---|---|"
    )
    for name in HOT:
        for architecture in SHARED:
            print(row(name, architecture))


if __name__ == "__main__":
    main()
