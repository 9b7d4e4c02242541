"""From a ``.cu`` file to a checked launch: sources, signatures, arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array, Matrix

Size = tuple[int, int, int]
Defines = tuple[tuple[str, str | int], ...]
Function = Callable[[Size, Size, Sequence[Any]], None]
"""``function(grid, block, arguments)``: an entry of a compiled source."""

C_TYPES: dict[str, np.dtype[Any]] = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "int": np.dtype(np.int32),
    "unsigned": np.dtype(np.uint32),
    "long long": np.dtype(np.int64),
    "signed char": np.dtype(np.int8),
    "short": np.dtype(np.int16),
    "unsigned char": np.dtype(np.uint8),
    "unsigned short": np.dtype(np.uint16),
    "unsigned int": np.dtype(np.uint32),
    "unsigned long long": np.dtype(np.uint64),
}
"""Types of arguments, besides structs of the source, which are passed by value as a structured array of one element."""

_ENTRY = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(\n(.*?)\) \{\n', re.DOTALL)
_PARAMETER = re.compile(r"(?:const )?([\w ]+?)\s*(\*?)\s*(?:__restrict__ )?(\w+)$")
_COMMENT = re.compile(r"//\s*\(([^)]*)\)( or null)?")
_INCLUDE = re.compile(r'^#include "([\w.]+)"\n', re.MULTILINE)
_STRUCT = re.compile(r"^struct (\w+) \{", re.MULTILINE)
_DEFAULT = re.compile(r"^#define (\w+) (.+)$", re.MULTILINE)

MOST_BLOCKS = (2**31 - 1, 65535, 65535)
MOST_KNOWN = 256
"""Combinations of shapes whose lengths a kernel caches."""

Shapes = tuple[tuple[int, ...] | None, ...]
"""Of the arrays of a launch, in the order of the parameters; None for those left out."""

_MISSING = object()

_MATRIX = np.dtype([("m", np.float64, (12,))])


def as_struct(matrix: Matrix | None) -> NDArray[Any]:
    """The upper rows of a matrix as the struct that kernels take by value; the identity when None."""
    given = np.eye(4) if matrix is None else np.asarray(matrix, np.float64)
    return np.array([(given[:3].ravel(),)], dtype=_MATRIX)


class Runtime(Protocol):
    """What a kernel runs on: a GPU through CuPy, or in tests the CPU through a C++ compiler."""

    xp: Any
    """The array module: ``cupy``, or ``numpy``."""

    name: str
    """The device, in words."""

    processors: int
    """Multiprocessors of the device."""

    ordinal: int
    """Index of the device among those that this process may use."""

    def compile(self, source: str, entry: str) -> Function:
        """The entry of a source, compiled."""

    def to_host(self, array: Array, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The content of an array, in `out` or a new NumPy array."""

    def to_host_later(self, array: Array) -> Callable[[], Any]:
        """Start to copy an array as it is at this point of the stream; the returned function waits for the copy."""

    def capture(self, step: Callable[[], None]) -> Callable[[], None]:
        """What `step` launches, as one graph to replay."""

    def session(self) -> AbstractContextManager[None]:
        """A stream of its own for the calling thread; errors of the device become `DeviceError`."""

    def release(self) -> None:
        """Give pooled memory back to the device."""


class Parameter(NamedTuple):
    """One parameter of a kernel, as declared in its source.

    Attributes
    ----------
    name : str
        Its name.
    dtype : dtype or None
        Of the scalar or of the array's elements; None for a struct.
    shape : tuple or None
        Of an array: numbers, and names that must mean the same length everywhere in the launch. None for scalars.
    optional : bool
        Whether the array may be None.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str, ...] | None
    optional: bool = False


@dataclass(frozen=True)
class Kernel:
    """A source with its includes and defines, and the parameters of its entry."""

    name: str
    source: str
    parameters: tuple[Parameter, ...]
    known: dict[Shapes, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)
    """Cache: shapes of the arrays of earlier launches to the lengths in them, cast to their parameters' types."""

    @cached_property
    def arrays(self) -> tuple[Parameter, ...]:
        """The parameters that are arrays."""
        return tuple(parameter for parameter in self.parameters if parameter.shape is not None)

    @cached_property
    def scalars(self) -> dict[str, Parameter]:
        """The other parameters, by name."""
        return {parameter.name: parameter for parameter in self.parameters if parameter.shape is None}

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all parameters."""
        return frozenset(parameter.name for parameter in self.parameters)


@cache
def load(name: str, defines: Defines = ()) -> Kernel:
    """The kernel of ``kernels/<name>.cu``, shared headers inlined, built with `defines`.

    CuPy's cache of compiled kernels knows the text of a source but not what it includes, so includes become text.
    """
    return parse(name, _inlined(f"{name}.cu", set()), defines)


def parse(name: str, text: str, defines: Defines = ()) -> Kernel:
    """The kernel of a source without includes; a declaration that cannot be read is an AssertionError."""
    head = "".join(f"#define {key} {value}\n" for key, value in defines)
    entry = _ENTRY.search(text)
    assert entry is not None and entry[1] == name, f"{name}.cu has no entry called {name}"
    macros = {**dict(_DEFAULT.findall(text)), **{key: str(value) for key, value in defines}}
    parameters = _parameters(entry[2], macros, set(_STRUCT.findall(text)))
    return Kernel(name, f'{head}#line 1 "{name}.cu"\n{text}', tuple(parameters))


def _inlined(file: str, seen: set[str]) -> str:
    """A source with each header inlined where it is first included, with #line directives for true line numbers."""
    text = files("warpline.kernels").joinpath(file).read_text(encoding="utf-8")

    def insert(match: re.Match[str]) -> str:
        header = match[1]
        if header in seen:
            return "\n"
        seen.add(header)
        line = text[: match.end()].count("\n") + 1
        return f'#line 1 "{header}"\n{_inlined(header, seen)}#line {line} "{file}"\n'

    return _INCLUDE.sub(insert, text).replace("#pragma once\n", "\n")


