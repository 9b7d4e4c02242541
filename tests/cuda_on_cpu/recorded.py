"""What CuPy would compile for the element-wise steps of a program, recorded from arrays that are none of its own."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from cuda_on_cpu import emulated, two_worlds
from cuda_on_cpu.two_worlds import DeviceArray, TwoWorldsGraphRuntime
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.cuda_workspace import Workspace
from warpline.phantom import brain_pair
from warpline.recipe import Linear, Recipe, Syn
from warpline.registration import initialisation
from warpline.registration.alignment import align

RECIPE = Recipe(linear=Linear(samples=1000), syn=Syn(iterations=(6, 6, 6)))
PARTS = ("linear", "local_cc")
REDUCTIONS = ("min", "max", "sum", "any")


@cache
def registered():
    """Builds and element-wise kernels of a registration for which nothing was compiled ahead."""
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}")
    pair, turns, recorder = brain_pair((24, 28, 24), voxel_size=7.5), initialisation._lattice()[::20], Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initialisation, "_lattice", lambda: turns)
        patch.setattr(CudaBackend, "prepare", lambda backend, parts: None)
        launches = Launches(patch)
        recorder.patch(patch)
        align(pair.fixed, pair.moving, RECIPE, backend=CudaBackend(TwoWorldsGraphRuntime()))
    return launches.builds, recorder.kernels


class Launches:
    """A workspace whose builds are counted where they are launched."""

    def __init__(self, monkeypatch):
        self.builds = set()
        launch = Workspace.launch

        def launched(work, name, grid, defines=(), *more, **arguments):
            self.builds.add((name, defines))
            return launch(work, name, grid, defines, *more, **arguments)

        monkeypatch.setattr(Workspace, "launch", launched)


class Recorder:
    """Kernels of element-wise steps, each a tuple that tells it from all others; call `patch` first.

    CuPy builds one for each function, combination of types, and layout of the operands: axes that are adjacent in
    memory of all of them count as one, see `layout`.
    """

    def __init__(self):
        self.kernels = set()

    def patch(self, monkeypatch):
        monkeypatch.setattr(DeviceArray, "__array_ufunc__", self._ufunc(DeviceArray.__array_ufunc__))
        monkeypatch.setattr(DeviceArray, "__array_function__", self._function(DeviceArray.__array_function__))
        monkeypatch.setattr(DeviceArray, "__getitem__", self._getitem(DeviceArray.__getitem__))
        monkeypatch.setattr(DeviceArray, "__setitem__", self._setitem(DeviceArray.__setitem__))
        monkeypatch.setattr(DeviceArray, "astype", self._astype(DeviceArray.astype))
        monkeypatch.setattr(DeviceArray, "copy", self._copied(DeviceArray.copy))
        monkeypatch.setattr(DeviceArray, "clip", self._clip(DeviceArray.clip))
        for name in REDUCTIONS:
            monkeypatch.setattr(DeviceArray, name, self._reduction(name, getattr(DeviceArray, name)))
        monkeypatch.setattr(two_worlds.TwoWorldsRuntime.xp, "ascontiguousarray", self._contiguous())

    def _copy(self, source, target, kind):
        """A copy between types or layouts; one of equal bytes needs no kernel."""
        source, target = np.broadcast_arrays(source, target)
        strided = not (source.flags.c_contiguous and target.flags.c_contiguous)
        if source.dtype != kind or strided:
            self.kernels.add(("copy", str(source.dtype), str(np.dtype(kind)), layout([source, target])))

    def _ufunc(self, original):
        def call(array, ufunc, method, *inputs, out=(), **options):
            self.kernels.add((ufunc.__name__, *_types(inputs), layout(_held(inputs))))
            return original(array, ufunc, method, *inputs, out=out, **options)

        return call

    def _function(self, original):
        def call(array, function, types, arguments, options):
            flat = [a for one in arguments for a in (one[:1] if isinstance(one, list) else [one])]
            if function is not np.empty_like:
                self.kernels.add((function.__name__, *_types(flat), layout(_held(flat))))
            return original(array, function, types, arguments, options)

        return call

    def _getitem(self, original):
        def call(array, key):
            if isinstance(key, DeviceArray):
                self.kernels.add(("take", *_types([array, key])))
            return original(array, key)

        return call

    def _setitem(self, original):
        def call(array, key, value):
            part = original(array, key)
            original_set(array, key, value)
            if isinstance(value, DeviceArray):
                self._copy(value.held, part.held, part.dtype)
            else:
                self.kernels.add(("fill", str(part.dtype), layout([part.held])))

        original_set, original = original, DeviceArray.__getitem__
        return call

    def _astype(self, original):
        def call(array, kind, **options):
            self._copy(array.held, np.empty(array.shape, kind), kind)
            return original(array, kind, **options)

        return call

    def _copied(self, original):
        def call(array):
            self._copy(array.held, np.empty(array.shape, array.dtype), array.dtype)
            return original(array)

        return call

    def _clip(self, original):
        def call(array, low, high, out=None):
            self.kernels.add(("clip", str(array.dtype), layout([array.held])))
            return original(array, low, high, out=out)

        return call

    def _reduction(self, name, original):
        def call(array, **options):
            self.kernels.add((name, str(array.dtype), str(options.get("dtype")), layout([array.held])))
            return original(array, **options)

        return call

    def _contiguous(self):
        original = two_worlds.TwoWorldsRuntime.xp.ascontiguousarray

        def call(array, dtype=None):
            self._copy(array.held, np.empty(array.shape, dtype or array.dtype), dtype or array.dtype)
            return original(array, dtype)

        return call


def layout(arrays):
    """Number of axes once those are joined that all broadcast arrays can, and which arrays are contiguous then."""
    arrays = np.broadcast_arrays(*arrays)
    axes = [axis for axis, n in enumerate(arrays[0].shape) if n > 1]
    shape = [arrays[0].shape[axis] for axis in axes]
    strides = [[array.strides[axis] for array in arrays] for axis in axes]
    for axis in range(len(shape) - 1, 0, -1):
        if all(outer == inner * shape[axis] for outer, inner in zip(strides[axis - 1], strides[axis], strict=True)):
            shape[axis - 1] *= shape.pop(axis)
            strides[axis - 1] = strides.pop(axis)
    return len(shape), tuple(array.flags.c_contiguous for array in arrays)


def _types(operands):
    return tuple(str(one.dtype) if isinstance(one, DeviceArray) else "scalar" for one in operands)


def _held(operands):
    return [one.held for one in operands if isinstance(one, DeviceArray)] or [np.zeros(2)]
