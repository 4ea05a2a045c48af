"""A vector of 16 float32 lanes for Numba, and the register-blocked product that every dense layer stands on.

LLVM maps 16 lanes to one AVX-512 register, two AVX or four NEON ones, so the kernels are written once. What plain
Numba loops cannot say, and is needed for speed, is that a sum stays in a register across a loop whose body is
unrolled by hand: that is what these intrinsics are for.

Arrays are one-dimensional float32 and indices count elements. No bounds are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, register_model

#: Numba's decorator hides the typing context from callers, which a type checker cannot know.
intrinsic: Any = numba_intrinsic

LANES = 16
#: Rows that one call of `gemm` works on at once; batches and layers are padded to a multiple.
ROWS = 6

_FLOAT = ir.FloatType()
_INT32 = ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INT_VECTOR = ir.VectorType(_INT32, LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)


class VectorType(types.Type):
    """Numba's type of one vector."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")


vector = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [value] * LANES)


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _read(builder: Any, pointer: Any) -> Any:
    value = builder.load(pointer)
    value.align = 4
    return value


def _write(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, pointer).align = 4


def _spread(builder: Any, scalar: Any) -> Any:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(_INT32, 0))
    zeros = ir.Constant(_INT_VECTOR, [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [a.type for a in arguments]), name
    )
    return builder.call(function, arguments)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, "llvm.fma.v16f32", _VECTOR, a, b, c)


@intrinsic
def load(_context: Any, array: Any, index: Any) -> Any:
    """array[index : index + 16]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _read(builder, _address(context, builder, signature.args[0], arguments[0], arguments[1]))

    return vector(array, types.intp), generate


@intrinsic
def store(_context: Any, array: Any, index: Any, value: Any) -> Any:
    """array[index : index + 16] = value."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _write(builder, arguments[2], _address(context, builder, signature.args[0], arguments[0], arguments[1]))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def splat(_context: Any, scalar: Any) -> Any:
    """All lanes equal to a float32."""

    def generate(_c: Any, builder: Any, _s: Any, arguments: Any) -> Any:
        return _spread(builder, arguments[0])

    return vector(types.float32), generate


def _elementwise(arity: int, build: Callable[..., Any]) -> Any:
    if arity == 1:

        @intrinsic
        def one(_context: Any, a: Any) -> Any:
            return vector(vector), lambda c, builder, s, arguments: build(builder, *arguments)

        return one
    if arity == 2:

        @intrinsic
        def two(_context: Any, a: Any, b: Any) -> Any:
            return vector(vector, vector), lambda c, builder, s, arguments: build(builder, *arguments)

        return two

    @intrinsic
    def three(_context: Any, a: Any, b: Any, c: Any) -> Any:
        return vector(vector, vector, vector), lambda ctx, builder, s, arguments: build(builder, *arguments)

    return three


def _build_exp(builder: Any, x: Any) -> Any:
    """Cephes' expf: split off the power of two, then a polynomial of degree 6; relative error about 1e-7."""
    # NaN fails both comparisons and passes through, so that a diverging run stays visible.
    x = builder.select(builder.fcmp_ordered(">", x, _constant(88.0)), _constant(88.0), x)
    x = builder.select(builder.fcmp_ordered("<", x, _constant(-87.0)), _constant(-87.0), x)
    k = _call(builder, "llvm.rint.v16f32", _VECTOR, builder.fmul(x, _constant(1.44269504088896341)))
    r = _fma(builder, k, _constant(-0.693359375), x)
    r = _fma(builder, k, _constant(2.12194440e-4), r)
    p = _constant(1.9875691500e-4)
    for coefficient in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = _fma(builder, p, r, _constant(coefficient))
    p = _fma(builder, p, builder.fmul(r, r), builder.fadd(r, _constant(1.0)))
    safe = builder.select(builder.fcmp_ordered("ord", k, k), k, _constant(0.0))
    exponent = builder.shl(
        builder.add(builder.fptosi(safe, _INT_VECTOR), ir.Constant(_INT_VECTOR, [127] * LANES)),
        ir.Constant(_INT_VECTOR, [23] * LANES),
    )
    return builder.fmul(p, builder.bitcast(exponent, _VECTOR))


def _build_tanh(builder: Any, x: Any) -> Any:
    """Cephes' tanhf: a polynomial below 0.625, 1 - 2 / (exp(2|x|) + 1) above."""
    size = _call(builder, "llvm.fabs.v16f32", _VECTOR, x)
    z = builder.fmul(x, x)
    p = _constant(-5.70498872745e-3)
    for coefficient in (2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1):
        p = _fma(builder, p, z, _constant(coefficient))
    small = _fma(builder, builder.fmul(p, z), x, x)
    e = _build_exp(builder, builder.fadd(size, size))
    large = builder.fsub(_constant(1.0), builder.fdiv(_constant(2.0), builder.fadd(e, _constant(1.0))))
    large = _call(builder, "llvm.copysign.v16f32", _VECTOR, large, x)
    return builder.select(builder.fcmp_ordered(">=", size, _constant(0.625)), large, small)


