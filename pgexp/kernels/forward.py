"""Forward pass of networks: a sequence of layers over one flat parameter vector.

One compiled function runs every network whose layers `layout.Layer` lists. Each row's outputs are computed from that
row alone, with sums in a fixed order, so they do not depend on how many rows are computed at once.
"""

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable

from pgexp.kernels import layout as numbers
from pgexp.kernels.compilation import borrow, kernel, row
from pgexp.kernels.elementary import sigmoid, tanh
from pgexp.kernels.layout import ACTIVATION, FIRST, HEADER, INPUTS, KIND, LAYERS, LIMIT, OUTPUTS, RECORD, SECOND, WIDEST


@kernel
def forward(parameters, layout, x, memory, scratch, outputs):
    """Write the outputs [L, P] for x [L, O] and replace memory [L, Z] by the next one; see signatures.forward."""
    rows = x.shape[0]
    size = rows * layout[WIDEST]
    source, target, extra = scratch[:size], scratch[size : 2 * size], scratch[2 * size :]
    width = x.shape[1]
    for m in range(rows):
        for i in range(width):
            source[m * width + i] = x[m, i]
    for k in range(layout[LAYERS]):
        record = layout[HEADER + RECORD * k : HEADER + RECORD * (k + 1)]
        kind, inputs, width = record[KIND], record[INPUTS], record[OUTPUTS]
        first, second = parameters[record[FIRST] :], parameters[max(record[SECOND], 0) :]
        given = source[: rows * inputs].reshape(rows, inputs)
        result = target[: rows * width].reshape(rows, width)
        if kind == numbers.DENSE:
            weight = first[: inputs * width].reshape(inputs, width)
            _dense(given, weight, second, record[SECOND] >= 0, result)
        elif kind == numbers.NORMALIZE:
            _normalize(given, first, second, record[LIMIT : LIMIT + 1].view(np.float64)[0], result)
        elif kind == numbers.LAYER_NORM:
            _layer_norm(given, first, second, result)
        elif kind == numbers.GRU:
            weight = first[: 3 * width * width].reshape(width, 3 * width)
            gates = extra[: rows * 3 * width].reshape(rows, 3 * width)
            _dense(memory, weight, second, True, gates)
            _gru(given, gates, memory, result)
        else:
            weight = first[: 4 * width * width].reshape(width, 4 * width)
            gates = extra[: rows * 4 * width].reshape(rows, 4 * width)
            for m in range(rows):
                for i in range(width):
                    result[m, i] = memory[m, i]
            _dense(result, weight, second, False, gates)
            _lstm(given, gates, memory, result)
        _activate(target[: rows * width], record[ACTIVATION])
        source, target = target, source
    for m in range(rows):
        for j in range(width):
            outputs[m, j] = source[m * width + j]


@kernel
def add_bias_and_activate(y, bias, activation):
    """Replace y [B, O] by ``activation(y + bias)``.

    bias: [O], or [0] for none. activation: its index in layout.ACTIVATIONS.
    """
    y, bias = borrow(y), borrow(bias)
    for m in range(y.shape[0]):
        units = row(y, m)
        for i in range(bias.size):
            units[i] += bias[i]
        _activate(units, activation)


@register_jitable
def _dense(x, weight, bias, has_bias, out):
    """Write ``x W + b``; each sum begins with the bias and runs over the inputs in order."""
    rows, width = out.shape
    zero = out.dtype.type(0)
    for m in range(rows):
        for j in range(width):
            out[m, j] = bias[j] if has_bias else zero
    add_product(x, weight, out)


@register_jitable
def _normalize(x, mean, scale, limit, out):
    bound = out.dtype.type(limit)
    for m in range(x.shape[0]):
        for i in range(x.shape[1]):
            out[m, i] = min(max((x[m, i] - mean[i]) * scale[i], -bound), bound)


@register_jitable
def _layer_norm(x, scale, shift, out):
    """Write ``(x - mean) / sqrt(variance + 1e-5) * scale + shift`` per row, with the biased variance."""
    real = out.dtype.type
    size = x.shape[1]
    for m in range(x.shape[0]):
        total, squares = 0.0, 0.0
        for i in range(size):
            total += x[m, i]
        mean = total / size
        for i in range(size):
            squares += (x[m, i] - mean) * (x[m, i] - mean)
        factor = real(1.0 / np.sqrt(squares / size + 1e-5))
        for i in range(size):
            out[m, i] = (x[m, i] - real(mean)) * factor * scale[i] + shift[i]


@register_jitable
def _gru(given, gates, memory, out):
    """Write h' into memory and out: see networks.recurrent.GRU for the equations."""
    one = out.dtype.type(1)
    units = out.shape[1]
    for m in range(out.shape[0]):
        for i in range(units):
            reset = sigmoid(given[m, i] + gates[m, i])
            keep = sigmoid(given[m, units + i] + gates[m, units + i])
            new = tanh(given[m, 2 * units + i] + reset * gates[m, 2 * units + i])
            out[m, i] = (one - keep) * new + keep * memory[m, i]
            memory[m, i] = out[m, i]


@register_jitable
def _lstm(given, gates, memory, out):
    """Write h' and c' into memory, and h' into out: see networks.recurrent.LSTM for the equations."""
    units = out.shape[1]
    for m in range(out.shape[0]):
        for i in range(units):
            enter = sigmoid(given[m, i] + gates[m, i])
            forget = sigmoid(given[m, units + i] + gates[m, units + i])
            new = tanh(given[m, 2 * units + i] + gates[m, 2 * units + i])
            leave = sigmoid(given[m, 3 * units + i] + gates[m, 3 * units + i])
            cell = forget * memory[m, units + i] + enter * new
            out[m, i] = leave * tanh(cell)
            memory[m, i] = out[m, i]
            memory[m, units + i] = cell


@register_jitable
def _activate(x, activation):
    zero = x.dtype.type(0)
    if activation == numbers.RELU:
        for i in range(x.size):
            x[i] = max(x[i], zero)
    elif activation == numbers.TANH:
        for i in range(x.size):
            x[i] = tanh(x[i])
    elif activation == numbers.LEAKY_RELU:
        for i in range(x.size):
            x[i] = x[i] if x[i] > zero else x[i] * x.dtype.type(numbers.LEAK)


ROWS: Final = 4


def _tile(rows: int, columns: int) -> Any:
    """Return an intrinsic that adds ``x[m : m + rows] @ w[:, j : j + columns]`` to that part of out.

    The tile stays in registers while the sum over the inputs runs, in order. The order does not depend on the tile.
    Therefore a row's result depends neither on the number of rows nor on the width of the processor's vectors.
    """

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
