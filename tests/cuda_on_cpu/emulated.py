"""A runtime that compiles the kernels with g++ and runs them on the CPU, for `CudaBackend`."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np

from warpline.errors import DeviceError

SHIM = Path(__file__).with_name("cuda_on_cpu.h")
COMPILER = os.environ.get("CXX", "g++")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]

WRAPPER = """
static void call() {{ call_with({entry}); }}
extern "C" int launch(const unsigned* size, void** given, int descending) {{
    arguments = given;
    return fibers::run(size, call, {has_barriers}, descending);
}}
"""


def available():
    """Whether there is a compiler."""
    return shutil.which(COMPILER) is not None


@cache
def build_folder():
    """Where compiled kernels are kept between runs: named after the shim, private to the user."""
    tag = hashlib.blake2b(SHIM.read_bytes() + COMPILER.encode(), digest_size=8).hexdigest()
    user = os.getuid() if hasattr(os, "getuid") else "own"  # the temporary folder of Windows is the user's own
    folder = Path(tempfile.gettempdir()) / f"warpline-kernels-{user}-{tag}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@cache
def precompiled(*options):
    """A copy of the shim, beside it what the compiler has read of it: that takes longer than most kernels do."""
    tag = hashlib.blake2b(" ".join(options).encode(), digest_size=8).hexdigest()
    folder = build_folder() / f"shim-{tag}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=build_folder()) as unfinished:
            header = Path(unfinished) / "made" / SHIM.name
            header.parent.mkdir()
            header.write_bytes(SHIM.read_bytes())
            command = [COMPILER, *options, "-Wno-error", "-x", "c++-header", "-o", f"{header}.gch", header]
            subprocess.run(command, capture_output=True, check=False)  # without it the copy alone is read
            with suppress(OSError):  # another process was first
                os.replace(header.parent, folder)
    return folder / SHIM.name


class EmulatedRuntime:
    """Kernels on the CPU, arrays of NumPy.

    Parameters
    ----------
    descending : bool
        Whether threads and blocks take turns in descending order; results must not depend on it.
    sanitized : bool
        Whether kernels are built with the address and undefined-behaviour sanitizers, which the process must have
        loaded first.
    most_blocks : int
        Of each launch that are run, so that a corner of a launch can be looked at that would take hours.
    """

    xp = np
    name = "emulated GPU"
    processors = 4
    ordinal = 0

    def __init__(self, descending=False, sanitized=False, most_blocks=2**32 - 1):
        self.descending, self.sanitized, self.most_blocks = descending, sanitized, most_blocks
        self.launches = []
        self._lock = threading.Lock()

    def compile(self, source, entry):
        library = ctypes.CDLL(str(self._built(source, entry)))

        def launch(grid, block, arguments):
            size = (ctypes.c_uint * 7)(*grid, *block, self.most_blocks)
            kept = [_storage(argument) for argument in arguments]
            pointers = (ctypes.c_void_p * len(kept))(*(array.ctypes.data for array in kept))
            with self._lock:
                self.launches.append(entry)
                failed = library.launch(size, pointers, int(self.descending))
            if failed:
                raise AssertionError(f"{entry}: a barrier was not met by all threads of a block")

        return launch

    def _built(self, source, entry):
        wrapper = WRAPPER.format(entry=entry, has_barriers=int("__syncthreads" in source))
        options = ["-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Werror", "-Wno-unknown-pragmas"]
        options += ["-Wno-unused-function", "-Wno-unused-variable", *(SANITIZERS if self.sanitized else [])]
        options += ["-shared", "-fPIC"]
        tag = hashlib.blake2b((source + wrapper + " ".join(options)).encode(), digest_size=12).hexdigest()
        built = build_folder() / f"{entry}-{tag}.so"
        if not built.exists():
            with tempfile.TemporaryDirectory(dir=build_folder()) as folder:
                code, made = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
                code.write_text(f'#include "{precompiled(*options)}"\n{source}{wrapper}')
                command = [COMPILER, *options, "-o", made, code]
                result = subprocess.run(command, capture_output=True, text=True)
                if result.returncode:
                    raise AssertionError(f"{entry} does not compile:\n{result.stderr}")
                os.replace(made, built)
        return built

    def to_host(self, array, out=None):
        if out is None:
            return np.array(array)
        out[...] = array
        return out

    def to_host_later(self, array):
        copied = self.to_host(array)
        return lambda: copied

    def capture(self, step):
        return step

    def release(self):
        pass

    @contextmanager
    def session(self):
        try:
            yield
        except MemoryError as error:
            raise DeviceError(f"out of memory: {error}") from None


def _storage(argument):
    """An array whose memory holds what the kernel's parameter is: the array itself, its address, or a number."""
    if argument is None or isinstance(argument, Address):
        return np.array([argument.value if argument else 0], np.uint64)
    if isinstance(argument, np.ndarray) and argument.dtype.names is None:
        return np.array([argument.ctypes.data], np.uint64)
    return np.atleast_1d(np.asarray(argument))


class GraphRuntime(EmulatedRuntime):
    """Captures as a GPU does: launches are recorded with their arguments, not run, and replayed as they were."""

    def __init__(self):
        super().__init__()
        self._recorded = None

    def compile(self, source, entry):
        launch = super().compile(source, entry)

        def launch_or_record(*call):
            if self._recorded is None:
                launch(*call)
            else:
                self._recorded.append((launch, call))

        return launch_or_record

    def capture(self, step):
        self._recorded = []
        step()
        graph, self._recorded = [(launch, _pinned(call)) for launch, call in self._recorded], None

        def replay():
            for launch, call in graph:
                launch(*call)

        return replay


def _pinned(call):
    """A call that knows the addresses of its arrays and nothing else of them, as a graph does."""
    grid, block, arguments = call
    return grid, block, [Address(a) if isinstance(a, np.ndarray) and a.dtype.names is None else a for a in arguments]


class Address:
    """Where an array lies; does not keep it alive."""

    def __init__(self, array):
        self.value = array.ctypes.data
