"""Matrix product of small matrices, for the forward pass of a few rows.

Tiles of the result stay in registers while the sum over the inputs runs, in order. The order does not depend on the
tile, so a row's result depends neither on how many rows there are nor on the width of the processor's vectors.
"""

from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable

ROWS: Final = 4


def _tile(rows: int, columns: int) -> Any:
    """Return an intrinsic that adds ``x[m : m + rows] @ w[:, j : j + columns]`` to that part of out."""

    @intrinsic
    def tile(typing_context: Any, x: Any, w: Any, out: Any, m: Any, j: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            matrices = [
                context.make_array(kind)(context, builder, value)
                for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
            ]
            of_x, of_w, of_out = matrices
            first_row, first_column = arguments[3:]
            inputs, width = cgutils.unpack_tuple(builder, of_w.shape, 2)
            size = context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
            vector = ir.VectorType(context.get_data_type(signature.args[0].dtype), columns)
            everywhere = ir.Constant(ir.VectorType(ir.IntType(32), columns), [0] * columns)

            def place(base: Any, index: Any) -> Any:
                return builder.bitcast(builder.gep(base, [index]), vector.as_pointer())

            index = [builder.add(first_row, first_row.type(r)) for r in range(rows)]
            targets = [place(of_out.data, builder.add(builder.mul(r, width), first_column)) for r in index]
            starts = [builder.mul(r, inputs) for r in index]
            sums = [cgutils.alloca_once(builder, vector) for _ in range(rows)]
            for target, total in zip(targets, sums, strict=True):
                builder.store(builder.load(target, align=size, typ=vector), total)
            with cgutils.for_range(builder, inputs) as loop:
                of_input = place(of_w.data, builder.add(builder.mul(loop.index, width), first_column))
                weights = builder.load(of_input, align=size, typ=vector)
                for start, total in zip(starts, sums, strict=True):
                    value = builder.load(builder.gep(of_x.data, [builder.add(start, loop.index)]))
                    single = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
                    spread = builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), everywhere)
                    product = builder.fmul(spread, weights)
                    builder.store(builder.fadd(builder.load(total, typ=vector), product), total)
            for target, total in zip(targets, sums, strict=True):
                builder.store(builder.load(total, typ=vector), target, align=size)
            return context.get_dummy_value()

        return types.void(x, w, out, types.intp, types.intp), generate

    return tile


_tile_4_16, _tile_4_4, _tile_4_1 = _tile(4, 16), _tile(4, 4), _tile(4, 1)
_tile_1_16, _tile_1_4, _tile_1_1 = _tile(1, 16), _tile(1, 4), _tile(1, 1)


@register_jitable
def add_product(x, w, out):
    """Add ``x @ w`` to out. x: [n, inputs], w: [inputs, outputs], out: [n, outputs], of one dtype, C-contiguous."""
    rows, width = out.shape
    m = 0
    while m + ROWS <= rows:
        j = 0
        while j + 16 <= width:
            _tile_4_16(x, w, out, m, j)
            j += 16
        while j + 4 <= width:
            _tile_4_4(x, w, out, m, j)
            j += 4
        while j < width:
            _tile_4_1(x, w, out, m, j)
            j += 1
        m += ROWS
    while m < rows:
        j = 0
        while j + 16 <= width:
            _tile_1_16(x, w, out, m, j)
            j += 16
        while j + 4 <= width:
            _tile_1_4(x, w, out, m, j)
            j += 4
        while j < width:
            _tile_1_1(x, w, out, m, j)
            j += 1
        m += 1
