"""The matrix product of stacked parameters, one matrix a run."""

import torch
from torch import Tensor


def stacked_product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x[r] @ weight[r] + bias[r]`` for every run r.

    x: [R, B, I], weight: [R, I, O], bias: [R, O]; the result: [R, B, O]. Run r's rows do not depend on R.
    """
    runs, rows, inputs = x.shape
    outputs = weight.shape[-1]
    if runs == 1 and 1 in (rows, inputs, outputs):
        # A batch of one matrix with a dimension of one is a vector product to the library, which has another
        # routine for it, with other bits. Twice the same matrix is a batch of two: the routine of every larger pack.
        twice = x.expand(2, -1, -1), weight.expand(2, -1, -1), None if bias is None else bias.expand(2, -1)
        return stacked_product(*twice)[:1]
    if bias is None:
        return torch.bmm(x, weight)
    return torch.baddbmm(bias.unsqueeze(1), x, weight)
