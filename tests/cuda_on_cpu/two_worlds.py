"""The emulated GPU with arrays that do not mix with NumPy's, as CuPy's do not."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from cuda_on_cpu.emulated import EmulatedRuntime

UFUNCS = {
    np.add, np.subtract, np.multiply, np.true_divide, np.power, np.negative, np.absolute, np.minimum, np.maximum,
    np.sqrt, np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.logical_and,
    np.logical_or, np.logical_not, np.bitwise_and, np.bitwise_or, np.invert, np.floor, np.floor_divide, np.remainder,
    np.log, np.cos, np.arccos,
}  # fmt: skip
"""What code outside the backends may call on its arrays; CuPy has all of them under the same names."""

FUNCTIONS = {np.empty_like, np.flatnonzero, np.arange, np.stack, np.where}
WAITING = {np.flatnonzero}
"""Those of them whose result has a shape that the host must know first."""
VIEWS = {"reshape", "ravel", "view", "transpose"}


class DeviceArray(NDArrayOperatorsMixin):
    """An array that lives elsewhere: it mixes with its own kind and with scalars, and with nothing of the host."""

    recorded = None
    """What the graph that is being captured does, in order; None when nothing is captured."""

    ledger = None
    """Where waits, copies and allocations are counted, see `pretended`; None when nobody counts."""

    def __init__(self, held):
        self.held = np.asarray(held)
        if self.ledger is not None:
            self.ledger.made(self.held)

    def _wait(self):
        if self.ledger is not None:
            self.ledger.wait()

    dtype = property(lambda self: self.held.dtype)
    shape = property(lambda self: self.held.shape)
    ndim = property(lambda self: self.held.ndim)
    size = property(lambda self: self.held.size)
    nbytes = property(lambda self: self.held.nbytes)
    strides = property(lambda self: self.held.strides)
    flags = property(lambda self: self.held.flags)
    real = property(lambda self: DeviceArray(self.held.real))
    imag = property(lambda self: DeviceArray(self.held.imag))
    data = property(lambda self: SimpleNamespace(ptr=self.held.ctypes.data))
    device = SimpleNamespace(id=0)
    __cuda_array_interface__ = None
    """CuPy's holds an address; by its presence arrays of a GPU are told from others."""

    def __dlpack_device__(self):
        return (2, self.device.id)

    def __dlpack__(self, *, stream=None, **_):
        return SimpleNamespace(held=self.held, ordinal=self.device.id, stream=stream)

    def __array__(self, *_, **__):
        raise TypeError("an array of the device does not become one of the host by itself")

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        if ufunc not in UFUNCS or method != "__call__":
            raise TypeError(f"{ufunc.__name__}.{method} on arrays of the device")
        arguments, options["out"] = list(map(_held, inputs)), tuple(map(_held, out)) or None
        if DeviceArray.recorded is None:
            result = ufunc(*arguments, **options)
            return out[0] if out else DeviceArray(result)
        if not out:
            raise AssertionError(f"{ufunc.__name__} makes an array that is free again before its graph runs")
        DeviceArray.recorded.append(partial(ufunc, *arguments, **options))
        return out[0]

    def __array_function__(self, function, types, arguments, options):
        if function not in FUNCTIONS:
            raise TypeError(f"{function.__name__} on arrays of the device")
        if function in WAITING:
            self._wait()
        held = [[_held(one) for one in a] if isinstance(a, list) else _held(a) for a in arguments]
        return DeviceArray(function(*held, **options))

    def __getitem__(self, key):
        if isinstance(key, DeviceArray) and key.dtype == bool:
            self._wait()  # for the number of those that are true
        return self._of_device(self.held[_key(key)])

    def _of_device(self, held):
        found = DeviceArray(held)
        found.device = self.device
        return found

    def __setitem__(self, key, value):
        self.held[_key(key)] = _held(value)

    def __len__(self):
        return len(self.held)

    def __iter__(self):
        return (self[n] for n in range(len(self)))

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def item(self):
        self._wait()
        return self.held.item()

    def get(self, out=None, blocking=True):
        """A copy on the host: a new array, or in memory that is given and counts as pinned."""
        if blocking:
            self._wait()
        if out is None:
            return self.held.copy()
        if self.ledger is not None:
            self.ledger.copied("pinned", self.nbytes)
        out[...] = self.held
        return out


