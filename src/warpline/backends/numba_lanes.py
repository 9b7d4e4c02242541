"""Vectors of 16 floats as values of compiled code, so that loops over rows need no help of the compiler to be vectors.

A row of K voxels is worked through `LANES` at a time; the last vector of a row is loaded and stored in part. Sums and
products are rounded one by one and fused only by `fma`, so that bits depend neither on the width of the CPU's registers
nor on where a loop ends. LLVM splits a vector where registers are shorter.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

from warpline.backends.numba_settings import EXACT

VECTOR = 16
"""Numbers of a vector: one register of AVX-512, two of AVX2, four of NEON."""
LANES = np.int64(VECTOR)
"""The same in compiled code; no literal, since numba compiles a function once more for each that it is called with."""

_FLOATS = ir.VectorType(ir.FloatType(), VECTOR)
_FLAGS = ir.VectorType(ir.IntType(1), VECTOR)
_INT = ir.IntType(32)
_INTS, _BYTES = ir.VectorType(_INT, VECTOR), ir.VectorType(ir.IntType(8), VECTOR)


class _Vector(types.Type):
    """Numba's type of a vector."""


floats = _Vector("floats")
"""`VECTOR` numbers of single precision."""
flags = _Vector("flags")
"""`VECTOR` truth values."""


class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _FLOATS if kind == floats else _FLAGS)


register_model(_Vector)(_VectorModel)


def whole_vectors(n: int) -> int:
    """The length of a row of n numbers in vectors."""
    return -(-n // VECTOR) * VECTOR


def _operator(symbol: Any, result: Any, operands: Any, build: Callable[[Any, Any, Any], Any]) -> None:
    """Define `symbol` between two vectors."""

    class Template(ConcreteTemplate):  # type: ignore[misc]
        cases = (signature(result, operands, operands),)

    infer_global(symbol)(Template)
    lower_builtin(symbol, operands, operands)(lambda context, builder, sig, args: build(builder, *args))


_operator(operator.add, floats, floats, lambda builder, a, b: builder.fadd(a, b))
_operator(operator.sub, floats, floats, lambda builder, a, b: builder.fsub(a, b))
_operator(operator.mul, floats, floats, lambda builder, a, b: builder.fmul(a, b))
_operator(operator.truediv, floats, floats, lambda builder, a, b: builder.fdiv(a, b))
_operator(operator.gt, flags, floats, lambda builder, a, b: builder.fcmp_ordered(">", a, b))
_operator(operator.ge, flags, floats, lambda builder, a, b: builder.fcmp_ordered(">=", a, b))
_operator(operator.eq, flags, floats, lambda builder, a, b: builder.fcmp_ordered("==", a, b))
_operator(operator.and_, flags, flags, lambda builder, a, b: builder.and_(a, b))


class _Negated(ConcreteTemplate):  # type: ignore[misc]
    cases = (signature(floats, floats),)


infer_global(operator.neg)(_Negated)
lower_builtin(operator.neg, floats)(lambda context, builder, sig, args: builder.fneg(args[0]))


def _constant(numbers: Any) -> Any:
    return ir.Constant(ir.VectorType(_INT, VECTOR), [ir.Constant(_INT, n) for n in numbers])


def _spread(builder: Any, value: Any) -> Any:
    """A vector with a number in every lane."""
    kind = ir.VectorType(value.type, VECTOR)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, _INT(0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), _constant([0] * VECTOR))


def _first(builder: Any, count: Any) -> Any:
    """Flags of the first `count` lanes."""
    return builder.icmp_signed("<", _constant(range(VECTOR)), _spread(builder, builder.trunc(count, _INT)))


