"""Memory, scratch arrays, launch grids and captured graphs of the GPU backend."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array
from warpline.backends.cuda_launch import MOST_BLOCKS, Defines, Function, Kernel, Runtime, Size, load
from warpline.backends.cuda_launch import launch as check_and_launch
from warpline.errors import DeviceError

BLOCK = 256
"""Threads of a block; kernels/volume.cuh."""
VOXELS: Size = (32, 8, 1)
"""Voxels along k, j and i of a block in kernels that give each thread a voxel."""
PLANES = 2
"""Planes of which each thread takes a voxel in warp.cu and compose.cu."""
REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
"""What kernels call the types of numbers that they write."""
MOST_VOLUMES = 2
"""Volumes of one launch, for which every grid must have room."""
MOST_GRAPHS = 4
"""Captured steps of a thread; the oldest is dropped when another one comes."""
LEAST_MARCH = 2
"""Fewest planes that a block of a marching kernel writes where its halo is computed twice."""


class _Graph(NamedTuple):
    """A captured step, and the arrays allocated during its capture."""

    step: weakref.ref[Callable[[], None]]
    replay: Callable[[], None]
    arrays: list[Array]


class _Local(threading.local):
    """State of one thread: scratch, captured steps, arrays allocated in the capture under way."""

    def __init__(self) -> None:
        self.depth = 0
        self.reset()

    def reset(self) -> None:
        self.scratch: dict[Any, Array] = {}
        self.graphs: list[_Graph] = []
        self.allocated: list[Array] = []
        self.capturing = False


class Workspace:
    """Arrays and launches of one GPU, shared by threads that each have scratch of their own.

    Parameters
    ----------
    runtime : Runtime
        What the kernels run on.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.xp = runtime.xp
        self._functions: dict[tuple[str, Defines], tuple[Kernel, Function]] = {}
        self._local = _Local()

    # -- memory ---------------------------------------------------------------------------------------------

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An uninitialised array."""
        return self.retain(self.xp.empty(shape, dtype))

    def zeroed(self, number: Array | None = None) -> Array:
        """`number` (1,), or a new one, which is 0 again each time a captured step is replayed."""
        number = self.empty((1,)) if number is None else number
        self.launch("set_zero", (1, 1, 1), out=number)
        return number

    def scratch(self, key: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """A persistent array of the calling thread, zero at first."""
        return self._once(key, lambda: self.xp.zeros(shape, dtype))

    def constant(self, key: Any, make: Callable[[], NDArray[Any]]) -> Array:
        """An array of the calling thread, uploaded once."""
        return self._once(key, lambda: self.xp.array(make()))

    def _once(self, key: Any, make: Callable[[], Array]) -> Array:
        found = self._local.scratch.get(key)
        if found is None:
            found = self._local.scratch[key] = make()
        return found

    def retain(self, array: Array) -> Array:
        """The array itself, which now lives as long as the graph that is being captured."""
        if self._local.capturing:
            self._local.allocated.append(array)
        return array

    def contiguous(self, array: Array, dtype: Any = None) -> Array:
        """The array itself where it is C-contiguous and of that dtype, else a copy."""
        found = self.xp.ascontiguousarray(array, dtype)
        return array if found is array else self.retain(found)

    def floats(self, array: Array) -> Array:
        """C-contiguous float32."""
        return self.contiguous(array, np.float32)

    def bytes_of(self, array: Array) -> Array:
        """C-contiguous uint8."""
        return self.contiguous(array, np.uint8)

    # -- launches -------------------------------------------------------------------------------------------

    def launch(
        self, name: str, grid: Size, defines: Defines = (), block: Size = (BLOCK, 1, 1), **arguments: Any
    ) -> None:
        """Launch a kernel, compiled on its first use."""
        kernel, compiled = self.function(name, defines)
        check_and_launch(self.runtime, compiled, kernel, grid, block, **arguments)

    def function(self, name: str, defines: Defines = ()) -> tuple[Kernel, Function]:
        """A kernel and its compiled entry, on its first use compiled by the calling thread."""
        found = self._functions.get((name, defines))
        if found is None:
            kernel = load(name, defines)
            found = self._functions[name, defines] = kernel, self.runtime.compile(kernel.source, name)
        return found

    def over_voxels(self, name: str, shape: tuple[int, ...], defines: Defines = (), /, **arguments: Any) -> None:
        """Launch a kernel whose threads are the voxels of `shape`."""
        self.launch(name, voxel_grid(shape), defines, VOXELS, **arguments)

    def over_slabs(
        self, name: str, many: int, shape: tuple[int, ...], /, thick: int = PLANES, **arguments: Any
    ) -> None:
        """Launch a kernel whose threads take a voxel of `thick` planes each, of `many` volumes."""
        across, down, planes = voxel_grid(shape)
        defines = (("PLANES", thick),)
        self.launch(name, (across, down, many * block_count(planes, thick)), defines, VOXELS, **arguments)

    def marching_grid(
        self, shape: tuple[int, ...], rows: int, resident: int, many: int = 1, *, least: int = LEAST_MARCH
    ) -> tuple[Size, int]:
        """Grid of columns of 32 x `rows` voxels of `many` volumes, cut along i, and the planes of each piece.

        As many pieces as the GPU runs at once, `resident` per multiprocessor, of at least `least` planes: more pieces
        would only compute more halo.
        """
        check_countable(shape)
        columns = block_count(shape[2], VOXELS[0]), block_count(shape[1], rows)
        cuts = max(1, resident * self.runtime.processors // (many * math.prod(columns)))
        length = max(least, block_count(shape[0], cuts))
        return (*columns, many * block_count(shape[0], length)), length

    def partial(self, blocks: int) -> dict[str, Array]:
        """Scratch for a sum over blocks."""
        partial = self.scratch(("partial", blocks), (blocks,), np.float64)
        return {"partial": partial, "arrived": self.arrived()}

    def arrived(self, many: int = 1) -> Array:
        """Counters of finished blocks, 0 before and after each launch."""
        return self.scratch(("arrived", many), (many,), np.uint32)

    # -- sessions and loops ---------------------------------------------------------------------------------

    @contextmanager
    def session(self) -> Iterator[None]:
        """See `Backend.session`; scratch and captured steps end with it."""
        local = self._local
        if local.depth:
            yield
            return
        with self.runtime.session():
            local.depth = 1
            try:
                yield
            finally:
                local.depth = 0
                local.reset()

    def repeat(self, step: Callable[[], None], times: int) -> None:
        """See `Backend.repeat`: the first run is eager, so that everything is compiled; then a graph is replayed."""
        if times < 1:
            return
        with self.session():
            replay = next((graph.replay for graph in self._local.graphs if graph.step() == step), None)
            if replay is None:
                step()
                times -= 1
                replay = self._captured(step)
            for _ in range(times):
                replay()

    def _captured(self, step: Callable[[], None]) -> Callable[[], None]:
        """The launches of `step` as a graph, which is dropped with the object whose method `step` is."""
        local, graphs = self._local, self._local.graphs
        local.allocated, local.capturing = [], True
        try:
            replay = self.runtime.capture(step)
            graphs.append(_Graph(_reference(step, lambda gone: _drop(graphs, gone)), replay, local.allocated))
            del graphs[:-MOST_GRAPHS]
            return replay
        finally:
            local.allocated, local.capturing = [], False


def _drop(graphs: list[_Graph], gone: Any) -> None:
    graphs[:] = [graph for graph in graphs if graph.step is not gone]


def block_count(count: int, each: int) -> int:
    """Blocks of `each` elements for `count` of them."""
    return -(-count // each)


@lru_cache(1024)
def voxel_grid(shape: tuple[int, ...]) -> Size:
    """Blocks of a kernel whose threads are voxels; raises as `check_countable` does."""
    check_countable(shape)
    return block_count(shape[2], VOXELS[0]), block_count(shape[1], VOXELS[1]), shape[0]


def check_countable(shape: tuple[int, ...]) -> None:
    """Refuse a volume that is too large for the kernels.

    Raises
    ------
    DeviceError
        Naming the limits.
    """
    most = MOST_BLOCKS[2] // MOST_VOLUMES, MOST_BLOCKS[1] * VOXELS[1]
    if shape[0] > most[0] or shape[1] > most[1] or (shape[1] + 1) * shape[2] >= 2**31:
        raise DeviceError(
            f"a volume of {' x '.join(map(str, shape))} voxels is too large for a GPU: at most {most[0]} along its "
            f"first axis, {most[1]} along its second, 2^31 in a plane are possible; crop it or use backend='numba'"
        )


def _reference(step: Callable[[], None], gone: Callable[[Any], None]) -> weakref.ref[Callable[[], None]]:
    """A weak reference to a step, or to the object whose method it is, that calls `gone` at its end."""
    return weakref.WeakMethod(step, gone) if hasattr(step, "__self__") else weakref.ref(step, gone)