def _method(name):
    def call(self, *arguments, out=None, **options):
        if DeviceArray.recorded is not None and name not in VIEWS:
            raise AssertionError(f"{name} makes an array that is free again before its graph runs")
        if out is not None:
            options["out"] = _held(out)
        result = getattr(self.held, name)(*map(_held, arguments), **options)
        return self._of_device(result) if out is None else out

    return call


for _name in (
    "astype",
    "reshape",
    "ravel",
    "view",
    "transpose",
    "copy",
    "clip",
    "sum",
    "mean",
    "min",
    "max",
    "any",
    "all",
    "std",
):
    setattr(DeviceArray, _name, _method(_name))


def _held(value):
    """What NumPy computes with in place of an operand that CuPy would take."""
    if isinstance(value, DeviceArray):
        return value.held
    if isinstance(value, (np.ndarray, list, tuple)) and not _is_shape(value):
        raise TypeError(f"{type(value).__name__} of the host meets an array of the device")
    return value


def _is_shape(value):
    return isinstance(value, tuple) and all(isinstance(n, int) for n in value)


def _key(key):
    return tuple(map(_held, key)) if isinstance(key, tuple) else _held(key)


def _upload(array, order="C"):
    if isinstance(array, DeviceArray):
        raise TypeError("an array of the device is uploaded again")
    return DeviceArray(np.array(array, order=order))


def _ascontiguousarray(array, dtype=None):
    if not isinstance(array, DeviceArray):
        raise TypeError(f"an operation got {type(array).__name__}; an array of the device is needed")
    return array if _fits(array, dtype) else DeviceArray(np.ascontiguousarray(array.held, dtype))


def _fits(array, dtype):
    return array.flags.c_contiguous and dtype in (None, array.dtype.type)


class TwoWorldsRuntime(EmulatedRuntime):
    """Kernels on the CPU, arrays of a kind that refuses NumPy's, and launches within sessions only.

    Outside of a session work goes to whatever GPU is current, and its errors stay CuPy's.
    """

    sessions = 0

    xp = SimpleNamespace(
        ndarray=DeviceArray,
        array=_upload,
        empty=lambda shape, dtype: DeviceArray(np.full(shape, _rubbish(dtype), dtype)),
        zeros=lambda shape, dtype: DeviceArray(np.zeros(shape, dtype)),
        ascontiguousarray=_ascontiguousarray,
    )

    def compile(self, source, entry):
        launch = super().compile(source, entry)

        def launch_in_session(grid, block, arguments):
            if not self.sessions:
                raise AssertionError(f"{entry} is launched outside of a session")
            call = partial(launch, grid, block, [kernel_argument(argument) for argument in arguments])
            if DeviceArray.recorded is None:
                call()
            else:
                DeviceArray.recorded.append(call)

        return launch_in_session

    @contextmanager
    def session(self):
        with self._lock:
            self.sessions += 1
        try:
            yield
        finally:
            with self._lock:
                self.sessions -= 1

    def to_host(self, array, out=None):
        if not isinstance(array, DeviceArray):
            raise TypeError(f"{type(array).__name__} is downloaded; it is on the host already")
        return super().to_host(array.held, out)


class TwoWorldsGraphRuntime(TwoWorldsRuntime):
    """Captures as a GPU does: launches and arithmetic are recorded, not run, and replayed."""

    def capture(self, step):
        DeviceArray.recorded = graph = []
        try:
            step()
        finally:
            DeviceArray.recorded = None
        return lambda: [call() for call in graph]


def _rubbish(dtype):
    """What uninitialised memory holds: NaN, or the largest whole number."""
    return np.nan if np.dtype(dtype).kind in "fc" else True if np.dtype(dtype) == bool else np.iinfo(dtype).max


def kernel_argument(argument):
    if isinstance(argument, DeviceArray):
        return argument.held
    if isinstance(argument, np.ndarray) and argument.dtype.names is None:
        raise TypeError("a kernel got an array of the host")
    return argument
