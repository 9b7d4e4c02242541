"""Every operation once under the address and undefined-behaviour sanitizers, in a process that loads them first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.operations import OPERATIONS
from cuda_on_cpu import emulated

TESTS = Path(__file__).resolve().parents[1]
SCRIPT = """
import sys
from backends.operations import OPERATIONS, results
from conftest import emulated_backend
for name in sys.argv[1:] or OPERATIONS:
    results(name, emulated_backend(sanitized=True))
    print(name)
"""
OUT_OF_BOUNDS = """
import numpy as np
from cuda_on_cpu import emulated
source = 'extern "C" __global__ void stray(float* values, int n) { values[n + (int)threadIdx.x] = 1.0f; }'
stray = emulated.EmulatedRuntime(sanitized=True).compile(source, "stray")
stray((1, 1, 1), (1, 1, 1), [np.zeros(9, "f4"), np.int32(9)])
"""


def run(script):
    libraries = [
        subprocess.run([emulated.COMPILER, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    if not all(os.path.isabs(path) for path in libraries):
        pytest.skip(f"{emulated.COMPILER} comes without its sanitizers")
    environment = os.environ | {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONPATH": str(TESTS),
        "PYTHONMALLOC": "malloc",
    }
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)


@pytest.fixture(autouse=True)
def compiler():
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}")


def test_every_operation_is_clean():
    result = run(SCRIPT)
    assert result.returncode == 0, result.stderr[-4000:]
    assert result.stdout.splitlines() == list(OPERATIONS)


def test_a_write_beyond_an_array_is_found():
    result = run(OUT_OF_BOUNDS)
    assert result.returncode != 0
    assert "heap-buffer-overflow" in result.stderr
