"""Views of arrays that own nothing, so that passing them on costs no reference counting.

An array that comes from Python carries a reference count, which numba updates at every call and slice with an atomic
instruction. A borrowed view has none. It must not outlive the array: use it within the kernel that received the array.
"""

from typing import Any

from numba.core import types
from numba.core.imputils import impl_ret_untracked
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

_intrinsic: Any = intrinsic  # whose type knows nothing of calls within kernels


@_intrinsic
def borrow(typing_context: Any, array: Any) -> Any:
    """Return a view of the whole array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = make_array(array)(context, builder, arguments[0])
        view = make_array(array)(context, builder)
        populate_array(view, source.data, source.shape, source.strides, source.itemsize, meminfo=None)
        return impl_ret_untracked(context, builder, array, view._getvalue())

    return array(array), generate


@_intrinsic
def row(typing_context: Any, matrix: Any, index: Any) -> Any:
    """Return a view of a row of a C-contiguous matrix."""
    kind = types.Array(matrix.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = make_array(matrix)(context, builder, arguments[0])
        width = builder.extract_value(source.shape, 1)
        data = builder.gep(source.data, [builder.mul(arguments[1], width)])
        view = make_array(kind)(context, builder)
        populate_array(view, data, [width], [source.itemsize], source.itemsize, meminfo=None)
        return impl_ret_untracked(context, builder, kind, view._getvalue())

    return kind(matrix, types.intp), generate
