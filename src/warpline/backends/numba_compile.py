"""Ahead-of-time compilation: kernels of a recipe compiled once per machine, by several processes, into numba's cache.

Each operation is called on a few voxels, so that it is compiled for the types of real calls. Anything else is compiled
by numba at its first call.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import platform
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from warpline.backends import numba_affine, numba_fields
from warpline.backends.arrays import Array
from warpline.backends.descriptors import CHANNELS
from warpline.backends.host_backend import HostBackend

_log = logging.getLogger(__name__)

MOST_PROCESSES = 4
"""Most processes that compile at once."""

_SHAPE = (4, 5, 6)


def _volume() -> Array:
    return np.ones(_SHAPE, np.float32)


def _field() -> Array:
    return np.zeros((3, *_SHAPE), np.float32)


def _local_cc(backend: Any) -> None:
    outs = {"out_fixed": _field(), "out_moving": _field(), "value": np.zeros(1)}
    backend.local_cc(_volume(), _volume(), 1, contrast_floor=1e-5, mask=None, **outs)


def _squared_difference(backend: Any) -> None:
    outs = {"out_fixed": _field(), "out_moving": _field(), "value": np.zeros(1)}
    backend.squared_difference(_volume(), _volume(), mask=None, **outs)


def _mutual_information_forces(backend: Any) -> None:
    outs = {"out_fixed": _field(), "out_moving": _field(), "value": np.zeros(1)}
    backend.mutual_information_forces(_volume(), _volume(), 8, span=(0.0, 1.0), mask=None, **outs)


def _descriptors(shape: tuple[int, ...] = _SHAPE) -> Array:
    return np.zeros((*shape, CHANNELS), np.uint8)


def _warp_descriptors(backend: Any) -> None:
    both = (2, *_SHAPE)
    backend.descriptors.warp(_descriptors(both), np.stack([_field()] * 2), out=_descriptors(both))


def _descriptor_forces(backend: Any) -> None:
    outs = {"out_fixed": _field(), "out_moving": _field(), "value": np.zeros(1)}
    backend.descriptors.forces(_descriptors(), _descriptors(), mask=None, **outs)


def _points() -> tuple[Array, Array, Array]:
    return np.ones((9, 3), np.float32), np.full(9, 4, np.float32), 4 * _volume()


Call = Callable[[Any], Any]

OPERATIONS: dict[str, tuple[float, Call]] = {
    "local_cc": (5.2, _local_cc),
    "compose": (3.3, lambda b: b.compose(_field(), _field(), out=_field())),
    "smooth": (3.0, lambda b: b.smooth(_volume(), (1.0, 1.0, 1.0), out=_volume())),
    "halve": (0.6, lambda b: b.halve(_field())),
    "add_doubled": (0.9, lambda b: b.add_doubled(b.halve(_field()), 1.0, out=_field())),
    "mutual_information": (3.5, lambda b: b.mutual_information(*_points(), np.eye(4)[None], 8)),
    "invert": (1.8, lambda b: b.invert(_field(), start=_field(), tolerance=1e-3, iterations=2, out=_field())),
    "sample": (1.7, lambda b: b.sample(_volume(), np.eye(4))),
    "sample_at": (0.3, lambda b: b.sample_at(_volume(), _points()[0])),
    "jacobian": (1.1, lambda b: b.jacobian(_field())),
    "least_jacobian": (4.0, lambda b: b.least_jacobian(_field())),
    "unfold": (2.0, lambda b: b.unfold(_field(), limit=2.0, target=3.0, sweeps=1)),
    "squared_difference": (0.8, _squared_difference),
    "mutual_information_forces": (2.0, _mutual_information_forces),
    "descriptors.describe": (0.6, lambda b: b.descriptors.describe(_volume(), floor=0.1)),
    "descriptors.warp": (0.4, _warp_descriptors),
    "descriptors.forces": (0.4, _descriptor_forces),
    "map_values": (0.2, lambda b: b.map_values(_volume(), np.ones(3, np.float32), (0.0, 1.0))),
    "sample nearest": (0.3, lambda b: b.sample(_volume(), np.eye(4), field=_field(), order=0)),
    "sample_field": (1.2, lambda b: b.sample_field(_field(), np.eye(4), _SHAPE)),
    "affine_moments": (1.1, lambda b: b.affine_moments(*_points(), np.eye(4))),
    "sample through a field": (2.4, lambda b: b.sample(_volume(), field=_field())),
    "downsample": (0.4, lambda b: b.downsample(_volume(), (2.0, 1.0, 1.0), out=np.ones((2, 5, 6), np.float32))),
    "extent": (0.5, lambda b: b.extent(_volume(), np.eye(4))),
    "statistics": (0.4, lambda b: b.statistics(_field(), 0.5)),
}
"""Operation to the approximate seconds of its compilation, and a call on a few voxels."""

_TOGETHER = (("mutual_information", "affine_moments", "sample_at"), ("least_jacobian", "unfold"))
"""Operations that share helpers, and are cheaper to compile in one process."""

_START = 1.5
"""Start-up time of another process in seconds."""

_ALWAYS = ("smooth", "downsample", "sample", "extent", "statistics")
_DEFORMABLE = (
    "add_doubled",
    "compose",
    "halve",
    "invert",
    "jacobian",
    "least_jacobian",
    "unfold",
    "sample_field",
    "sample through a field",
)
_CURVES = ("sample nearest", "map_values")
_DESCRIPTORS = ("descriptors.describe", "descriptors.warp", "descriptors.forces")
PARTS: dict[str, tuple[str, ...]] = {
    "linear": (*_ALWAYS, "mutual_information", "affine_moments", "sample_at"),
    "local_cc": (*_ALWAYS, *_DEFORMABLE, *_CURVES, "local_cc"),
    "mean_squares": (*_ALWAYS, *_DEFORMABLE, *_CURVES, "squared_difference"),
    "mutual_information": (*_ALWAYS, *_DEFORMABLE, "mutual_information_forces"),
    "self_similarity": (*_ALWAYS, *_DEFORMABLE, *_DESCRIPTORS),
}
"""Part of a recipe, see `warpline.backends.interface.Backend.prepare`, to the operations it uses.

