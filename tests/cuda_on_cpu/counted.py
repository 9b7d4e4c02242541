"""An emulated GPU that counts the bytes of the arrays which are alive on it."""

from __future__ import annotations

import weakref

import numpy as np

from cuda_on_cpu.emulated import GraphRuntime


class Ledger:
    """Bytes that are in use, and the most there ever were."""

    def __init__(self):
        self.used = self.most = 0

    def add(self, array):
        self.used += array.nbytes
        self.most = max(self.most, self.used)
        weakref.finalize(array, self._free, array.nbytes)

    def _free(self, nbytes):
        self.used -= nbytes


LEDGER = Ledger()


class CountedArray(np.ndarray):
    """An array on the device; what NumPy computes of it is one too, and views count nothing."""

    def __array_finalize__(self, source):
        if self.flags.owndata:
            LEDGER.add(self)


class CountedModule:
    """NumPy, whose new arrays are counted."""

    ndarray = CountedArray

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, shape, dtype=np.float64):
        return CountedArray(shape, dtype)

    def zeros(self, shape, dtype=np.float64):
        found = self.empty(shape, dtype)
        found[...] = 0
        return found

    def array(self, values, dtype=None, order="K"):
        values = np.asarray(values, dtype)
        found = self.empty(values.shape, values.dtype)
        found[...] = values
        return found

    def ascontiguousarray(self, array, dtype=None):
        fits = array.flags.c_contiguous and dtype in (None, array.dtype)
        return array if fits else self.array(array, dtype)


class CountedRuntime(GraphRuntime):
    """Kernels on the CPU; `ledger` knows how much memory a GPU would need."""

    xp = CountedModule()

    def __init__(self):
        super().__init__()
        self.ledger = LEDGER
        LEDGER.most = LEDGER.used

    def to_host(self, array, out=None):
        if out is None:
            return np.array(array, subok=False)
        out[...] = array
        return out