def _build_normal_cdf(builder: Any, x: Any) -> Any:
    """Distribution function of the standard normal, by 7.1.26 of Abramowitz and Stegun; absolute error 8e-8."""
    size = _call(builder, "llvm.fabs.v16f32", _VECTOR, builder.fmul(x, _constant(0.70710678118654752)))
    t = builder.fdiv(_constant(1.0), _fma(builder, size, _constant(0.3275911), _constant(1.0)))
    p = _constant(1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        p = _fma(builder, p, t, _constant(coefficient))
    tail = builder.fmul(builder.fmul(p, t), _build_exp(builder, builder.fneg(builder.fmul(size, size))))
    tail = builder.fmul(_constant(0.5), tail)
    return builder.select(builder.fcmp_ordered("<", x, _constant(0.0)), tail, builder.fsub(_constant(1.0), tail))


def _build_positive(builder: Any, a: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<=", a, _constant(0.0)), _constant(0.0), a)


def _build_where_positive(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_unordered(">", a, _constant(0.0)), b, _constant(0.0))


add = _elementwise(2, lambda builder, a, b: builder.fadd(a, b))
sub = _elementwise(2, lambda builder, a, b: builder.fsub(a, b))
mul = _elementwise(2, lambda builder, a, b: builder.fmul(a, b))
div = _elementwise(2, lambda builder, a, b: builder.fdiv(a, b))
fma = _elementwise(3, _fma)
sqrt = _elementwise(1, lambda builder, a: _call(builder, "llvm.sqrt.v16f32", _VECTOR, a))
larger = _elementwise(2, lambda builder, a, b: builder.select(builder.fcmp_unordered(">", a, b), a, b))
smaller = _elementwise(2, lambda builder, a, b: builder.select(builder.fcmp_unordered("<", a, b), a, b))
exp = _elementwise(1, _build_exp)
tanh = _elementwise(1, _build_tanh)
normal_cdf = _elementwise(1, _build_normal_cdf)
#: max(a, 0); NaN stays NaN.
positive = _elementwise(1, _build_positive)
#: b where a > 0 or a is NaN, else 0.
where_positive = _elementwise(2, _build_where_positive)


@intrinsic
def total(_context: Any, a: Any) -> Any:
    """Sum of the lanes."""

    def generate(_c: Any, builder: Any, _s: Any, arguments: Any) -> Any:
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR]), "llvm.vector.reduce.fadd.v16f32"
        )
        return builder.call(function, [ir.Constant(_FLOAT, -0.0), arguments[0]], fastmath=("reassoc",))

    return types.float32(vector), generate


def _gemm(rows: int, vectors: int, *, rectify: bool = False) -> Any:
    """`rows` x (16 `vectors`) outputs kept in registers over the whole sum; negative ones become 0 if `rectify`."""

    @intrinsic
    def gemm(
        _context: Any, a: Any, ia: Any, a_row: Any, a_term: Any, b: Any, ib: Any, b_term: Any,
        init: Any, ii: Any, init_row: Any, out: Any, io: Any, out_row: Any, terms: Any,
    ) -> Any:  # fmt: skip
        """out[m, c] = init[m, c] + sum over t of a[m, t] b[t, c], for m < rows and c < 16 vectors."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (a, ia, a_row, a_term, b, ib, b_term, init, ii, init_row, out, io, out_row, terms) = arguments
            kinds = signature.args
            a_data = context.make_array(kinds[0])(context, builder, a).data
            index = ia.type
            sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(vectors)] for _ in range(rows)]
            for m in range(rows):
                at = builder.add(ii, builder.mul(init_row, ir.Constant(index, m)))
                for v in range(vectors):
                    where = builder.add(at, ir.Constant(index, v * LANES))
                    builder.store(_read(builder, _address(context, builder, kinds[7], init, where)), sums[m][v])
            starts = [builder.add(ia, builder.mul(a_row, ir.Constant(index, m))) for m in range(rows)]
            with cgutils.for_range(builder, terms) as loop:
                at = builder.add(ib, builder.mul(loop.index, b_term))
                columns = [
                    _read(
                        builder,
                        _address(context, builder, kinds[4], b, builder.add(at, ir.Constant(index, v * LANES))),
                    )
                    for v in range(vectors)
                ]
                step = builder.mul(loop.index, a_term)
                for m in range(rows):
                    scalar = builder.load(builder.gep(a_data, [builder.add(starts[m], step)]))
                    factor = _spread(builder, scalar)
                    for v in range(vectors):
                        builder.store(_fma(builder, factor, columns[v], builder.load(sums[m][v])), sums[m][v])
            for m in range(rows):
                at = builder.add(io, builder.mul(out_row, ir.Constant(index, m)))
                for v in range(vectors):
                    where = builder.add(at, ir.Constant(index, v * LANES))
                    value = builder.load(sums[m][v])
                    value = _build_positive(builder, value) if rectify else value
                    _write(builder, value, _address(context, builder, kinds[10], out, where))
            return context.get_dummy_value()

        n = types.intp
        return types.void(a, n, n, n, b, n, n, init, n, n, out, n, n, n), generate

    return gemm


#: 6 x 64 outputs in 24 registers, and 6 x 16 for the columns that are left.
gemm_wide = _gemm(ROWS, 4)
gemm_narrow = _gemm(ROWS, 1)
gemm_wide_rectified = _gemm(ROWS, 4, rectify=True)
gemm_narrow_rectified = _gemm(ROWS, 1, rectify=True)