def _call(builder: Any, name: str, result: Any, arguments: Any) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _vector_at(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """The first argument, a pointer, moved by the second, as a pointer to a vector."""
    offset = context.cast(builder, args[1], sig.args[1], types.intp)
    return builder.bitcast(builder.gep(args[0], [offset]), _FLOATS.as_pointer())


@intrinsic
def pointer(typing: Any, array: Any) -> Any:
    """Where the numbers of a contiguous array begin; unlike an array, it has no references to count."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    kind = types.CPointer(array.dtype)  # type: ignore[attr-defined]
    return signature(kind, array), build


@intrinsic
def moved(typing: Any, source: Any, offset: Any) -> Any:
    """A pointer, so many numbers further."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.gep(args[0], [context.cast(builder, args[1], sig.args[1], types.intp)])

    return signature(source, source, offset), build


@intrinsic
def load(typing: Any, source: Any, offset: Any, count: Any) -> Any:
    """`count` numbers from an offset on; zeros in the lanes after them, which are not read."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        count = context.cast(builder, args[2], sig.args[2], types.intp)
        at = _vector_at(context, builder, sig, args)
        given = at, ir.Constant(_INT, 4), _first(builder, count), ir.Constant(_FLOATS, None)
        return _call(builder, f"llvm.masked.load.v{VECTOR}f32.p0", _FLOATS, given)

    return signature(floats, source, offset, count), build


@intrinsic
def store(typing: Any, target: Any, offset: Any, value: Any, count: Any) -> Any:
    """Write the first `count` lanes from an offset on."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        count = context.cast(builder, args[3], sig.args[3], types.intp)
        at = _vector_at(context, builder, sig, args)
        given = args[2], at, ir.Constant(_INT, 4), _first(builder, count)
        _call(builder, f"llvm.masked.store.v{VECTOR}f32.p0", ir.VoidType(), given)
        return context.get_dummy_value()

    return signature(types.none, target, offset, floats, count), build


def _bytes_at(context: Any, builder: Any, sig: Any, args: Any, first: int) -> Any:
    """A vector of bytes at the pointer and the offset among the arguments from `first` on."""
    offset = context.cast(builder, args[first + 1], sig.args[first + 1], types.intp)
    at = builder.bitcast(builder.gep(args[first], [offset]), _BYTES.as_pointer())
    return builder.load(at, align=1)


@intrinsic
def load_bytes(typing: Any, source: Any, offset: Any) -> Any:
    """Bytes from an offset on, as numbers."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.uitofp(builder.zext(_bytes_at(context, builder, sig, args, 0), _INTS), _FLOATS)

    return signature(floats, source, offset), build


@intrinsic
def store_bytes(typing: Any, target: Any, offset: Any, value: Any) -> Any:
    """Write numbers of 0 to 255 as bytes, rounded down, from an offset on."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        offset = context.cast(builder, args[1], sig.args[1], types.intp)
        at = builder.bitcast(builder.gep(args[0], [offset]), _BYTES.as_pointer())
        builder.store(builder.trunc(builder.fptosi(args[2], _INTS), _BYTES), at, align=1)
        return context.get_dummy_value()

    return signature(types.none, target, offset, floats), build


@intrinsic
def product_of_differences(typing: Any, a: Any, i: Any, b: Any, j: Any, c: Any, k: Any, d: Any, m: Any) -> Any:
    """``sum (a - b) (c - d)`` over vectors of bytes, each at a pointer and an offset; differences have 8 bits."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        one, two, three, four = (_bytes_at(context, builder, sig, args, first) for first in (0, 2, 4, 6))
        first, second = (builder.sext(builder.sub(*pair), _INTS) for pair in ((one, two), (three, four)))
        total = _call(builder, f"llvm.vector.reduce.add.v{VECTOR}i32", _INT, [builder.mul(first, second)])
        return builder.sext(total, ir.IntType(64))

    return signature(types.int64, a, i, b, j, c, k, d, m), build


@intrinsic
def splat(typing: Any, value: Any) -> Any:
    """A number in all lanes."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _spread(builder, context.cast(builder, args[0], sig.args[0], types.float32))

    return signature(floats, value), build


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """``a b + c``, rounded once where the CPU can."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, f"llvm.fmuladd.v{VECTOR}f32", _FLOATS, args)

    return signature(floats, floats, floats, floats), build


@intrinsic
def where(typing: Any, condition: Any, a: Any, b: Any) -> Any:
    """`a` in the lanes where the condition holds, else `b`."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return signature(floats, flags, floats, floats), build


@intrinsic
def ramp(typing: Any) -> Any:
    """0, 1, 2 and so on."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(_FLOATS, [float(lane) for lane in range(VECTOR)])

    return signature(floats), build


@intrinsic
def floor(typing: Any, a: Any) -> Any:
    """The largest whole numbers that are not above."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, f"llvm.floor.v{VECTOR}f32", _FLOATS, args)

    return signature(floats, floats), build


def _reduced(operation: str) -> Callable[..., Any]:
    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole = builder.fptosi(args[0], ir.VectorType(_INT, VECTOR))
        found = _call(builder, f"llvm.vector.reduce.{operation}.v{VECTOR}i32", _INT, [whole])
        return builder.sext(found, ir.IntType(64))

    return build


@intrinsic
def least(typing: Any, a: Any) -> Any:
    """The least of whole numbers, as an integer."""
    return signature(types.int64, floats), _reduced("smin")


@intrinsic
def greatest(typing: Any, a: Any) -> Any:
    """The greatest of whole numbers, as an integer."""
    return signature(types.int64, floats), _reduced("smax")


@intrinsic
def every(typing: Any, condition: Any) -> Any:
    """Whether a condition holds in all lanes."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], ir.IntType(VECTOR))
        return builder.icmp_unsigned("==", bits, ir.IntType(VECTOR)(2**VECTOR - 1))

    return signature(types.boolean, flags), build


@njit(**EXACT)
def largest_lane(lanes: Any) -> Any:
    """The largest of stored lanes."""
    found = lanes[0]
    for lane in range(1, LANES):
        found = max(found, lanes[lane])
    return found


@njit(**EXACT)
def along_row(step: Any, n: Any, given: Any) -> None:
    """Call ``step(k, count, given)`` for vectors that cover the n numbers of a row.

    All are whole unless the row is shorter than a vector; the last one begins so early that it ends with the row, so
    that some numbers are computed twice.
    """
    if n < LANES:
        step(n - n, n, given)
    else:
        for k in range(0, n, LANES):
            step(min(k, n - LANES), LANES, given)