def _parameters(declared: str, macros: Mapping[str, str], structs: set[str]) -> list[Parameter]:
    found = []
    for line in declared.splitlines():
        code, _, _ = line.partition("//")
        comment = _COMMENT.search(line)
        for one in filter(None, (part.strip() for part in code.split(","))):
            match = _PARAMETER.match(one)
            assert match is not None, f"cannot read the parameter {one!r}"
            kind = macros.get(match[1], match[1])
            assert kind in C_TYPES or kind in structs, f"{match[3]} has type {kind!r}; {', '.join(C_TYPES)} or a struct"
            shape = None
            if match[2]:
                assert comment is not None, f"{match[3]} needs its shape in a comment"
                shape = tuple(int(d) if d.isdecimal() else d for d in re.split(r",\s*", comment[1]))
            found.append(Parameter(match[3], C_TYPES.get(kind), shape, bool(comment and comment[2])))
    return found


def launch(runtime: Runtime, compiled: Function, kernel: Kernel, grid: Size, block: Size, /, **arguments: Any) -> None:
    """Check the arguments against the kernel's declaration, fill in lengths, cast scalars, launch.

    A registration launches hundreds of kernels, so that each check is a few comparisons; messages are made only where
    one fails.

    Raises
    ------
    TypeError, ValueError
        When an argument is missing or unknown, an array has another dtype or shape than declared or is not
        C-contiguous, a length does not fit its type, or the grid is too large. These are mistakes of the caller, not
        of a user.
    """
    kind = runtime.xp.ndarray
    shapes: list[tuple[int, ...] | None] = []
    for parameter in kernel.arrays:
        array = arguments.get(parameter.name, _MISSING)
        if array is None and parameter.optional:
            shapes.append(None)
            continue
        if type(array) is not kind or array.dtype != parameter.dtype or not array.flags.c_contiguous:
            raise TypeError(_mismatch(kernel, parameter, array, kind))
        shapes.append(array.shape)
    seen = tuple(shapes)
    lengths = kernel.known.get(seen)
    if lengths is None:
        lengths = _lengths(kernel, seen)
    given = {name: _scalar(kernel, name, value, lengths) for name, value in arguments.items() if name in kernel.scalars}
    if not kernel.names.issuperset(arguments):
        raise TypeError(f"{kernel.name} has no parameter {', '.join(sorted(arguments.keys() - kernel.names))}")
    if not _is_grid(grid):
        raise ValueError(f"{kernel.name}: a grid of {grid} blocks; at least 1 and at most {MOST_BLOCKS} are possible")
    values = lengths | arguments | given
    if not kernel.names <= values.keys():
        missing = [parameter.name for parameter in kernel.parameters if parameter.name not in values]
        raise TypeError(f"{kernel.name} needs {', '.join(missing)}")
    compiled(grid, block, [values[parameter.name] for parameter in kernel.parameters])


def _mismatch(kernel: Kernel, parameter: Parameter, array: Any, kind: type[Any]) -> str:
    where = f"{kernel.name}: {parameter.name}"
    if array is _MISSING:
        return f"{kernel.name} needs {parameter.name}"
    if type(array) is not kind:
        return f"{where} is {type(array).__name__}; {kind.__module__}.{kind.__name__} is needed"
    return f"{where} is {array.dtype}, strides {array.strides}; C-contiguous {parameter.dtype} is needed"


def _lengths(kernel: Kernel, shapes: Shapes) -> dict[str, Any]:
    """Values of the names in the declared shapes, cast to their parameters' types."""
    lengths: dict[str, int] = {}
    for parameter, shape in zip(kernel.arrays, shapes, strict=True):
        declared = parameter.shape or ()
        if shape is None:
            continue
        fits = len(shape) == len(declared)
        for name, n in zip(declared, shape, strict=False):
            fits = fits and n == (name if isinstance(name, int) else lengths.setdefault(name, n))
        if not fits:
            where = f"{kernel.name}: {parameter.name}"
            raise ValueError(f"{where} has shape {shape}; {declared} is needed, where {lengths}")
    cast = {name: _scalar(kernel, name, n, {}) for name, n in lengths.items() if name in kernel.scalars}
    if len(kernel.known) >= MOST_KNOWN:
        kernel.known.clear()
    kernel.known[shapes] = cast
    return cast


def _scalar(kernel: Kernel, name: str, value: Any, lengths: Mapping[str, Any]) -> Any:
    """A number cast to the type of its parameter, or a struct as it is."""
    dtype = kernel.scalars[name].dtype
    if dtype is None:
        if not (isinstance(value, np.ndarray) and value.size == 1 and value.dtype.names):
            raise TypeError(f"{kernel.name}: {name} must be a structured array of one element")
        return value
    if name in lengths and value != lengths[name]:
        raise ValueError(f"{kernel.name}: {name} is {value}; the arrays say {lengths[name]}")
    integers = _integers(dtype)
    if integers and not integers[0] <= value <= integers[1]:
        raise ValueError(f"{kernel.name}: {name} is {value}, which {dtype} does not hold")
    return dtype.type(value)


@cache
def _integers(dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """The least and the largest number that an integer type holds; None for other types."""
    return (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)) if dtype.kind in "iu" else None


@lru_cache(4096)
def _is_grid(grid: Size) -> bool:
    return all(0 < n <= most for n, most in zip(grid, MOST_BLOCKS, strict=True))