A metric that is not listed has no operation of its own, or one that is compiled when it is first called."""


def operations_of(parts: Collection[str]) -> list[str]:
    """Keys of `OPERATIONS` that the parts of a recipe use, sorted."""
    return sorted({name for part in parts for name in PARTS.get(part, (*_ALWAYS, *_DEFORMABLE))})


def compile_ahead(backend: type[HostBackend], parts: Collection[str], threads: int) -> None:
    """Compile what these parts of a recipe need, with a log message, unless it is cached on this machine.

    Parameters
    ----------
    backend : type
        Whose operations are compiled.
    parts : collection of str
        Keys of `PARTS`, or other metrics.
    threads : int
        Processes to use, this one among them.
    """
    names = operations_of(parts)
    stamp = _stamp(names)
    if not names or stamp.exists():
        return
    count = max(1, min(threads, MOST_PROCESSES))
    _log.warning(
        "compiling %d operations for this CPU, once: about %.0f s", len(names), _seconds(names) / count + _START
    )
    shares = share_out(names, count)
    with _elsewhere(backend, shares[1:]):
        compile_here(backend(1), shares[0])
    with suppress(OSError):
        stamp.touch()


def compile_here(backend: HostBackend, names: Sequence[str]) -> None:
    """Compile operations in this process, or load them."""
    gc.disable()  # the compiler allocates millions of small objects, few of them garbage
    try:
        for name in names:
            OPERATIONS[name][1](backend)
    finally:
        gc.enable()


@contextmanager
def _elsewhere(backend: type[HostBackend], shares: Sequence[Sequence[str]]) -> Iterator[None]:
    """Processes that compile the shares while the block runs; what fails there is compiled at the first call."""
    imports = f"from {__name__} import compile_here; from {backend.__module__} import {backend.__name__}"
    code = f"import sys; sys.path[:] = {sys.path!r}; {imports}; compile_here({backend.__name__}(1), sys.argv[1:])"
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for names in shares:
            with suppress(OSError):
                started.append(subprocess.Popen([sys.executable, "-c", code, *names], **quiet))  # type: ignore[call-overload]
        yield
        for process in started:
            process.wait()
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()


def share_out(names: Sequence[str], count: int) -> list[list[str]]:
    """Operations shared out by longest processing time first; all but the first process take a while to start."""
    shares: list[list[str]] = [[] for _ in range(count)]
    busy = [0.0] + [_START] * (count - 1)
    for group in sorted(_groups(names), key=_seconds, reverse=True):
        first = busy.index(min(busy))
        shares[first].extend(group)
        busy[first] += _seconds(group)
    return [share for share in shares if share]


def _groups(names: Sequence[str]) -> list[list[str]]:
    """Operations that are compiled in one process, `_TOGETHER` or alone."""
    joined = [[name for name in group if name in names] for group in _TOGETHER]
    grouped = {name for group in joined for name in group}
    return [group for group in joined if group] + [[name] for name in names if name not in grouped]


def _seconds(names: Sequence[str]) -> float:
    return sum(OPERATIONS[name][0] for name in names)


def _stamp(names: Sequence[str]) -> Path:
    """The file in the cache that marks these operations, as their source is now, as compiled for this CPU."""
    import llvmlite
    import numba
    from llvmlite import binding

    sources = sorted(Path(numba_fields.__file__).parent.glob("numba_*.py"))
    facts = [
        names,
        numba.__version__,
        llvmlite.__version__,
        platform.python_version(),
        binding.get_host_cpu_name(),
        dict(binding.get_host_cpu_features()),
        [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sources],
    ]
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()
    folder: str = numba_affine._moments.stats.cache_path
    return Path(folder, f"compiled-{digest}")
